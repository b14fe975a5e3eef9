"""Two kinds of reference that contradict each other: both are shown, and neither is the truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from guidebench.analysis.apart import apart
from guidebench.engine.gate import Reference
from guidebench.inference.mode_shares import HALF_WRONG
from guidebench.inference.modes import Landscape
from guidebench.inference.peaks import moved_without, nearest
from guidebench.inference.target import Target
from guidebench.inference.unconstrained import MOST, Unconstrain
from guidebench.metrics.moments import Moments, moments_of
from guidebench.results import Disagreement
from guidebench.results.noise import allowance


def disagreement(one: Reference, other: Reference) -> Disagreement | None:
    """Return how two references contradict each other, or ``None``.

    They do where a mean differs by more than 0.1 sd or an sd by more than 15 %, by more than the noise of the worst of
    so many components.
    """
    moments, theirs = _moments(one), _moments(other)
    shared = [name for name in moments if name in theirs]
    noise = allowance(len(shared))
    each = {name: apart(moments[name], theirs[name], noise) for name in shared}
    found = sorted(((name, by) for name, by in each.items() if by is not None), key=lambda one: -one[1].beyond)
    if not found:
        return None
    name, worst = found[0]
    pair = moments[name], theirs[name]
    told = " and ".join(
        f"by {label} {name} has mean {own.mean:.4g} and sd {own.sd:.3g}"
        for label, own in zip((one.label, other.label), pair, strict=True)
    )
    return Disagreement(
        between=(one.label, other.label),
        said=f"{told}, which is {worst.said}",
        components=tuple(name for name, _ in found),
        means=tuple(own.mean for own in pair),
        sds=tuple(own.sd for own in pair),
    )


def neither(found: Disagreement) -> Reference:
    """Return what stands in for two references that contradict each other."""
    first, second = found.between
    note = f"{first} and {second} disagree, so neither is taken for the truth: {found.said}."
    return Reference(disagreement=found, note=note[:1].upper() + note[1:])


def unvisited(reference: Reference, landscape: Landscape, target: Target, began: int) -> Disagreement | None:
    """Return how chains contradict the search: modes that matter, where none of them began or came by.

    Parameters
    ----------
    reference : Reference
        Draws of chains.
    landscape : Landscape
        What the search found.
    target : Target
        Whose coordinates these are in.
    began : int
        At how many of the modes, the heaviest, chains began: they left those that they have no draws at.
    """
    modes = landscape.modes
    if len(modes) <= began:
        return None
    total = len(next(iter(reference.draws.values())))
    chosen = np.arange(min(total, MOST)) * total // min(total, MOST)  # some of every chain
    points = Unconstrain(target)({name: value[chosen] for name, value in reference.draws.items()})
    counts = np.bincount(nearest(modes, points[np.isfinite(points).all(axis=1)]), minlength=len(modes))
    missed = {number for number in range(began, len(modes)) if not counts[number]}
    if not missed or not (moved := moved_without(modes, missed)) > HALF_WRONG:
        return None
    said = (
        f"{reference.label} has no draws at {len(missed)} of the {len(modes)} modes that the search found, at none of "
        f"which its chains began; without them a moment would be off by {moved:.2f} sd"
    )
    return Disagreement(between=(reference.label, "the search"), said=said)


def _moments(reference: Reference) -> Mapping[str, Moments]:
    return moments_of(reference.draws, reference.effective, varying=True)
