"""Running chains from draws until they are believed, or cannot be."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float64

from guidebench.inference.chains.halves import Half, change, correlations, errors, remembered
from guidebench.inference.chains.moves import CHAINS, Moves
from guidebench.inference.chains.path import BLOCK
from guidebench.inference.chains.states import State
from guidebench.inference.chains.whitening import PROBES, Whitening, by_curvature, by_moments, plain
from guidebench.results.noise import allowance, worst
from guidebench.results.work import NOTHING, Work

#: Halves agree where no mean differs by more sds, and no sd by a larger share, beyond noise.
MOVED_MEAN, MOVED_SD = 0.05, 0.07

#: Largest error that the worst mean, in sds, and the worst sd, as a share, may have once chains are believed, and the
#: one up to which they go on while no more than a share of the budget, and so many gradients, are spent.
KNOWN, WELL_KNOWN = 0.08, 0.04
CHEAP, MOST_CHEAP = 0.25, 40_000

#: Largest rank correlation of first and last, noise taken off, of what is forgotten.
REMEMBERED = 0.15

#: Blocks since the last whitening after which chains are looked at; the number of the half is among them, too.
LOOKS = (4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512)

#: The first of them at which chains may be believed.
FIRST = 12

#: Gradients that this takes, at least, with four leapfrog steps for a transition: for fewer no program is compiled.
LEAST = FIRST * BLOCK * CHAINS * 4

#: Acceptance that steps are adapted to; the next of them where paths lose their energy, in more than a share.
ACCEPT = 0.8, 0.95, 0.99
MOST_LOST = 0.001

#: Acceptance, in the last block, below which it is asked whether the slopes are to blame.
LOW = 0.4

#: Blocks of the most careful steps after which chains that lose so many times as many paths as they may are given up.
GIVEN_UP_AFTER, HOPELESS = 24, 5

#: Chains are whitened anew where a variance, in the coordinates they run in, is beyond these.
ROUND = 0.5, 2.0

#: How often, at most.
MOST_WHITENED = 6

#: Numbers that the draws kept of all chains may hold.
MOST_KEPT = 20_000_000


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What chains came to.

    Attributes
    ----------
    settled : bool
        Whether they have forgotten where they began and arrived.
    note : str
        Why not; empty where they have.
    transitions, gradients : int
        Transitions of each chain, and gradients of all of them.
    acceptance : float
        Mean acceptance probability of the last block.
    remembered : float
        Largest rank correlation of first and last over all quantities, noise taken off.
    drift : float
        Largest change of a mean, in sds, or of an sd, as a share, from the first half to the second, noise taken off.
    latents : dict of str to ndarray
        Draws of the second half by latent site, shape ``(C, S, ...)``; empty where they have not settled.
    points : ndarray
        Some of them in unconstrained coordinates, shape ``(N, D)``.
    work : Work
        The gradients of all leapfrog steps, and those where chains began and were whitened anew; the densities at the
        ends of paths in single precision.
    unknown : tuple of str
        Sites of which chains that have not settled tell nothing: a moment still moves, is not known well enough, or
        they remember where they began.  Nothing where it is not one site that keeps them.
    """

    settled: bool
    note: str
    transitions: int
    gradients: int
    acceptance: float
    remembered: float
    drift: float
    latents: dict[str, Float64[np.ndarray, "C S ..."]]
    points: Float64[np.ndarray, "N D"]
    work: Work = NOTHING
    unknown: tuple[str, ...] = ()


#: Of the first step size, in units of the whitening, at one dimension.
FIRST_STEP = 1.2

_MARKED = frozenset(look // 2 for look in LOOKS)


class _Look(NamedTuple):
    """What chains look like at one time."""

    remembered: float
    mean_drift: float
    sd_drift: float
    mean_known: float
    sd_known: float
    lost: float
    wanted: float

    @property
    def known(self) -> float:
        """How well moments are known, means in sds and sds as a share."""
        return max(self.mean_known, self.sd_known)

    @property
    def believed(self) -> bool:
        return (
            self.remembered <= REMEMBERED
            and self.mean_drift <= MOVED_MEAN
            and self.sd_drift <= MOVED_SD
            and self.mean_known <= self.wanted
            and self.sd_known <= KNOWN
            and self.lost <= MOST_LOST
        )

    def note(self) -> str:
        """Return what is not as it has to be."""
        if self.lost > MOST_LOST:
            return f"{self.lost:.1%} of their paths met what is too narrow for their steps"
        if self.remembered > REMEMBERED:
            return f"chains still remember where they began (rank correlation {self.remembered:.2f})"
        if self.mean_drift > MOVED_MEAN or self.sd_drift > MOVED_SD:
            return f"moments still move (a mean by {self.mean_drift:.2f} sd, an sd by {self.sd_drift:.0%})"
        return f"moments are known no better than to {self.mean_known:.2f} sd and {self.sd_known:.0%} of an sd"


class _Run:
    """Chains on their way: what was seen of them since they were whitened last."""

    def __init__(
        self,
        moves: Moves,
        draws: Float64[np.ndarray, "S D"],
        seed: int,
        wanted: float,
        whitened_by: Float64[np.ndarray, "N D"] | None,
    ) -> None:
        self.moves, self.seed, self.wanted = moves, seed, wanted
        rng = np.random.default_rng(seed)
        enough = len(draws) >= CHAINS
        chosen = rng.permutation(len(draws))[:CHAINS] if enough else rng.integers(0, len(draws), CHAINS)
        self.gradients = self.densities = self.beginnings = 0
        self.known = whitened_by is not None
        self.whitening = self._whitened(draws if whitened_by is None else whitened_by, arrived=self.known)
        self.state = self._begun(draws[chosen])
        raw = moves.watched(self.state, self.whitening)
        finite = raw[np.isfinite(raw).all(axis=1)]
        self.offset, scale = finite.mean(axis=0), finite.std(axis=0)
        self.scale, self.least = np.where(scale > 0, scale, 1.0), np.full(len(scale), 1e-300)
        # All sds off by a share move the log density by D times that: it counts in units of the dimension, too.
        energy = moves.posterior.energy
        self.scale[energy] = max(self.scale[energy], moves.posterior.dim / 4)
        self.least[energy] = 1.0
        self.first = (raw - self.offset) / self.scale
        self.blocks = self.whitened = self.careful = 0
        self.acceptance = 0.0
        #: The halves, and where the chains were, at the last look.
        self.looked: tuple[Half, Half, np.ndarray] | None = None
        self._begin()

    def _begin(self) -> None:
        empty = np.zeros((CHAINS, self.moves.posterior.count))
        self.seen, self.lost = Half(empty, empty, 0), 0
        self.marks: dict[int, tuple[Half, np.ndarray, int]] = {}
        self.kept: list[tuple[int, np.ndarray]] = []
        self._every = 1
        accept = ACCEPT[self.careful]
        self._given = self.moves.given(self.whitening, self.offset, self.scale, accept, single=self.single)

    def _begun(self, u: Float64[np.ndarray, "C D"]) -> State:
        """Return the state of chains at these points."""
        state = self.moves.begin(u, self.whitening, FIRST_STEP * self.moves.posterior.dim**-0.25)
        #: Whether paths go by slopes in single precision from there.
        self.single = self.moves.single_will_do(state, self.whitening)
        self.beginnings += CHAINS * (1 + self.moves.offers_single)
        return state

    def _whitened(self, points: Float64[np.ndarray, "S D"], *, arrived: bool) -> Whitening:
        """Return the whitening by points: those of a guide, or of chains that have moved away from it."""
        if self.moves.dense:
            return plain(by_moments(points, dense=True))
        found, products = by_curvature(points, partial(self.moves.curvature, points), arrived=arrived)
        self.gradients += 2 * PROBES * products
        return found

    @property
    def length(self) -> int:
        """Blocks since the last whitening."""
        return self.seen.length // BLOCK

    def step(self) -> None:
        """Take one block of transitions."""
        key = jax.random.fold_in(jax.random.key(self.seed), self.blocks)
        self.state, found = self.moves.advance(self.state, key, self._given)
        sums, squares, self.last, acceptance, gradients, lost = jax.device_get(found)
        self.seen = Half(self.seen.sums + sums, self.seen.squares + squares, self.seen.length + BLOCK)
        self.blocks += 1
        self.gradients += int(gradients)
        self.densities += CHAINS * BLOCK * self.single
        self.acceptance = float(acceptance)
        self.lost += int(lost)
        if self.length in _MARKED:  # what is earlier than half of what there is, no look asks for any more
            self.marks = {at: mark for at, mark in self.marks.items() if 2 * at >= self.length}
            self.marks[self.length] = self.seen, self.last, self.lost
        self._keep()

    def _keep(self) -> None:
        """Keep where chains are now and then; every other time less often once there are too many."""
        if self.length % self._every:
            return
        self.kept.append((self.length, self.last.astype(np.float32)))
        if len(self.kept) > 2 * max(MOST_KEPT // self.last.size, 1):
            self._every *= 2
            self.kept = [one for one in self.kept if one[0] % self._every == 0] or self.kept[-1:]

    def look(self) -> _Look:
        """Return what the halves say."""
        first, middle, lost = self.marks[self.length // 2]
        second = self.seen.minus(first)
        self.looked = first, second, self.last
        found, noise = change(first, second, self.least), allowance(self.moves.posterior.count)
        own = errors(second, self.least)
        return _Look(
            remembered=remembered(self.first, self.last, middle),
            mean_drift=float(np.max(np.abs(found.mean) - noise * found.mean_error)),
            sd_drift=float(np.max(np.abs(found.sd) - noise * found.sd_error)),
            mean_known=worst(own[0]),
            sd_known=worst(own[1]),
            lost=(self.lost - lost) / (second.length * CHAINS),
            wanted=self.wanted,
        )

    def unknown(self) -> tuple[str, ...]:
        """Return the sites of a quantity that kept the chains from being believed when they were looked at last."""
        if self.looked is None:
            return tuple(self.moves.posterior.sizes)
        first, second, last = self.looked
        found, noise = change(first, second, self.least), allowance(self.moves.posterior.count)
        mean_error, sd_error = errors(second, self.least)
        beyond = (
            (np.abs(found.mean) - noise * found.mean_error > MOVED_MEAN)
            | (np.abs(found.sd) - noise * found.sd_error > MOVED_SD)
            | _badly_known(mean_error, self.wanted)
            | _badly_known(sd_error, KNOWN)
            | (correlations(self.first, last) - noise / math.sqrt(CHAINS) > REMEMBERED)
        )
        names = dict.fromkeys(self.moves.posterior.site_of(int(index)) for index in np.flatnonzero(beyond))
        return tuple(name for name in self.moves.posterior.sizes if name in names)

    def second_half(self) -> Float64[np.ndarray, "C S K"]:
        """Return the quantities, in their own units, where chains were now and then in the second half."""
        kept = [one for at, one in self.kept if at > self.length // 2] or [self.kept[-1][1]]
        found = np.stack(kept, axis=1, dtype=np.float64)
        found *= self.scale
        found += self.offset
        return found

    def latents(self) -> dict[str, Float64[np.ndarray, "C S ..."]]:
        """Return the same by latent site."""
        found, begin, draws = {}, 0, self.second_half()
        for name, size in self.moves.posterior.sizes.items():
            part = draws[..., begin : begin + size]
            found[name] = part.reshape(*draws.shape[:2], *self.moves.posterior.shapes[name])
            begin += size
        return found

    def points(self) -> Float64[np.ndarray, "S D"]:
        """Return unconstrained points of the second half."""
        if not self.moves.posterior.watches_u:
            return self.moves.unconstrained(self.state, self.whitening)
        return self.second_half()[..., -self.moves.posterior.dim :].reshape(-1, self.moves.posterior.dim)

    def leave_single(self) -> bool:
        """Ask again whether single precision does where chains are now; return whether they go on without it."""
        asked, before = self.single, self.state
        if not asked:
            return False
        self.state = self._begun(self.moves.unconstrained(before, self.whitening))
        if self.single:
            self.state = before  # nothing has changed
            return False
        self._begin()
        return True

    def go_carefully(self) -> bool:
        """Aim at a higher acceptance, by shorter steps, and forget what was seen; return whether that was possible."""
        if self.careful + 1 == len(ACCEPT):
            return False
        self.careful += 1
        self.state = self.state._replace(taken=jnp.zeros_like(self.state.taken))
        self._begin()
        return True

    def whiten(self, *, moving: bool) -> None:
        """Whiten anew by where chains are, where the coordinates do not fit them.

        In many coordinates a few directions were found by the curvature where chains were then; while means still move
        (`moving`), they are found anew in any case.  What others have settled in is left alone until there was time to
        arrive.
        """
        if self.known and self.blocks < FIRST:
            if moving:
                self._begin()
            return
        if self.whitened == MOST_WHITENED:
            return
        points, anew = self.points(), moving and not self.moves.dense
        if not anew and self._fits(points):
            return
        u = self.moves.unconstrained(self.state, self.whitening)
        self.whitening = self._whitened(points, arrived=True)
        self.state = self._begun(u)
        self.whitened += 1
        self._begin()

    def _fits(self, points: Float64[np.ndarray, "S D"]) -> bool:
        """Return whether points are about as wide in every direction, whitened."""
        z = self.whitening.inverse(points)
        variances = np.concatenate([z, z @ self.whitening.unclipped()], axis=1).var(axis=0)
        variances = variances[variances > 0]
        spread = [variances.min(), variances.max()]
        if self.moves.dense:
            edge = np.sqrt(min(z.shape[1] / CHAINS, 0.25))  # of the eigenvalues of noise
            values = np.linalg.eigvalsh(np.cov(z.T).reshape(z.shape[1], -1))
            spread += [values.min() / (1 - edge) ** 2, values.max() / (1 + edge) ** 2]
        return bool(min(spread) >= ROUND[0] and max(spread) <= ROUND[1])


def _badly_known(errors: Float64[np.ndarray, " K"], limit: float) -> Bool[np.ndarray, " K"]:
    """Return which of these errors are beyond a limit once the worst of them are allowed for."""
    finite = np.isfinite(errors)
    largest = errors[finite].max(initial=0.0)
    times = worst(errors[finite]) / largest if largest > 0 else 1.0
    return np.asarray(~finite | (errors * times > limit))


def run_chains(
    moves: Moves,
    draws: Float64[np.ndarray, "S D"],
    seed: int,
    budget: int,
    over: Callable[[], bool] = lambda: False,
    *,
    pooled: int = 1,
    whitened_by: Float64[np.ndarray, "N D"] | None = None,
) -> Settled:
    """Run chains from draws until they are believed, or the budget is spent.

    Parameters
    ----------
    moves : Moves
        The program of the posterior.
    draws : ndarray
        Unconstrained draws of a guide, shape ``(S, D)``.
    seed : int
        Of all random numbers.
    budget : int
        Gradients, at most (but for those of the last block).
    over : callable, optional
        Is asked before every block whether there is to be no more.
    pooled : int, optional
        Runs whose draws are put together: of means, less is asked of each, by so much that all come to the same.  Of
        sds not, for in heavy tails their errors look smaller than they are.
    whitened_by : ndarray, optional
        Points of other chains that have settled, shape ``(N, D)``, that whiten the coordinates; else the draws do.
    """
    share = math.sqrt(pooled)
    with np.errstate(all="ignore"):
        run, look = _Run(moves, draws, seed, KNOWN * share, whitened_by), None
        while run.gradients < budget and run.length < LOOKS[-1] and not over():
            run.step()
            if run.length not in LOOKS:
                continue
            look = run.look()
            cheap = min(CHEAP * budget, MOST_CHEAP / pooled)
            well = look.mean_known <= WELL_KNOWN * share and look.sd_known <= WELL_KNOWN
            enough = well or run.gradients >= cheap
            if look.believed and enough and run.length >= FIRST:
                break
            if run.length >= FIRST and run.acceptance < LOW and run.leave_single():
                continue
            if run.length >= FIRST and look.lost > MOST_LOST:
                if run.leave_single() or run.go_carefully():
                    continue
                if run.length >= GIVEN_UP_AFTER and look.lost > HOPELESS * MOST_LOST:
                    break
            if run.length <= FIRST or look.remembered > REMEMBERED:
                run.whiten(moving=look.mean_drift > MOVED_MEAN)
        believed = look is not None and look.believed and run.length >= FIRST
    return Settled(
        settled=believed,
        note="" if believed else _note(run, look, budget),
        transitions=run.blocks * BLOCK,
        gradients=run.gradients,
        acceptance=run.acceptance,
        remembered=1.0 if look is None else look.remembered,
        drift=math.inf if look is None else max(look.mean_drift, look.sd_drift),
        latents=run.latents() if believed else {},
        points=run.points() if believed else np.zeros((0, moves.posterior.dim)),
        work=Work(gradients=run.gradients + run.beginnings, densities=run.densities),
        unknown=() if believed else run.unknown(),
    )


def _note(run: _Run, look: _Look | None, budget: int) -> str:
    """Return why chains have not settled, and whether that is for want of gradients."""
    spent = f"their {budget:,} gradients were spent" if run.gradients >= budget else "they had gone on for long enough"
    if look is None:
        return f"{spent} before there was anything to see"
    if look.lost > HOPELESS * MOST_LOST and run.gradients < budget:
        spent = "the shortest of their steps were still too long"
    return f"{look.note()} after {run.blocks * BLOCK} transitions, when {spent}"
