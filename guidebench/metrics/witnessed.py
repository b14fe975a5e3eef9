"""Errors against a witness: the same as against a reference, where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from guidebench.contracts import MetricValue
from guidebench.metrics.errors import mean_error, sd_error
from guidebench.metrics.evidence import Evidence
from guidebench.metrics.refreshed import refreshed
from guidebench.metrics.reweighting import reweighted

#: What is kept of the repaired draws.
_ERRORS = frozenset(f"{kind}_{moment}_error" for kind in ("reweighted", "refreshed") for moment in ("mean", "sd"))


def witnessed(evidence: Evidence) -> Iterator[MetricValue]:
    """Errors of the guide's own draws, of the reweighted and of the refreshed ones, each named ``witness_...``."""
    seen = replace(evidence, reference=evidence.witness, reference_ess=evidence.witness_ess)
    for name, compute in (("mean_error", mean_error), ("sd_error", sd_error)):
        yield from (replace(one, metric=f"witness_{name}") for one in compute(seen))
    repaired = [reweighted(seen)] if seen.has("weights") else []
    repaired += [refreshed(seen)] if seen.has("refreshed") else []
    for values in repaired:
        yield from (replace(one, metric=f"witness_{one.metric}") for one in values if one.metric in _ERRORS)
