"""What else differs between two runs: problems, data, references, settings, versions."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from guidebench.analysis.runs.result import Context
from guidebench.results import Comparison, Fit, ProblemRecord
from guidebench.results import inference_data as idata

#: Settings that change no number.
_NO_MATTER = {"out", "quiet", "strict", "log_loss"}

#: Of a text that says nothing.
_NOTHING = "none"


@dataclass(frozen=True, kw_only=True)
class Same:
    """What of a problem is the same in both runs, and whether it is known to have several modes."""

    posterior: bool = True
    reference: bool = True
    heldout: bool = True
    modes: bool = False

    def allows(self, measured_on: str) -> bool:
        """Return whether metrics that are measured on that can be compared."""
        return {"reference": self.reference, "heldout": self.heldout}.get(measured_on, True)


def of_runs(old: Comparison, new: Comparison) -> Iterator[Context]:
    """Yield what differs between the runs as a whole."""
    for run, which in ((old, "before"), (new, "after")):
        if run.interrupted:
            yield Context(kind="interrupted", text=f"the run {which} was stopped before all fits were made")
    problems = [{one.name for one in run.problems} for run in (old, new)]
    yield from _appeared("problem", *problems)
    shared = problems[0] & problems[1]
    fits = [{f"{fit.guide} on {fit.problem}" for fit in run if fit.problem in shared} for run in (old, new)]
    yield from _appeared("fit", *fits)
    plugins = [{(fit.problem, fit.guide): fit.plugin for fit in run} for run in (old, new)]
    for problem, guide in sorted(plugins[0].keys() & plugins[1].keys()):
        first, second = plugins[0][problem, guide], plugins[1][problem, guide]
        if first != second:
            yield Context(kind="plugin", text=f"{guide} on {problem} came from {first}, and comes from {second}")
    if old.recipe != new.recipe:
        yield Context(kind="recipe", text=f"was: {old.recipe or _NOTHING} Is: {new.recipe or _NOTHING}")
    yield from _settings("configuration", old.config, new.config)
    yield from _settings("environment", old.environment, new.environment)


def of_metrics(pairs: Sequence[tuple[Fit, Fit]]) -> Iterator[Context]:
    """Yield the metrics that fits have in one of the runs only."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for before, after in pairs:
        if not (before.status.has_draws and after.status.has_draws):
            continue
        first, second = ({one.metric for one in fit.metrics if not one.variable} for fit in (before, after))
        for metric in sorted(first ^ second):
            found["gone from" if metric in first else "new for", metric].append(f"{after.guide} on {after.problem}")
    for (what, metric), fits in found.items():
        yield Context(kind="metric", text=f"{metric} is {what} {', '.join(fits)}")


def took(fit: Fit) -> float:
    """Return the wall time of a fit in seconds, nothing where it is not known."""
    found = sum(part for part in (fit.compile_s, fit.train_s, fit.evaluate_s) if part is not None)
    return found if math.isfinite(found) else 0.0


def of_time(pairs: Sequence[tuple[Fit, Fit]]) -> Iterator[Context]:
    """Yield how long the fits of both runs took in all."""
    first, second = (sum(took(pair[side]) for pair in pairs) for side in (0, 1))
    if min(first, second) > 0 and first != second:
        text = f"the fits took {first:.1f} s before, {second:.1f} s after; times are noted and never decide"
        yield Context(kind="time", text=text)


def of_problem(old: Comparison, new: Comparison, problem: str) -> tuple[list[Context], Same]:
    """Return what differs between a problem before and after, and what of it can be compared."""
    first, second = (next(one for one in run.problems if one.name == problem) for run in (old, new))
    modes = any(fit.metric("dropped_mass") for run in (old, new) for fit in run.of(problem))
    notes: list[Context] = []
    for what, one, other in (("latent", first.latents, second.latents), ("observed", first.observed, second.observed)):
        if set(one) != set(other):
            listed = " and ".join(", ".join(names) or _NOTHING for names in (one, other))
            notes.append(Context(kind="data", text=f"{problem} has other {what} sites ({listed}): nothing is compared"))
    if not notes and _other_data(old, new, problem):
        notes.append(Context(kind="data", text=f"{problem} has other data: nothing is compared"))
    if notes:
        return notes, Same(posterior=False)
    references = [_reference(one) for one in (first, second)]
    if references[0] != references[1]:
        told = " and is ".join(one or _NOTHING for one in references)
        text = f"that of {problem} was {told}: errors against it are not compared"
        notes.append(Context(kind="reference", text=text))
    if first.heldout_size != second.heldout_size:
        sizes = f"{first.heldout_size} and has {second.heldout_size}"
        text = f"{problem} had {sizes} held-out observations: scores on them are not compared"
        notes.append(Context(kind="data", text=text))
    same = Same(
        reference=references[0] == references[1],
        heldout=first.heldout_size == second.heldout_size,
        modes=modes,
    )
    return notes, same


def _reference(record: ProblemRecord) -> str:
    return " ".join(record.reference.split())


def _other_data(old: Comparison, new: Comparison, problem: str) -> bool:
    """Return whether the data that were saved with the draws of both runs differ; without any, nobody knows."""
    for name in ("observed_data", "constant_data"):
        sides = [
            next((found for fit in run.of(problem) if (found := idata.group(fit.inference_data, name))), None)
            for run in (old, new)
        ]
        first, second = sides
        if first is None or second is None:
            continue
        shared = first.data_vars.keys() & second.data_vars.keys()
        if any(_differ(first[one].to_numpy(), second[one].to_numpy()) for one in shared):
            return True
    return False


def _differ(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return True
    if one.dtype.kind in "fc" and other.dtype.kind in "fc":
        # The same data in another precision.
        return not np.allclose(one, other, rtol=1e-5, atol=0, equal_nan=True)
    return not np.array_equal(one, other)


def _appeared(kind: str, before: set[str], after: set[str]) -> Iterator[Context]:
    for text, names in (("only before", before - after), ("only after", after - before)):
        if names:
            yield Context(kind=kind, text=f"{text}: {', '.join(sorted(names))}")


def _settings(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Context]:
    for key in dict.fromkeys((*before, *after)):
        # What is not set, and what an earlier version did not have, is the same.
        first, second = (_set(side.get(key)) for side in (before, after))
        if key not in _NO_MATTER and first != second:
            yield Context(kind=kind, text=f"{key}: {_shown(first)} before, {_shown(second)} after")


def _set(value: Any) -> Any:
    found = _plain(value)
    return None if found is False or found in ("", [], {}) else found


def _plain(value: Any) -> Any:
    """Return a setting as it is once it was saved, where a tuple becomes a list."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
