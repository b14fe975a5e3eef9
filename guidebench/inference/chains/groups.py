r"""Groups of chains that begin in different places: where all of them settle, and in the same place, is the posterior.

One group begins at the best Gaussian that a search found, one at a wider one (of many coordinates: wider in some,
others in every chain, so that few chains are far out in each), and one at every mode.  Chains of a group that is alone
may all miss what none of them reaches; groups from different places that agree in all means and sds are harder to fool
(Margossian et al. 2024, nested R-hat, doi:10.1214/24-BA1453, compares such groups by their variances; here their
moments are held against the errors that decide of a guide).  The wider group runs in coordinates that the first has
settled in: these decide how quickly chains arrive, not where, and are chosen anew where they do not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from guidebench.inference.chains.moves import CHAINS, MOST_DENSE, Moves
from guidebench.inference.chains.run import Settled, run_chains
from guidebench.inference.modes import Landscape
from guidebench.inference.peaks import log_volume
from guidebench.results.noise import allowance
from guidebench.results.work import Work, total

#: How much wider the second group begins: in all of as many coordinates as are whitened by a full matrix, and of more
#: in as many, others in every chain.  In all of a thousand it would begin with hundreds of nats too much energy.
WIDER = 2.0

#: Draws that stand for the place where a group begins, and numbers that they may hold.
DRAWS = 4_000
MOST_NUMBERS = 20_000_000

#: Groups agree where no mean differs by more sds and no sd by a larger share, beyond noise.
MEAN_APART, SD_APART = 0.07, 0.10

#: Gradients that are left where there is no end of them.
UNLIMITED = 2**62

#: Modes from which groups begin, at most.
MOST_GROUPS = 8


class Groups(NamedTuple):
    """What groups of chains came to: all of them, and why they are not to be believed (empty where they are).

    `work` is that of all groups that were run, settled or not.
    """

    found: tuple[Settled, ...]
    failure: str
    work: Work = Work()

    @property
    def gradients(self) -> int:
        """Gradients of all chains."""
        return sum(one.gradients for one in self.found)


def run_groups(
    moves: Moves, landscape: Landscape, seed: int, budget: int, left: Callable[[Work], int] = lambda work: UNLIMITED
) -> Groups:
    """Run every group until it settles, or the first of them does not.

    Parameters
    ----------
    moves : Moves
        The program of the posterior.
    landscape : Landscape
        What a search has found of it.
    seed : int
        Of all random numbers.
    budget : int
        Gradients of each group, at most.
    left : callable, optional
        ``left(work)`` returns how many gradients are left for more groups after that work.
    """
    found: list[Settled] = []
    rng = np.random.default_rng(seed)
    places = _places(landscape)
    if not places:
        return Groups((), "the search has found nothing to begin at")
    for number, (center, factor, widened) in enumerate(places):
        count = min(DRAWS, max(MOST_NUMBERS // len(center), CHAINS))
        noise = rng.standard_normal((count, len(center)))
        if widened != 1:
            noise[rng.random(noise.shape) < MOST_DENSE / len(center)] *= widened
        draws = center + (noise * factor if factor.ndim == 1 else noise @ factor.T)
        before = total(each.work for each in found)
        most = min(budget, left(before))
        if most < 1:
            return Groups(tuple(found), f"nothing was left for group {number + 1} of {len(places)}", before)
        over, pooled = partial(_over, left, before), min(len(places), 2)
        # Coordinates for what begins more widely at the same place are known from what began there.
        known = found[-1].points if widened != 1 and found else None
        one = run_chains(moves, draws, int(rng.integers(2**31)), most, over, pooled=pooled, whitened_by=known)
        if not one.settled:
            failure = f"group {number + 1} of {len(places)} did not settle: {one.note}"
            return Groups(tuple(found), failure, total(each.work for each in (*found, one)))
        apart = next((said for other in found if (said := _apart(one, other))), "")
        found.append(one)
        if apart:
            failure = f"groups from different places settled apart: {apart}"
            return Groups(tuple(found), failure, total(each.work for each in found))
    return Groups(tuple(found), "", total(each.work for each in found))


def _over(left: Callable[[Work], int], work: Work) -> bool:
    return left(work) < 1


def _places(landscape: Landscape) -> list[tuple[Float64[np.ndarray, " D"], np.ndarray, float]]:
    """Return centre and factor of the place where each group begins, and by how much its noise is widened."""
    found: list[tuple[np.ndarray, np.ndarray, float]] = []
    if landscape.best is not None:
        found = [(landscape.best.mean, landscape.best.factor, wider) for wider in (1.0, WIDER)]
    if len(landscape.modes) > 1 or not found:
        found += [(one.location, one.factor, 1.0) for one in landscape.modes[:MOST_GROUPS]]
    return [(center, factor, wider) for center, factor, wider in found if np.isfinite(log_volume(factor))]


def _apart(one: Settled, other: Settled) -> str:
    """Return by how much the moments of two groups differ for sure, or nothing."""
    worst, said = 0.0, ""
    noise = allowance(sum(value[0, 0].size for value in one.latents.values()))
    for name in one.latents:
        (mean, mean_error, sd, sd_error), (their_mean, their_mean_error, their_sd, their_sd_error) = (
            _moments(group.latents[name]) for group in (one, other)
        )
        scale = np.minimum(sd, their_sd)
        with np.errstate(all="ignore"):
            means = (np.abs(mean - their_mean) - noise * np.hypot(mean_error, their_mean_error)) / scale
            sds = (np.abs(sd - their_sd) - noise * np.hypot(sd_error, their_sd_error)) / scale
        for values, limit, text in ((means, MEAN_APART, "{:.2f} sd in a mean"), (sds, SD_APART, "{:.0%} in an sd")):
            value = float(np.max(np.nan_to_num(values, nan=0.0), initial=0.0))
            if value - limit > worst:
                worst, said = value - limit, f"{text.format(value)} of {name}"
    return said


def _moments(draws: Float64[np.ndarray, "C S ..."]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean and sd of every component of a site, each with its error over independent chains."""
    by_chain = draws.mean(axis=1)
    mean, sd = by_chain.mean(axis=0), draws.std(axis=(0, 1))
    squares = ((draws - mean) ** 2).mean(axis=1)
    root = np.sqrt(CHAINS)
    errors = by_chain.std(axis=0) / root, squares.std(axis=0) / (2 * np.maximum(sd, 1e-300)) / root
    return np.asarray(mean), np.asarray(errors[0]), np.asarray(sd), np.asarray(errors[1])  # of a scalar site, too
