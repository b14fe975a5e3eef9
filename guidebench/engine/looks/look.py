"""All that is said of a problem before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from guidebench.engine.looks import data
from guidebench.engine.looks.separate import separate
from guidebench.engine.minibatches import Inspected
from guidebench.engine.starts import SEARCHES, Starts, search_values
from guidebench.inference.improper import Unheld, unheld
from guidebench.inference.target import Target
from guidebench.inference.wiring import LeftOut, Use, Wiring, left_out, wiring
from guidebench.results.work import Work

#: Coordinates that are named.
MOST_NAMED = 4


class Look(NamedTuple):
    """What should be known of a problem, one line each, and what it took to find out."""

    lines: tuple[str, ...]
    work: Work


def look(inspected: Inspected, found: Starts | None) -> Look:
    """Return what should be known of a problem before anything is trained on it.

    Parameters
    ----------
    inspected : Inspected
        The problem.
    found : Starts or None
        Where training would start; ``None`` where no guide can be trained.
    """
    problem, values, arguments, structure, _ = inspected
    wired = wiring(problem.model, arguments, structure)
    directions = Unheld() if found is None else _unheld(inspected, found, wired)
    lines = (
        *_unobserved(inspected, left_out(problem.model, arguments, structure)),
        *data.not_finite(values, finite=found is not None and bool(found.valid.any())),
        *(_on_the_line(use) for use in wired.uses),
        *(_improper(names) for names in directions.directions),
        *data.sizes(values, structure.observed_arguments),
        *separate(structure.latents),
    )
    return Look(lines, directions.work)


def _observes_nothing(inspected: Inspected) -> bool:
    """Return whether a model observes nothing, though nobody says that its prior is what is wanted."""
    problem, structure = inspected.problem, inspected.structure
    known = problem.log_evidence is not None or problem.reference is not None
    return not structure.observed and not structure.factors and not known


def _unobserved(inspected: Inspected, missing: tuple[LeftOut, ...]) -> Iterator[str]:
    nothing = _observes_nothing(inspected)
    for one in missing:
        sites = ", ".join(one.sites)
        fitted = f"{sites} {'are' if len(one.sites) > 1 else 'is'} fitted as latent"
        if nothing:
            yield (
                f"The model observes nothing, so that its prior is what is fitted: {one.argument} is not given, and "
                f"{fitted}. Pass {one.argument}=... ."
            )
        else:
            yield f"{one.argument} is not given, so {fitted}: pass {one.argument}=... if it was observed."
    if nothing and not missing:
        yield "The model observes nothing: what is trained is its prior. Was the data argument left out?"


def _on_the_line(use: Use) -> str:
    what = f"The prior of {use.latent} ({use.prior}) is on the whole real line, but {use.latent} is the {use.parameter}"
    if use.bounded:
        return (
            f"{what} of {use.site}, which has bounds: beyond them there is no density. Give it a prior within the "
            "bounds, such as Beta, or transform it."
        )
    return (
        f"{what} of {use.site}, which must be positive: where {use.latent} is negative there is no density. Give it a "
        f"prior on positive numbers, such as HalfNormal, or use jnp.exp({use.latent})."
    )


def _improper(names: tuple[str, ...]) -> str:
    listed = ", ".join(names[:MOST_NAMED]) + (" and others" if len(names) > MOST_NAMED else "")
    several = len(names) > 1
    return (
        f"The posterior is improper: neither the data nor a proper prior {'hold' if several else 'holds'} {listed}"
        f"{' where they move together' if several else ''}, and the log density does not fall however far "
        f"{'they go' if several else 'it goes'}. Give {'one of them' if several else 'it'} a proper prior: until then "
        "no draws, means or intervals of it mean anything."
    )


def _unheld(inspected: Inspected, found: Starts, wired: Wiring) -> Unheld:
    """Return the coordinates of every direction that nothing holds."""
    problem, values, arguments, structure, minibatches = inspected
    if not wired.suspects or structure.params or not found.valid.any():
        return Unheld()
    target = found.target or Target.of(problem.model, arguments, structure, minibatches)
    base = np.zeros(target.dim)
    if found.landscape is not None and found.landscape.best is not None:
        base = found.landscape.best.mean
    elif found.points is not None:
        base = found.points[np.asarray(found.valid)][0]
    traced = search_values(values, arguments, target)
    searched = () if found.landscape is None else found.landscape.local
    return unheld(target, base, traced, wired, len(searched) or SEARCHES)
