"""The loss of one guide on the host: under a sample of noise, whatever its size, with every gradient counted."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Float64

from guidebench.inference.training.fixed import Started
from guidebench.inference.training.noise import antithetic, balanced
from guidebench.inference.training.results import Params

#: Noise on the device, as many draws at a time as a call takes.
Sample = tuple[Any, ...]


class Objective:
    """What a guide's parameters are worth.

    Parameters
    ----------
    started : Started
        The compiled program.
    seed : int
        Of all noise.

    Attributes
    ----------
    gradients : int
        Gradients of the log joint so far, one a draw.
    """

    def __init__(self, started: Started, seed: int) -> None:
        self._started, self._rng = started, np.random.default_rng(seed)
        self.gradients = 0
        self._blocks: list[Sample] = []  # of draws to compare guides by
        self._known: dict[bytes, list[Float64[np.ndarray, " _"]]] = {}

    @property
    def size(self) -> int:
        """Standard normal numbers that a draw takes; none where the guide is a point."""
        return self._started.fixed.size

    @property
    def mixed(self) -> int:
        """How many of them a matrix of parameters mixes over coordinates."""
        return int(np.sum(self._started.fixed.mixed))

    @property
    def at_once(self) -> int:
        """Draws of one call of the program."""
        return self._started.at_once

    def fixed(self, count: int) -> Sample:
        """Return a sample to be used over and over, with the moments of the normal; of a point one empty draw."""
        if not self.size:
            return (np.zeros((1, 0)),)
        return self._split(balanced(self._rng, self._whole(count), self.size, self._started.fixed.mixed))

    def fresh(self, count: int) -> Sample:
        """Return a sample of plain antithetic draws."""
        return self._split(antithetic(self._rng, self._whole(count), self.size))

    def slope(
        self, theta: Float64[np.ndarray, " K"], sample: Sample, *, plain: bool = False
    ) -> tuple[float, Float64[np.ndarray, " K"]]:
        """Return loss and gradient; where `plain`, against a standard normal in the place of the posterior."""
        value, gradient = 0.0, np.zeros_like(theta)
        for found in self._evaluated(theta, sample, plain=plain):
            value += float(found.loss) / len(sample)
            gradient += np.asarray(found.gradient) / len(sample)
        return value, gradient

    def compared(self, theta: Float64[np.ndarray, " K"], count: int) -> Float64[np.ndarray, " H"]:
        """Return the log weights of fresh draws, half as many pairs, that are the same for all guides.

        Each guide's are computed once; `count` is a power of two, and of more draws the first ones are those of fewer.
        """
        known = self._known.setdefault(theta.tobytes(), [])
        while 2 * sum(map(len, known)) < count:
            if len(known) == len(self._blocks):
                have = sum(len(one) * self.at_once for one in self._blocks)
                self._blocks.append(self.fresh(have or count))
            known.append(self._log_weights(theta, self._blocks[len(known)]))
        return np.concatenate(known)[: count // 2]

    def _log_weights(self, theta: Float64[np.ndarray, " K"], sample: Sample) -> Float64[np.ndarray, " H"]:
        """Return the log weights of the draws, pair by pair: the mean of two draws of opposite noise counts as one."""
        parts = [np.asarray(found.log_weights) for found in self._evaluated(theta, sample)]
        return np.asarray(np.concatenate(parts).reshape(-1, min(2, self.at_once)).mean(axis=1))

    def params(self, theta: Float64[np.ndarray, " K"]) -> Params:
        """Return the parameters as the guide has them."""
        nothing = np.zeros((self._started.at_once, self.size))
        found: Params = jax.device_get(self._started.evaluate(theta, nothing, np.bool_(self.size > 0)).params)
        return found

    def _evaluated(self, theta: Float64[np.ndarray, " K"], sample: Sample, *, plain: bool = False) -> list[Any]:
        if not plain:
            self.gradients += len(sample) * self._started.at_once
        # All are under way before the first is waited for.
        return [self._started.evaluate(theta, noise, np.bool_(plain)) for noise in sample]

    def _whole(self, count: int) -> int:
        """Return a number of draws that fills calls of the program."""
        at_once = self._started.at_once
        return max(-(-count // at_once) * at_once, at_once)

    def _split(self, noise: Float64[np.ndarray, "S N"]) -> Sample:
        return tuple(jax.device_put(part) for part in np.split(noise, len(noise) // self._started.at_once))
