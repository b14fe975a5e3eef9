"""Fits and comparisons made by hand, with just the parts that a test is about; nothing is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from guidebench.api import Comparison, Fit
from guidebench.contracts import MetricValue
from guidebench.results import ProblemRecord, Restart, Status, Verdict

#: A value, or a value and its Monte Carlo error.
Number = float | tuple[float, float | None]


def values(metrics: Mapping[str, Number | None], mcse: float | None = None) -> tuple[MetricValue, ...]:
    """Return metrics by name, or by ``name[variable]``; those without an error of their own have `mcse`."""
    found = []
    for name, given in metrics.items():
        if given is None:
            continue
        metric, _, variable = name.partition("[")
        value, error = given if isinstance(given, tuple) else (given, mcse)
        found.append(MetricValue(metric=metric, variable=variable.removesuffix("]"), value=value, mcse=error))
    return tuple(found)


def restarts(elbos: Iterable[float | None], **parts: Any) -> tuple[Restart, ...]:
    """Return restarts that converged to these ELBOs."""
    usual = {"status": Status.CONVERGED, "loss": 0.0}
    return tuple(Restart(index=at, elbo=elbo, **{**usual, **parts}) for at, elbo in enumerate(elbos))


def fit(
    guide: str = "g",
    metrics: Mapping[str, Number | None] | tuple[MetricValue, ...] = (),
    *,
    kind: type[Any] = Fit,
    **parts: Any,
) -> Any:
    """Return a fit, of the face's kind or of another, that converged on a problem `p` and can be trusted."""
    usual = {
        "problem": "p",
        "plugin": "acme",
        "status": Status.CONVERGED,
        "bound": "elbo",
        "verdict": Verdict.TRUST,
        "metrics": values(metrics) if isinstance(metrics, Mapping) else metrics,
    }
    return kind(guide=guide, **{**usual, **parts})


def restarted(
    guide: str = "g",
    metrics: Mapping[str, Number | None] | None = None,
    *,
    spread: float = 0.0,
    starts: int = 4,
    **parts: Any,
) -> Any:
    """Return a fit of several restarts, whose ELBOs have that standard deviation."""
    side = spread * (1 - 1 / starts) ** 0.5 if starts > 1 else 0.0
    return fit(guide, metrics or {}, **{"restarts": restarts((-1) ** at * side for at in range(starts)), **parts})


def record(name: str = "p", **parts: Any) -> ProblemRecord:
    """Return what is known of a problem with one latent and ten held-out observations."""
    return ProblemRecord(**{"name": name, "latents": ("a",), "observed": ("y",), "heldout_size": 10, **parts})


def comparison(*fits: Any, kind: type[Any] = Comparison, known: Mapping[str, Any] | None = None, **parts: Any) -> Any:
    """Return a comparison of these fits, with a record of each of their problems; `known` are parts of it."""
    names = dict.fromkeys(one.problem for one in fits) or ("p",)
    records = tuple(record(name, **(known or {})) for name in names)
    return kind(**{"name": "run", "problems": records, "fits": fits, **parts})
