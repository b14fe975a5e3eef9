"""Runs made by hand: fits with just the numbers that a test is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from guidebench.api import Comparison, Fit
from guidebench.contracts import MetricValue
from guidebench.results import ProblemRecord, Restart, Status, Verdict

#: A value, or a value and its Monte Carlo error.
Number = float | tuple[float, float | None]


def values(metrics: Mapping[str, Number]) -> tuple[MetricValue, ...]:
    """Return metrics by name, or by ``name[variable]``."""
    found = []
    for name, given in metrics.items():
        metric, _, variable = name.rstrip("]").partition("[")
        value, mcse = given if isinstance(given, tuple) else (given, None)
        found.append(MetricValue(metric=metric, variable=variable, value=value, mcse=mcse))
    return tuple(found)


def fit(
    guide: str = "g", metrics: Mapping[str, Number] | None = None, *, spread: float = 0.0, starts: int = 4, **more: Any
) -> Fit:
    """Return a fit whose restarts have ELBOs of that standard deviation."""
    side = spread * (1 - 1 / starts) ** 0.5 if starts > 1 else 0.0
    elbos = [(-1) ** index * side for index in range(starts)]
    return Fit(
        **{
            "problem": "p",
            "guide": guide,
            "plugin": "acme",
            "status": Status.CONVERGED,
            "bound": "elbo",
            "verdict": Verdict.TRUST,
            "restarts": tuple(
                Restart(index=index, status=Status.CONVERGED, loss=0.0, elbo=elbo) for index, elbo in enumerate(elbos)
            ),
            "metrics": values(metrics or {}),
            **more,
        }
    )


def run(*fits: Fit, name: str = "run", record: Mapping[str, Any] | None = None, **more: Any) -> Comparison:
    """Return a comparison of these fits."""
    problems: Sequence[str] = list(dict.fromkeys(one.problem for one in fits)) or ["p"]
    records = tuple(
        ProblemRecord(**{"name": problem, "latents": ("a",), "observed": ("y",), "heldout_size": 10, **(record or {})})
        for problem in problems
    )
    return Comparison(name=name, problems=records, fits=fits, **more)
