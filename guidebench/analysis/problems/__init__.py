"""Several problems at once: which guide is better, by how much, at what price, and where.

Pure functions of a :class:`~guidebench.results.Comparison`; the report draws what they return.  Where
tests are made, they are those of Demšar (2006), Statistical comparisons of classifiers over multiple
data sets, JMLR 7:1-30, with problems in the place of data sets.
"""

from __future__ import annotations

from guidebench.analysis.problems.associations import Association, associations
from guidebench.analysis.problems.costs import Cost, cost_points, costs
from guidebench.analysis.problems.measures import (
    ELBO_GAP,
    ERROR,
    SECONDS,
    Measure,
    find_measure,
    mapped,
    measure_of,
    others,
)
from guidebench.analysis.problems.multiplicity import holm
from guidebench.analysis.problems.names import shared_prefix
from guidebench.analysis.problems.pairs import PairedTest, paired_tests, signed_rank
from guidebench.analysis.problems.profiles import Profile, profile
from guidebench.analysis.problems.ranks import Ranking, ranking
from guidebench.analysis.problems.tables import complete, errors, table
from guidebench.analysis.problems.winners import Winner, usable_in_words, winners

__all__ = [
    "ELBO_GAP",
    "ERROR",
    "SECONDS",
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
    "mapped",
    "measure_of",
    "others",
    "paired_tests",
    "profile",
    "ranking",
    "shared_prefix",
    "signed_rank",
    "table",
    "usable_in_words",
    "winners",
]
