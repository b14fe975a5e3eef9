"""Several problems at once: which guide is better, by how much, at what price, and where.

Pure functions of a :class:`~guidebench.results.Comparison`; the report draws what they return.  Where
tests are made, they are those of Demšar (2006), Statistical comparisons of classifiers over multiple
data sets, JMLR 7:1-30, with problems in the place of data sets.
"""

from __future__ import annotations

from guidebench.across.associations import Association, associations
from guidebench.across.costs import Cost, cost_points, costs
from guidebench.across.measures import ERROR, MAIN, Measure, find_measure, of_metrics
from guidebench.across.multiplicity import holm
from guidebench.across.names import shared_prefix
from guidebench.across.pairs import PairedTest, paired_tests, signed_rank
from guidebench.across.profiles import Profile, profile
from guidebench.across.ranks import Ranking, ranking
from guidebench.across.tables import complete, errors, table
from guidebench.across.winners import Winner, winners

__all__ = [
    "ERROR",
    "MAIN",
    "Association",
    "Cost",
    "Measure",
    "PairedTest",
    "Profile",
    "Ranking",
    "Winner",
    "associations",
    "complete",
    "cost_points",
    "costs",
    "errors",
    "find_measure",
    "holm",
    "of_metrics",
    "paired_tests",
    "profile",
    "ranking",
    "shared_prefix",
    "signed_rank",
    "table",
    "winners",
]
