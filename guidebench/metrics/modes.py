"""Whether a guide has draws where the posterior has modes: what its own weights cannot see."""

from __future__ import annotations

from collections.abc import Iterator

from guidebench.contracts import MetricValue
from guidebench.metrics.evidence import Evidence

#: A mode is dropped where the guide gives it less than this part of its share.
DROPPED = 0.2


def dropped_mass(evidence: Evidence) -> Iterator[MetricValue]:
    """The share of the posterior in modes at which the guide has hardly any draws.

    Modes are those a search in float64 found, their shares Laplace's estimates: good enough to tell a
    mode that is there from one that is not, and no more.  So a mode is dropped where the guide gives it
    less than a fifth of its share.  Modes are here that matter to a mean or an sd: one of a thousandth,
    a hundred sds away, is most of a variance.  A mode that no search found is not in this number.
    """
    dropped = 0.0
    for number, (expected, given) in enumerate(evidence.mode_shares, start=1):
        yield MetricValue(value=expected, variable=f"mode {number}", metric="dropped_mass_expected")
        yield MetricValue(value=given, variable=f"mode {number}", metric="dropped_mass_given")
        if given < DROPPED * expected:
            dropped += expected
    yield MetricValue(value=dropped)
