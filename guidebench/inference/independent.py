r"""Independent Gaussians with the largest ELBO, by gradients alone, for a posterior of any number of coordinates.

L-BFGS finds mean and scales under fixed noise: with few draws first, from every place to begin at, and with more from
where it is best then.  A hierarchical model has its mass far from its modes, and a mode may be singular: this finds the
mass from plain points, too, in a few thousand gradients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from guidebench.inference.derivatives import BATCH_SHARE
from guidebench.inference.device.compiled import level_for_few, over_draws, soon
from guidebench.inference.gaussians import FARTHEST, LARGEST, Gaussian
from guidebench.inference.target import Target
from guidebench.inference.training.lbfgs import minimise
from guidebench.inference.training.noise import balanced
from guidebench.results.work import Work

#: Draws of each Gaussian, which come in pairs of opposites.
DRAWS = 32

#: Few draws first, in rounds of L-BFGS that gain more than so many nats.  A round ends where a few steps gain next to
#: nothing, or there were too many.
FEW = 8
MOST_ROUNDS = 3
WORTH = 1.0
GAIN, WINDOW = 0.05, 5
MOST_STEPS = 80

#: Sds at a plain point.
PLAIN = 0.1

#: Draws that are computed at a time.
AT_ONCE = 8


class Independent:
    """The ELBO of independent Gaussians on one target, under noise that is the same for all; to be made in float64.

    Parameters
    ----------
    target : Target
        The posterior, in D coordinates.
    traced : mapping
        Its traced arguments, on the device.
    rng : numpy.random.Generator
        Of all noise.

    Attributes
    ----------
    work : Work
        What all calls so far have computed.
    """

    def __init__(self, target: Target, traced: Mapping[str, Any], rng: np.random.Generator) -> None:
        self.dim, self.work = target.dim, Work()
        self._traced, self._rng = traced, rng
        self._noise = balanced(rng, DRAWS, self.dim)  # an independent Gaussian target then has no noise at all
        held = target.evaluated + self.dim

        def many(flat: Float[Array, "S D"], traced: Mapping[str, Any]) -> Float[Array, " S"]:
            found: Float[Array, " S"] = over_draws(lambda one: target.log_density(one, traced), flat, held)
            return found

        def bound(
            mean: Float[Array, " D"], scales: Float[Array, " D"], noise: Float[Array, "P D"], traced: Mapping[str, Any]
        ) -> tuple[Float[Array, ""], Float[Array, " D"], Float[Array, " D"]]:
            def at(one: Float[Array, " D"]) -> tuple[Float[Array, ""], Float[Array, " D"]]:
                return jax.value_and_grad(target.log_density)(mean + scales * one, traced)

            values, gradients = over_draws(at, noise, BATCH_SHARE * held)
            return jnp.mean(values), jnp.mean(gradients, axis=0), jnp.mean(gradients * noise, axis=0)

        self._bound = soon(bound, *self._noise[:2], self._noise[:AT_ONCE], traced, level=1)
        self._many = soon(many, self._noise, traced, level=level_for_few(held))

    def densities(self, points: Float64[np.ndarray, "S D"]) -> Float64[np.ndarray, " S"]:
        """Return the target at as many points as there are draws."""
        self.work += Work(densities=DRAWS)
        return np.asarray(self._many(points, self._traced))

    def elbo(self, mean: Float64[np.ndarray, " D"], scales: Float64[np.ndarray, " D"]) -> float:
        """Return the ELBO, in nats."""
        densities = self.densities(mean + scales * self._noise)
        return float(densities.mean() + np.log(scales).sum() + self.dim / 2 * (1 + np.log(2 * np.pi)))

    def at(self, mean: Float64[np.ndarray, " D"], scales: Float64[np.ndarray, " D"]) -> Gaussian:
        """Return independent Gaussians with their ELBO."""
        return Gaussian(mean=mean, factor=scales, elbo=self.elbo(mean, scales))

    def _maximised(
        self, mean: Float64[np.ndarray, " D"], scales: Float64[np.ndarray, " D"], count: int
    ) -> tuple[Float64[np.ndarray, " D"], Float64[np.ndarray, " D"]]:
        r"""Return mean and scales of the largest ELBO under one sample of so many draws, in nats.

        In units of where it begins, :math:`m = m_0 + s_0 a` and :math:`s = s_0 e^b`.
        """
        noise = balanced(self._rng, count, self.dim)

        def loss(flat: Float64[np.ndarray, " K"]) -> tuple[float, Float64[np.ndarray, " K"]]:
            steps, logs = np.split(flat, 2)
            own = scales * np.exp(logs)
            parts = [
                self._bound(mean + scales * steps, own, noise[at : at + AT_ONCE], self._traced)
                for at in range(0, count, AT_ONCE)
            ]
            self.work += Work(gradients=count)
            value, slope, along = (np.mean([np.asarray(one[place]) for one in parts], axis=0) for place in range(3))
            return -float(value + logs.sum()), -np.concatenate([slope * scales, along * own + 1])

        path = minimise(loss, np.zeros(2 * self.dim), gain=GAIN, window=WINDOW, most=MOST_STEPS)
        steps, logs = np.split(path.point, 2)
        return mean + scales * steps, scales * np.exp(logs)

    def climbed(self, best: Gaussian, count: int) -> Gaussian:
        """Return what rounds with so many draws lead to, each in units of where the last one ended."""
        for _ in range(MOST_ROUNDS):
            mean, scales = self._maximised(best.mean, best.factor, count)
            found = self.at(mean, scales) if possible(mean, scales) else None
            before = best.elbo if np.isfinite(best.elbo) else -np.inf
            if found is None or not np.isfinite(found.elbo) or found.elbo <= before:
                break
            best = found
            if best.elbo - before < WORTH:
                break
        return best

    def plain(self, start: Float[np.ndarray, " D"]) -> list[Gaussian]:
        """Return narrow ones where nothing is known of the density: at a start, and at zero."""
        scales = np.full(self.dim, PLAIN)
        found = [self.at(mean, scales) for mean in (np.asarray(start, np.float64), np.zeros(self.dim))]
        return [one for one in found if np.isfinite(one.elbo)]

    def largest(self, starts: Sequence[Gaussian]) -> Gaussian:
        """Return those of the largest ELBO that fixed noise leads to from any of these.

        A few draws lead most of the way, more of them the rest from where it is best.  What they have gained is seen
        under other noise, that of all ELBOs here: scales may fit the noise they were found with.
        """
        found = [self.climbed(one, FEW) for one in starts]
        return self.climbed(max(found, key=lambda one: one.elbo), DRAWS)


def possible(mean: Float64[np.ndarray, " D"], scales: Float64[np.ndarray, " D"]) -> bool:
    """Return whether a posterior can have this mean and these scales."""
    inside = (scales > 1 / LARGEST) & (scales < LARGEST) & (np.abs(mean) < FARTHEST * scales)
    return bool(np.isfinite(mean).all() and inside.all())
