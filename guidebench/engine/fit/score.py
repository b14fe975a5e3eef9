"""The last stages of a fit: every metric of its draws, and how far to trust them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from guidebench.analysis.verdict import Judgement, judge
from guidebench.config.seeds import derive
from guidebench.config.settings import RunConfig
from guidebench.contracts import Metric, MetricValue
from guidebench.engine.fit.draw import Judged, ToScore
from guidebench.engine.fit.lent import Lent, lend
from guidebench.engine.gate import Reference
from guidebench.metrics.evidence import Evidence, read_only
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.plugins.isolation.failures import OWN, Failure
from guidebench.plugins.registry import Registered
from guidebench.request.selection import ChosenGuide
from guidebench.results import Refresher


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What the draws of a fit are worth: the metrics, the verdict, and the metrics that failed.

    `lent` are draws by latent site that stand in for those of the guide, and `lender` is whose they are; `judged` is
    what putting its draws to the test came to, where that was done when it was scored.
    """

    metrics: tuple[MetricValue, ...]
    judgement: Judgement
    failures: tuple[Failure, ...]
    seconds: float
    lent: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    lender: Refresher = ""
    judged: Judged | None = None


def score(
    drawn: ToScore,
    reference: Reference,
    guide: ChosenGuide,
    metrics: Sequence[Registered[Metric]],
    config: RunConfig,
) -> Scored:
    """Score the draws of a fit against the reference, and judge them."""
    began = time.perf_counter()
    evidence = replace(drawn.evidence, reference=reference.draws, reference_ess=reference.effective)
    if reference.witness is not None:
        evidence = replace(evidence, witness=reference.witness.draws, witness_ess=reference.witness.effective)
    values, failures = compute(evidence, metrics, config.time_limit)
    declaration, lender = guide.declaration, reference.lender
    judgement = judge(
        [value for value, metric in values if metric.distribution == OWN],
        declaration.bound,
        drawn.status,
        stopped=drawn.stopped,
        trained=declaration.fit is None,
        chains=drawn.chains,
        doubts=reference.doubts,
        unchecked=reference.unchecked,
        apart="" if reference.disagreement is None else reference.disagreement.said,
        lender="" if lender is None else lender.lends,
    )
    lent = Lent({}, {})
    if lender is not None and judgement.lent:
        count = max(len(value) for value in evidence.latents.values())  # as many as are judged of the guide
        lent = lend(lender, count, derive(config.seed, *drawn.names, "lent"))
        values, more = _with_lent(evidence, lent, values, metrics, config.time_limit, same=lender is reference)
        failures = [*failures, *more]
    return Scored(
        metrics=tuple(value for value, _ in values),
        judgement=judgement,
        failures=tuple(failures),
        seconds=time.perf_counter() - began,
        lent=lent.draws,
        lender=lender.lends if lender is not None and lent.draws else "",
    )


#: A value, and the metric that made it.
_Value = tuple[MetricValue, Registered[Metric]]


def _with_lent(
    evidence: Evidence,
    lent: Lent,
    values: Sequence[_Value],
    metrics: Sequence[Registered[Metric]],
    time_limit: float | None,
    *,
    same: bool,
) -> tuple[list[_Value], list[Failure]]:
    """Return values with those of refreshed draws made of the lent ones, in their places.

    No error of these is computed against the lender itself, be it the witness or, where it is the `same`, the
    reference: it would be nothing but noise.
    """
    seen = replace(evidence, refreshed=lent.draws, refreshed_ess=lent.effective, witness={}, witness_ess={})
    if same:
        seen = replace(seen, reference={}, reference_ess={})
    asking = [one for one in metrics if "refreshed" in one.declaration.needs]
    again, failures = compute(seen, asking, time_limit)
    found: list[_Value] = []
    for one in metrics:
        if one in asking:
            found += [pair for pair in again if pair[1] is one]
        else:
            found += [pair for pair in values if pair[1] is one and not pair[0].metric.startswith("witness_refreshed_")]
    return found, failures


def compute(
    evidence: Evidence, metrics: Sequence[Registered[Metric]], time_limit: float | None = None
) -> tuple[list[tuple[MetricValue, Registered[Metric]]], list[Failure]]:
    """Compute every metric that the evidence allows, each value with who made it.

    One that raises, takes longer than `time_limit` seconds, or yields what is no number or belongs to
    another, is named and left out.  None can change what the next one sees.
    """
    values: list[tuple[MetricValue, Registered[Metric]]] = []
    failures = []
    seen = read_only(evidence)
    for one in metrics:
        metric = one.declaration
        if not all(evidence.has(part) for part in metric.needs):
            continue
        limit = None if one.distribution == OWN else time_limit
        with Boundary(
            "metric", plugin=one.plugin, distribution=one.distribution, name=metric.name, time_limit=limit
        ) as at:
            found = [(_checked(value, one), one) for value in metric.compute(seen)]
        if at.failure is not None:
            failures.append(at.failure)
        else:
            values += found
    return values, failures


def _checked(found: MetricValue, one: Registered[Metric]) -> MetricValue:
    own = one.name
    name = found.metric or own
    if one.distribution != OWN and name != own and not name.startswith(f"{own}_"):
        raise ValueError(f"it yields {name!r}, which is not its own; names other than {own!r} start with '{own}_'")
    mcse = None if found.mcse is None else float(found.mcse)
    return replace(found, metric=name, value=float(found.value), mcse=mcse)
