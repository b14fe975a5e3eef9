"""The course of a training under fixed noise: starts, samples that grow, and the polish at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from guidebench.inference.convergence import TOLERANCE, tolerance
from guidebench.inference.training.lbfgs import Path, minimise
from guidebench.inference.training.objective import Objective, Sample
from guidebench.inference.training.polish import polish
from guidebench.inference.training.results import Callbacks

#: Draws of the first fixed sample: at least, and per parameter of a coordinate; how samples grow, and how far.
FIRST = 32
PER_PARAMETER = 8
GROWTH = 4
LARGEST = 8_192

#: Draws under which two guides are compared, and at most.
COMPARED = 256
MOST_COMPARED = 4_096

#: Iterations of L-BFGS on one sample, and on a loss without noise; how often it is begun anew there.
ITERATIONS = 300
AT_A_POINT = 1_000
ANEW = 4

#: The gain below which a loss without noise has been minimised, in nats.
NEXT_TO_NOTHING = 1e-7

#: Steps of the first polish and the peak of its rate; each further one has twice the steps and draws, at half the rate.
STEPS = 300
RATE = 0.02

#: The first parameters are moved by so much over the root of the dimension: a saddle is no place to start from.
NUDGE = 0.1


class Leg(NamedTuple):
    """How far one start has come.

    Attributes
    ----------
    theta : ndarray
        Its parameters, flat and unconstrained, shape ``(K,)``.
    losses, points : tuple
        Of every iteration so far, and the parameters there.
    level : bool
        Whether nothing more was to be gained where it ended.
    """

    theta: Float64[np.ndarray, " K"]
    losses: tuple[float, ...] = ()
    points: tuple[Float64[np.ndarray, " K"], ...] = ()
    level: bool = False

    def after(self, path: Path) -> Leg:
        """Return the leg with another minimisation behind it."""
        return Leg(path.point, (*self.losses, *path.losses), (*self.points, *path.points), path.level)


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
    return Gain(float(np.mean(difference)), float(np.std(difference, ddof=1) / np.sqrt(len(difference))))


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
    """

    objective: Objective
    dim: int
    most: int
    callbacks: Callbacks

    @property
    def tolerance(self) -> float:
        """What a sample must still gain for a larger one to be worth it, in nats: a quarter of what counts."""
        return tolerance(self.dim) / 4

    def to_modes(self, points: Float64[np.ndarray, "R K"]) -> Found:
        """Take a point from every start to a mode."""
        nothing = self.objective.fixed(1)
        legs = tuple(self._to_mode(point, nothing) for point in points)
        losses = tuple(self.objective.slope(leg.theta, nothing)[0] for leg in legs)
        return Found(legs, _lowest(losses), losses)

    def _to_mode(self, point: Float64[np.ndarray, " K"], nothing: Sample) -> Leg:
        leg = Leg(point)
        for _ in range(ANEW):  # where curvatures differ much, a fresh memory goes on
            before, _ = self.objective.slope(leg.theta, nothing)
            leg = leg.after(self._minimise(leg.theta, nothing, NEXT_TO_NOTHING, AT_A_POINT))
            after, slope = self.objective.slope(leg.theta, nothing)
            if before - after < NEXT_TO_NOTHING:
                break
        return leg

    def to_optimum(self, points: Float64[np.ndarray, "R K"], *, standard: bool, all_starts: bool) -> Found:
        """Take a Gaussian guide to its optimum from the best of the starts."""
        sample, compared = self.objective.fixed(self._first(points.shape[1])), self.objective.fresh(COMPARED)
        legs: list[Leg] = []
        weights: list[Float64[np.ndarray, " S"]] = []
        for index, point in enumerate(points):
            if index >= 2 and not all_starts and self._alike(weights):
                break
            begun = self._at_gaussian(point, sample) if standard and index == 0 else self._nudged(point)
            legs.append(Leg(begun).after(self._minimise(begun, sample, self.tolerance / 5, ITERATIONS)))
            weights.append(self.objective.log_weights(legs[-1].theta, compared))
        losses = [float(-np.mean(one)) for one in weights]
        best = _lowest(losses)
        leg = self._grown(legs[best], len(sample))
        return self._polished(leg, legs, best, losses)

    def _alike(self, weights: list[Float64[np.ndarray, " S"]]) -> bool:
        """Return whether the first two starts came to guides that are as good."""
        found = gain(*weights[:2])
        return abs(found.mean) <= max(3 * found.error, tolerance(self.dim))

    def _first(self, parameters: int) -> int:
        """Return the size of the first sample: with too few draws a matrix of parameters fits them, not the posterior."""
        wanted = max(FIRST, PER_PARAMETER * parameters / self.dim)
        return int(2 ** np.ceil(np.log2(wanted)))

    def _nudged(self, point: Float64[np.ndarray, " K"]) -> Float64[np.ndarray, " K"]:
        rng = np.random.default_rng(len(point))
        return point + NUDGE / np.sqrt(self.dim) * rng.standard_normal(len(point))

    def _at_gaussian(self, point: Float64[np.ndarray, " K"], sample: Sample) -> Float64[np.ndarray, " K"]:
        """Return the parameters at which a guide is the standard normal of the standardised coordinates."""
        path = minimise(
            lambda theta: self.objective.slope(theta, sample, plain=True), point, gain=1e-4 * self.dim, most=ITERATIONS
        )
        return self._nudged(path.point)

    def _grown(self, leg: Leg, chunks: int) -> Leg:
        """Take a guide on under larger and larger samples, until they gain nothing on fresh draws."""
        at_once = self.objective.at_once
        size = chunks * at_once
        while size * GROWTH <= LARGEST and self.objective.gradients < self.most / 2:
            size *= GROWTH
            sample = self.objective.fixed(size)
            on = leg.after(self._minimise(leg.theta, sample, self.tolerance / 5, ITERATIONS))
            found = self._gain(leg, on)
            leg = on if found.mean > 0 else on._replace(theta=leg.theta)
            if on.level and abs(found.mean) + found.error < self.tolerance:
                break
            leg = leg._replace(level=False)
        return leg

    def _gain(self, before: Leg, after: Leg) -> Gain:
        """Compare two guides, with as many fresh draws as it takes to see what counts."""
        weights: tuple[list[Float64[np.ndarray, " S"]], ...] = ([], [])
        count = COMPARED
        while True:
            sample = self.objective.fresh(count)
            for own, leg in zip(weights, (before, after), strict=True):
                own.append(self.objective.log_weights(leg.theta, sample))
            found = gain(*(np.concatenate(own) for own in weights))
            if found.error <= self.tolerance / 2 or count >= MOST_COMPARED or not np.isfinite(found.mean):
                return found
            count *= 2

    def _polished(self, leg: Leg, legs: list[Leg], best: int, losses: list[float]) -> Found:
        """Take the best to its end, by one polish after another until one gains nothing."""
        polished: list[tuple[float, ...]] = []
        skipped = 0
        steps, draws, rate = STEPS, self.objective.at_once, RATE
        settled = False
        while not settled and self.objective.gradients + steps * draws <= self.most:
            done = polish(
                lambda theta, draws=draws: self._told(theta, self.objective.fresh(draws)), leg.theta, steps=steps, rate=rate
            )
            polished.append(done.losses)
            skipped += done.skipped
            on = leg._replace(theta=done.point)
            found = self._gain(leg, on)
            settled = leg.level and found.mean - 2 * found.error < tolerance(self.dim) and 3 * found.error <= 5 * tolerance(self.dim)
            leg = on._replace(level=True) if found.mean > 0 else leg._replace(level=True)
            steps, draws, rate = 2 * steps, 2 * draws, rate / 2
        legs[best] = leg._replace(level=settled)
        return Found(tuple(legs), best, tuple(losses), tuple(polished), skipped)

    def _minimise(self, theta: Float64[np.ndarray, " K"], sample: Sample, worth: float, most: int) -> Path:
        return minimise(lambda at: self._told(at, sample), theta, gain=worth, most=most)

    def _told(self, theta: Float64[np.ndarray, " K"], sample: Sample) -> tuple[float, Float64[np.ndarray, " K"]]:
        """Return loss and gradient, and tell of it now and then."""
        before = self.objective.gradients
        value, slope = self.objective.slope(theta, sample)
        if self.callbacks.on_chunk is not None and before // 1000 != self.objective.gradients // 1000:
            self.callbacks.on_chunk(self.objective.gradients, self.most, value)
        return value, slope


def _lowest(losses: list[float] | tuple[float, ...]) -> int:
    return int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))
