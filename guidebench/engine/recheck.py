r"""A trained guide held against other data, without training: is it still their posterior, and have they drifted?

Two questions.  Whether the guide is the posterior of the new data is told by its weights, by the rule of every fit.
But new data of the same kind have another posterior by chance alone, so that no alarm follows from a no.  Whether they
contradict what the guide was trained on is told by how far the mode of their posterior, found from the guide's mean in
a few Newton steps, lies from that mean in unconstrained coordinates u.  Without drift, and for n rows then and m now,

.. math:: \Delta = \hat u - E_q[u] \sim N\big(0, (1 + m/n) \, V\big), \qquad
          \Delta^T \big((1 + m/n) V\big)^{-1} \Delta \sim \chi^2_D

with V the inverse curvature at the mode.  V comes from the new data, for the spread of a guide may be that of a family
without correlations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from guidebench.analysis.verdict import judge
from guidebench.config.errors import RequestError
from guidebench.contracts import MetricValue
from guidebench.engine.fit.score import compute
from guidebench.engine.perform import TURN
from guidebench.engine.trained import Ready, check_sites
from guidebench.inference.arguments import Arguments, is_array
from guidebench.inference.derivatives import Functions, covariance_of
from guidebench.inference.device.precision import as_double, double
from guidebench.inference.modes import MOST_DIMENSIONS
from guidebench.inference.rescoring import LogJoint
from guidebench.inference.structure import ModelStructure, inspect_model
from guidebench.inference.target import Target
from guidebench.inference.unconstrained import Unconstrain
from guidebench.metrics import builtin
from guidebench.metrics.evidence import Evidence
from guidebench.plugins.isolation.failures import OWN
from guidebench.plugins.registry import Registered
from guidebench.results import Status, Verdict

#: Probability of an alarm where nothing has changed.
ALARM = 0.001

#: Newton steps from the mean of the guide, at most, and halvings of each.
STEPS = 30
HALVINGS = 12

#: Nats that a Newton step may still promise at the mode.
SETTLED = 1e-6


@dataclass(frozen=True, kw_only=True)
class Recheck:
    """What a guide is worth on other data than those it was trained on.

    Attributes
    ----------
    verdict, reason : Verdict, str
        How far its draws can be trusted as the posterior of these data, by its weights.
    drifted : bool or None
        Whether the data contradict those of training beyond chance; ``None`` where that cannot be told.
    p_value : float or None
        Of the test for it.
    moved : mapping of str to float
        Per unconstrained coordinate, by how many standard deviations of chance the posterior has moved.
    elbo, elbo_mcse, khat, ess : float or None
        Of its draws on these data.
    draws : int
        How many these are.
    """

    verdict: Verdict
    reason: str
    drifted: bool | None = None
    p_value: float | None = None
    moved: Mapping[str, float] | None = None
    elbo: float | None = None
    elbo_mcse: float | None = None
    khat: float | None = None
    ess: float | None = None
    draws: int = 0

    @property
    def said(self) -> str:
        """One sentence on whether the data have drifted."""
        if self.drifted is None:
            return "Whether the data have drifted cannot be told."
        if not self.drifted:
            return f"No drift: by chance alone the posterior would move as far with probability {self.p_value:.2g}."
        moved = self.moved or {}
        worst = max(moved, key=lambda name: abs(moved[name]), default="")
        told = f", {worst} by {moved[worst]:+.1f} of its standard deviations by chance" if worst else ""
        return f"Drift: the posterior has moved further than by chance (p = {self.p_value:.1g}){told}."

    def __str__(self) -> str:
        elbo = "" if self.elbo is None else f"ELBO {self.elbo:.3f} ± {self.elbo_mcse or 0:.3f}. "
        return f"{self.verdict}: {self.reason} {elbo}{self.said}"


def recheck(ready: Ready, new: Mapping[str, Any], seed: int, count: int) -> Recheck:
    """Score a trained guide on other data; the parameters are those of :meth:`guidebench.api.trained.Trained.recheck`.

    Raises
    ------
    RequestError
        Where the data lack an observed argument, or the model has other latent sites with them.
    """
    values, bound = ready.values_with(new), ready.guide.declaration.bound
    lacking = [name for name in ready.structure.observed_arguments if values.get(name) is None or name not in new]
    if lacking:
        raise RequestError(f"to recheck a guide, new values of {', '.join(lacking)} must be given")
    if bound == "none" or ready.structure.params:
        why = "is a point estimate" if bound == "none" else "is of a model with parameters of its own"
        raise RequestError(f"{ready.guide.label} {why}, whose weights say nothing")
    latents, log_q = ready.sample(seed, count)
    with TURN:
        arguments = Arguments.split(ready.model, values)
        structure = inspect_model(ready.model, arguments, ready.structure.observed_arguments)
    check_sites(ready.state, structure, ready.guide.label)
    target = ready.target_of(arguments)
    exact = {name: values[name] for name in arguments.arrays}
    log_weights = LogJoint(target, exact)(latents) - log_q
    rows = _rows(ready.structure) / max(_rows(structure), 1)
    drift = _drift(target, exact, latents, 1 / max(rows, 1e-9))
    return _judged(Evidence(latents=latents, log_weights=log_weights, marginal_weights=bound == "elbo"), bound, drift)


@dataclass(frozen=True)
class _Drift:
    p_value: float
    moved: Mapping[str, float]


def _judged(evidence: Evidence, bound: Any, drift: _Drift | None) -> Recheck:
    metrics = [Registered(one, "metrics", OWN) for one in builtin.guidebench_metrics()]
    values = [value for value, _ in compute(evidence, metrics)[0]]
    judgement = judge(values, bound, Status.CONVERGED)
    by_name: dict[str, MetricValue] = {one.metric: one for one in reversed(values) if not one.variable}
    elbo, khat, ess = (by_name.get(name) for name in ("elbo", "khat", "ess"))
    return Recheck(
        verdict=judgement.verdict,
        reason=judgement.reason,
        drifted=None if drift is None else drift.p_value < ALARM,
        p_value=None if drift is None else drift.p_value,
        moved=None if drift is None else drift.moved,
        elbo=None if elbo is None else elbo.value,
        elbo_mcse=None if elbo is None else elbo.mcse,
        khat=None if khat is None else khat.value,
        ess=None if ess is None else ess.value,
        draws=len(next(iter(evidence.latents.values()))),
    )


def _rows(structure: ModelStructure) -> int:
    """Return how many observations a model has."""
    return sum(int(np.prod(site.shape)) for site in structure.observed)


def _drift(target: Target, values: Mapping[str, Any], latents: Mapping[str, np.ndarray], ratio: float) -> _Drift | None:
    """Return how far the posterior of the data is from the mean of the guide, beside what chance would do.

    `ratio` is the number of observations now to that in training.
    """
    if target.dim > MOST_DIMENSIONS:
        return None
    points = Unconstrain(target)({name: np.asarray(value, np.float64) for name, value in latents.items()})
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return None
    mean = points.mean(axis=0)
    with TURN, double(), np.errstate(all="ignore"):
        functions = Functions(target, 1, as_double({name: one for name, one in values.items() if is_array(one)}))
        mode, covariance = _climb(functions, mean)
    if mode is None or covariance is None:
        return None
    from scipy.stats import chi2

    spread, step = (1 + ratio) * covariance, mode - mean
    distance = float(step @ np.linalg.solve(spread, step))
    moved = dict(zip(target.labels(), (step / np.sqrt(np.diag(spread))).tolist(), strict=True))
    return _Drift(float(chi2.sf(distance, target.dim)), moved)


def _climb(functions: Functions, start: np.ndarray) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """Return the mode that Newton steps from a point lead to, and the inverse curvature there."""
    point = start
    for _ in range(STEPS):
        value, gradient, hessian = (one[0] for one in functions.second(point[None]))
        if not (np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(hessian).all()):
            return None, None
        covariance = covariance_of(hessian)
        step = covariance @ gradient
        if gradient @ step / 2 < SETTLED:
            return point, covariance
        for halving in range(HALVINGS):
            proposed = point + step / 2**halving
            if functions.slope(proposed)[0] > value:
                point = proposed
                break
        else:
            return point, covariance
    return point, covariance
