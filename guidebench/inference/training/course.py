"""The course of a training under fixed noise: starts, samples that grow, and the polish at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from guidebench.inference.convergence import tolerance
from guidebench.inference.training.lbfgs import Path, Point, minimise
from guidebench.inference.training.noise import ENOUGH
from guidebench.inference.training.objective import Objective, Sample
from guidebench.inference.training.polish import polish
from guidebench.inference.training.results import Callbacks

#: Draws of the first fixed sample, at least, and per number of noise where second moments have to be exact; up to how
#: many such numbers that is cheap for a guide of independent coordinates; how samples grow, and how far.
FIRST = 32
PER_NUMBER = 3.0
FEW = 256
GROWTH = 4
LARGEST = 8_192

#: Draws under which two guides are compared at first, and doublings of them.
COMPARED = 256
DOUBLINGS = 4

#: Iterations of L-BFGS on one sample, and on a loss without noise; how often it is begun anew there.
ITERATIONS = 300
AT_A_POINT = 1_000
ANEW = 4

#: The gain below which a loss without noise has been minimised, in nats.
NEXT_TO_NOTHING = 1e-7

#: What a step down one coordinate promises to gain, in nats, that sees whether there is a bottom; how many are tried.
HOPED = 0.1
MOST_TRIED = 200

#: Steps of the first polish, and the largest peak of its rate; each further one has twice the steps and draws.
STEPS = 300
RATE = 0.02

#: Calls that the noise of the gradient is measured from, and the way, in all steps, below which none are worth taking.
MEASURED = 12
SHORTEST = 0.05

#: Seconds between two words on how far training is.
PAUSE = 0.2

#: The first parameters are moved by so much over the root of the dimension: a saddle is no place to start from.
NUDGE = 0.1

#: Iterations over which L-BFGS must gain something, and what share of what counts: under the first sample, which costs
#: little, and without noise; and under larger ones, or after a rough one, near an optimum.
LONG, TIGHT = 5, 1 / 40
WINDOW, LOOSE = 2, 1 / 10

#: Share of what counts that iterations must gain under a rough sample before the first; how many times it is smaller.
ROUGH = 2.0
ENOUGH_FEWER = 4


class Leg(NamedTuple):
    """How far one start has come.

    Attributes
    ----------
    theta : ndarray
        Its parameters, flat and unconstrained, shape ``(K,)``.
    losses : tuple of float
        Of every iteration so far.
    points : tuple of Point
        The parameters after them, or after some of them.
    level : bool
        Whether nothing more was to be gained where it ended.
    """

    theta: Float64[np.ndarray, " K"]
    losses: tuple[float, ...] = ()
    points: tuple[Point, ...] = ()
    level: bool = False

    def after(self, path: Path) -> Leg:
        """Return the leg with another minimisation behind it."""
        points = [Point(len(self.losses) + iteration, point) for iteration, point in path.points]
        return Leg(path.point, (*self.losses, *path.losses), (*self.points, *points), path.level)


class Found(NamedTuple):
    """What comes of all starts.

    Attributes
    ----------
    legs : tuple of Leg
        Of every start that was tried.
    best : int
        Which of them went on to the end.
    losses : tuple of float
        What each is worth: minus its ELBO under common draws, or the loss of a point.
    polished : tuple of tuple of float
        The losses of each polish of the best.
    skipped : int
        Steps that were not taken in them.
    """

    legs: tuple[Leg, ...]
    best: int
    losses: tuple[float, ...]
    polished: tuple[tuple[float, ...], ...] = ()
    skipped: int = 0


class Polishes(NamedTuple):
    """Where the best start is after its polishes, the losses of each, and how many of their steps were not taken."""

    leg: Leg
    losses: tuple[tuple[float, ...], ...]
    skipped: int


class Gain(NamedTuple):
    """By how much one guide's ELBO is above another's under common draws, in nats, and the standard error."""

    mean: float
    error: float


def gain(before: Float64[np.ndarray, " S"], after: Float64[np.ndarray, " S"]) -> Gain:
    """Compare log weights under common draws; what is not finite is infinitely bad."""
    if not np.isfinite(after).all():
        return Gain(-np.inf, 0.0)
    if not np.isfinite(before).all():
        return Gain(np.inf, 0.0)
    difference = after - before
    return Gain(float(np.mean(difference)), float(np.std(difference, ddof=1)) / len(difference) ** 0.5)


def rough(mixed: int, count: int) -> tuple[int, ...]:
    """Return the size of a sample before the first, which has `count` draws, where a much smaller one is of use.

    Where a matrix mixes few of the numbers, correlations with these are all that it could be fitted to at once.  What
    else a small sample only happens to have is fitted to more slowly than the posterior, and soon left.
    """
    few = 2 * (int(np.ceil(ENOUGH * mixed)) + FIRST)
    return (few,) if mixed and ENOUGH_FEWER * few <= count else ()


class Clock:
    """Counts evaluations, and says when it is time to tell of them."""

    def __init__(self) -> None:
        self._done, self._told = 0, time.perf_counter()
        #: Whether whoever was told wants training to end.
        self.over = False

    def step(self) -> int:
        """Return how many evaluations there have been, or 0 where that was told a moment ago."""
        self._done += 1
        now = time.perf_counter()
        if now - self._told < PAUSE:
            return 0
        self._told = now
        return self._done


@dataclass(frozen=True, kw_only=True)
class Course:
    """What stays the same throughout.

    Attributes
    ----------
    objective : Objective
        The loss.
    dim : int
        Latent coordinates, D.
    most : int
        Gradients that may be spent.
    callbacks : Callbacks
        Whom to tell.
    clock : Clock
        When.
    """

    objective: Objective
    dim: int
    most: int
    callbacks: Callbacks
    clock: Clock = field(default_factory=Clock)

    @property
    def worth(self) -> float:
        """What a sample must have gained for a larger one to be worth it, in nats.

        Four times the draws leave a quarter of the bias, so three quarters of it show as a gain: what is left is a
        third of that.
        """
        return tolerance(self.dim)

    def to_modes(self, points: Float64[np.ndarray, "R K"]) -> Found:
        """Take a point from every start to a mode."""
        nothing = self.objective.fixed(1)
        legs = tuple(self._to_mode(point, nothing) for point in points)
        losses = tuple(self.objective.slope(leg.theta, nothing)[0] for leg in legs)
        return Found(legs, _lowest(losses), losses)

    def _to_mode(self, point: Float64[np.ndarray, " K"], nothing: Sample) -> Leg:
        leg, still = Leg(point), False
        for _ in range(ANEW):  # where curvatures differ much, a fresh memory goes on
            before, _ = self.objective.slope(leg.theta, nothing)
            leg = leg.after(
                minimise(
                    lambda at: self._told(at, nothing), leg.theta, gain=NEXT_TO_NOTHING, window=LONG, most=AT_A_POINT
                )
            )
            after, _ = self.objective.slope(leg.theta, nothing)
            still = before - after < NEXT_TO_NOTHING  # as where steps are lost in rounding, at the mode itself
            if still:
                break
        return leg._replace(level=(leg.level or still) and not self._falls(leg.theta, nothing))

    def _falls(self, theta: Float64[np.ndarray, " K"], nothing: Sample) -> bool:
        """Return whether the loss goes on falling along a coordinate, as where a density has no maximum.

        There L-BFGS may come to a halt between walls that grow ever steeper, and the whole gradient points at these.
        """
        value, slope = self.objective.slope(theta, nothing)
        for index in np.flatnonzero(slope)[:MOST_TRIED]:
            along = theta.copy()
            along[index] -= HOPED / slope[index]
            if value - self.objective.slope(along, nothing)[0] > HOPED / 3:
                return True
        return False

    def to_optimum(self, points: Float64[np.ndarray, "R K"], *, standard: bool, all_starts: bool) -> Found:
        """Take a Gaussian guide to its optimum from the best of the starts."""
        count = self._first(points.shape[1])
        samples = [self.objective.fixed(size) for size in (*rough(self.objective.mixed, count), count)]
        legs: list[Leg] = []
        for index, point in enumerate(points):
            if legs and self.clock.over:
                break
            if index >= 2 and not all_starts and self._alike(*legs[:2]):
                break
            begun = self._at_gaussian(point, samples[0]) if standard and index == 0 else self._nudged(point)
            legs.append(self._brought_near(Leg(begun), *samples))
        losses = tuple(float(-np.mean(self.objective.compared(leg.theta, COMPARED))) for leg in legs)
        best = _lowest(losses)
        polished = self._polished(self._grown(legs[best], count, samples[-1]))
        legs[best] = polished.leg
        return Found(tuple(legs), best, losses, polished.losses, polished.skipped)

    def _alike(self, one: Leg, other: Leg) -> bool:
        """Return whether two starts came to guides that are as good."""
        found = gain(*(self.objective.compared(leg.theta, COMPARED) for leg in (one, other)))
        return abs(found.mean) <= max(3 * found.error, tolerance(self.dim))

    def _brought_near(self, leg: Leg, *samples: Sample) -> Leg:
        """Take a start to its optimum under the last sample; one before it only shortens the way."""
        *before, first = samples
        for sample in before:
            on = leg.after(self._minimise(leg.theta, sample, WINDOW, ROUGH))
            leg = on if self._gain(leg, on).mean > 0 else leg
        return leg.after(self._minimise(leg.theta, first, *((WINDOW, LOOSE) if before else (LONG, TIGHT))))

    def _first(self, parameters: int) -> int:
        """Return the size of the first sample.

        A guide with a matrix of parameters would fit the second moments of a few draws in the place of the posterior:
        it gets as many as it takes to have these exact, or the largest sample there is.
        """
        return max(FIRST, min(self._exact(), LARGEST) if parameters > 2 * self.dim else 0)

    def _exact(self) -> int:
        """Return how many draws can have exact second moments."""
        return int(np.ceil(PER_NUMBER * self.objective.size))

    def _nudged(self, point: Float64[np.ndarray, " K"]) -> Float64[np.ndarray, " K"]:
        rng = np.random.default_rng(len(point))
        return np.asarray(point + NUDGE / np.sqrt(self.dim) * rng.standard_normal(len(point)))

    def _at_gaussian(self, point: Float64[np.ndarray, " K"], sample: Sample) -> Float64[np.ndarray, " K"]:
        """Return the parameters at which a guide is the standard normal of the standardised coordinates."""
        path = minimise(
            lambda theta: self.objective.slope(theta, sample, plain=True),
            point,
            gain=1e-4 * self.dim,
            window=WINDOW,
            most=ITERATIONS,
        )
        return self._nudged(path.point)

    def _grown(self, leg: Leg, count: int, sample: Sample) -> Leg:
        """Take a guide on under larger and larger samples, until they gain nothing on fresh draws.

        Where none is larger, another one of the same size says how much is left to gain.
        """
        size = max(GROWTH * count, self._exact() if self.objective.size <= FEW else 0)
        if size > LARGEST:
            return leg._replace(level=leg.level and abs(self._excess(leg, sample, count)) < self.worth)
        leg = leg._replace(level=False)
        while size <= LARGEST and self.objective.gradients < self.most / 2 and not self.clock.over:
            on = leg.after(self._minimise(leg.theta, self.objective.fixed(size)))
            found = self._gain(leg, on)
            settled = on.level and abs(found.mean) - found.error < self.worth
            leg = on._replace(theta=on.theta if found.mean > 0 else leg.theta, level=settled)
            if settled:
                break
            size *= GROWTH
        return leg

    def _excess(self, leg: Leg, sample: Sample, count: int) -> float:
        r"""Return how far a guide's loss is above its optimum, in nats, as its own sample and another one let expect.

        .. math:: \mathrm{E}[L_n(\theta_n)] \le L^* \le L(\theta_n)

        for the guide :math:`\theta_n` that is the best under a sample, on average over samples whose mean is that of
        all noise, as is nearly so of balanced ones (Mak, Morton & Wood 1999, doi:10.1016/S0167-6377(98)00054-6).  Where
        draws are many the optimum is halfway.  Of least squares with as many unknowns to a coordinate as there are
        numbers of noise, a share :math:`\gamma` of the pairs, it is a part :math:`1 / (2 - \gamma)` of the way down;
        in trials with full-rank guides it was .56 to .64 of it where that says .56 to .75.
        """
        gap = (
            self.objective.slope(leg.theta, self.objective.fixed(count))[0] - self.objective.slope(leg.theta, sample)[0]
        )
        return gap / max(2 - 2 * self.objective.size / count, 1.0)

    def _gain(self, before: Leg, after: Leg) -> Gain:
        """Compare two guides, with as many draws as it takes to see what counts."""
        for doubling in range(DOUBLINGS + 1):
            count = COMPARED * 2**doubling
            found = gain(*(self.objective.compared(leg.theta, count) for leg in (before, after)))
            clear = found.mean + 3 * found.error < 0 or found.mean - 3 * found.error > self.worth
            if clear or found.error <= self.worth / 4:
                break
        return found

    def _polished(self, leg: Leg) -> Polishes:
        """Take a guide to its end, by one polish after another until one gains nothing."""
        losses: list[tuple[float, ...]] = []
        skipped, steps, draws = 0, STEPS, self.objective.at_once
        while self.objective.gradients + steps * draws <= self.most and not self.clock.over:
            rate = self._rate(leg, draws)
            if rate * steps < SHORTEST:  # steps could only add noise
                break
            found = polish(partial(self._noisy, draws), leg.theta, steps=steps, rate=rate)
            losses.append(found.losses)
            skipped += found.skipped
            on = leg._replace(theta=found.point)
            won = self._gain(leg, on)
            done = won.mean < self.worth
            leg = leg._replace(theta=on.theta if won.mean > 0 else leg.theta, level=leg.level and done)
            if done:
                break
            leg = leg._replace(level=True)  # it is for the next one to say
            steps, draws = 2 * steps, 2 * draws
        return Polishes(leg, tuple(losses), skipped)

    def _rate(self, leg: Leg, draws: int) -> float:
        r"""Return the rate of a polish that can add no more than a quarter of what is worth anything.

        About an optimum with curvature h steps of size :math:`\eta` under gradients of noise :math:`\sigma` wander
        about with a mean loss of :math:`\eta \sigma^2 / 4` above it; Adam's are :math:`\eta = r / \sigma`.
        """
        slopes = [self._noisy(draws, leg.theta)[1] for _ in range(MEASURED)]
        noise = float(np.sum(np.std(slopes, axis=0, ddof=1)))
        return min(RATE, self.worth / noise) if noise > 0 else RATE

    def _noisy(self, draws: int, theta: Float64[np.ndarray, " K"]) -> tuple[float, Float64[np.ndarray, " K"]]:
        return self._told(theta, self.objective.fresh(draws))

    def _minimise(
        self, theta: Float64[np.ndarray, " K"], sample: Sample, window: int = WINDOW, share: float = LOOSE
    ) -> Path:
        return minimise(
            lambda at: self._told(at, sample), theta, gain=share * self.worth, window=window, most=ITERATIONS
        )

    def _told(self, theta: Float64[np.ndarray, " K"], sample: Sample) -> tuple[float, Float64[np.ndarray, " K"]]:
        """Return loss and gradient, and tell of it now and then."""
        value, slope = self.objective.slope(theta, sample)
        if self.callbacks.on_chunk is not None:
            done = self.clock.step()
            if done and self.callbacks.on_chunk(done, max(done, ITERATIONS + STEPS), value):
                self.clock.over = True
        return value, slope


def _lowest(losses: list[float] | tuple[float, ...]) -> int:
    return int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))
