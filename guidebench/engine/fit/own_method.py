"""Guides that find their parameters by a method of their own: where they can, how they are run, and how they ended."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from guidebench.engine.fit.case import Case
from guidebench.engine.prepared import PreparedProblem
from guidebench.engine.starts import keys
from guidebench.inference.coordinates import Frame
from guidebench.inference.solving import solve
from guidebench.inference.train import MakeGuide, Training
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.results import Restart, Status


def refusal(prepared: PreparedProblem) -> str | None:
    """Return why no guide can find its parameters itself on this problem, or ``None``."""
    if prepared.structure.params:
        names = ", ".join(prepared.structure.params)
        return f"the model has parameters of its own ({names}), which a guide with a fit of its own cannot tune"
    if prepared.minibatches is not None:
        return "the model shows its data in parts, and a guide with a fit of its own looks at all of them at once"
    return None


def run(case: Case, frame: Frame, make: MakeGuide, at: Boundary) -> tuple[Training, list[str]]:
    """Let a guide find its parameters from every start; return what came of it, and what a reader should know."""
    declaration, prepared, restarts = case.declaration, case.prepared, case.recipe.restarts
    assert declaration.fit is not None

    def on_start(index: int) -> None:
        at.begin("train")
        case.phase(f"fitting start {index + 1} of {restarts}")

    training = solve(
        partial(declaration.fit, **declaration.options_for("fit", case.guide.options)),
        make,
        frame,
        prepared.valid,
        keys(case.config.seed, restarts, *case.names, "train"),
        on_start=on_start,
    )
    return training, ["it is not stopped early, for it is not trained"] if prepared.validation is not None else []


def restarts(training: Training, valid: np.ndarray, final: Callable[[np.ndarray], float]) -> tuple[Restart, ...]:
    """Return how each start ended, by what the method itself says; `final` is the loss at the end of a path."""
    found = []
    for index, one in enumerate(training.solutions):
        status = Status.CONVERGED if one.converged else Status.MAX_STEPS
        status = status if training.finite[index] and valid[index] else Status.DIVERGED
        path = training.losses[index]
        # Paths end in gaps, for they are of different lengths.
        found.append(Restart(index=index, status=status, loss=final(path[np.isfinite(path)])))
    return tuple(found)


def said(training: Training, restart: int) -> list[str]:
    """Return what the method has to say of one start; nothing of a guide that was trained."""
    message = " ".join(training.solutions[restart].message.split()) if training.solutions else ""
    return [message] if message else []
