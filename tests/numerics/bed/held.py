"""Verdicts held against the answers of the test bed: records as plain data, which a run writes and tables read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from guidebench.analysis.limits import MEAN_ERROR, SD_ERROR
from guidebench.metrics.moments import moments_of
from guidebench.results import Comparison, Fit
from guidebench.results.inference_data import group
from tests.numerics.bed.problem import BedProblem, Known

#: The groups of a guide's file that hold its draws, where the metrics name no more than the worst of many components.
GROUPS = {"raw": "posterior", "refreshed": "refreshed"}

#: The metrics that hold the moments of each kind of draws, and the verdict that vouches for these.
KINDS_OF_DRAWS = {
    "raw": ("mean", "sd", "trust"),
    "reweighted": ("mean_reweighted", "sd_reweighted", "reweight"),
    "refreshed": ("mean_refreshed", "sd_refreshed", "refresh"),
}

#: The draws that a verdict vouches for.
VOUCHED = {word: draws for draws, (_, _, word) in KINDS_OF_DRAWS.items()}


def record(bed: BedProblem, comparison: Comparison) -> dict[str, Any]:
    """Return what was said of every guide on one problem, and what is true, as plain data."""
    (problem,) = comparison.problems
    return {
        "name": bed.name,
        "kind": bed.kind,
        "held_out": bed.held_out,
        "proper": bed.proper,
        "latents": len(bed.answer),
        "reference": problem.reference,
        "reference_note": problem.reference_note,
        "notes": list(problem.notes),
        "fits": [_fit(bed, fit) for fit in comparison],
    }


def _fit(bed: BedProblem, fit: Fit) -> dict[str, Any]:
    values: dict[str, dict[str, float]] = {}
    for one in fit.metrics:
        values.setdefault(one.metric, {})[one.variable] = one.value
    drawn = bed.proper and fit.status.has_draws
    for draws, name in GROUPS.items():
        mean, sd, _ = KINDS_OF_DRAWS[draws]
        if drawn and mean in values and not bed.answer.keys() <= values[mean].keys():
            means, sds = _moments(fit, name)
            values[mean] = {**means, **values[mean]}
            if sd in values:  # a point has none
                values[sd] = {**sds, **values[sd]}
    errors = {
        draws: errors_of(bed.answer, values.get(mean, {}), values.get(sd, {})) if drawn else None
        for draws, (mean, sd, _) in KINDS_OF_DRAWS.items()
    }
    return {
        "guide": fit.guide,
        "status": str(fit.status),
        "verdict": str(fit.verdict),
        "reason": fit.reason,
        "message": fit.message,
        "train_s": fit.train_s,
        "evaluate_s": fit.evaluate_s,
        "khat": finite(fit.value("khat")),
        "smoothed_kl": finite(fit.value("smoothed_kl")),
        **errors,
    }


def _moments(fit: Fit, name: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return means and sds of all components of the draws that are kept in a group; nothing where there are none."""
    kept = group(fit.inference_data, name)
    if kept is None:
        return {}, {}
    found = moments_of({str(site): one.to_numpy().reshape(-1, *one.shape[2:]) for site, one in kept.items()})
    return {name: one.mean for name, one in found.items()}, {name: one.sd for name, one in found.items()}


def errors_of(
    answer: Mapping[str, Known], means: Mapping[str, float], sds: Mapping[str, float]
) -> dict[str, Any] | None:
    """Return the largest errors of a mean, in sds, and of an sd, as a share, and whose they are; None without draws.

    A component that the draws say nothing of is as wrong as can be.
    """
    if not means:
        return None
    mean = {name: abs(means.get(name, math.nan) - known.mean) / known.sd for name, known in answer.items()}
    sd = {name: abs(sds.get(name, math.nan) / known.sd - 1) for name, known in answer.items() if known.ask_sd}
    (mean_of, mean_error), (sd_of, sd_error) = _worst(mean), _worst(sd)
    return {
        "mean_error": finite(mean_error),
        "mean_of": mean_of,
        "sd_error": finite(sd_error),
        "sd_of": sd_of,
        "right": mean_error <= MEAN_ERROR and sd_error <= SD_ERROR,
    }


def _worst(errors: Mapping[str, float]) -> tuple[str, float]:
    known = {name: math.inf if math.isnan(error) else error for name, error in errors.items()}
    return max(known.items(), key=lambda pair: pair[1], default=("", 0.0))


def finite(value: float | None) -> float | None:
    """Return a number that JSON can hold."""
    return value if value is not None and math.isfinite(value) else None


def right(fit: Mapping[str, Any], draws: str) -> bool:
    """Return whether these draws of a fit are there and right."""
    return bool(fit[draws] and fit[draws]["right"])


def sound(fit: Mapping[str, Any]) -> bool:
    """Return whether the draws that the verdict vouches for are right; one that vouches for none is sound."""
    draws = VOUCHED.get(fit["verdict"])
    return draws is None or right(fit, draws)


def too_careful(fit: Mapping[str, Any]) -> bool:
    """Return whether draws that are right as they are were distrusted."""
    return fit["verdict"] == "distrust" and right(fit, "raw")


def ends_right(problem: Mapping[str, Any]) -> bool:
    """Return whether some guide's draws are vouched for, and rightly."""
    return any(fit["verdict"] in VOUCHED and sound(fit) for fit in problem["fits"])
