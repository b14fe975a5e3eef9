r"""Whether training may end: read from the losses, and where these are too noisy, from the guides of two rounds.

Where a guide is far from the posterior its loss is noisy however settled it is: log p - log q of one draw
has a spread of nats.  Then the guides at the end of the last two rounds are compared under common draws,

.. math:: \Delta = \frac1S \sum_s \log w(T_{\text{last}}(\epsilon_s)) - \log w(T_{\text{before}}(\epsilon_s))

whose noise is that of the difference alone.  The rate has decayed at the end of both, so that nothing but
progress tells them apart; and the later one had twice the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from guidebench.inference import convergence
from guidebench.inference.draws import Sampler
from guidebench.inference.recipe import Recipe
from guidebench.inference.train import Params, Round
from guidebench.results import Status, Work

#: Restarts whose final loss is within so many nats of the best may turn out the best.
WITHIN = 0.1


class Limits(NamedTuple):
    """The improvement that must be visible, and the one that does not count, in nats."""

    resolution: float = convergence.RESOLUTION
    limit: float = convergence.TOLERANCE

    @classmethod
    def of(cls, recipe: Recipe, dim: int) -> Limits:
        """Return those of a recipe on so many latent coordinates."""
        limit = convergence.tolerance(dim) if recipe.fixed_noise else convergence.TOLERANCE
        return cls(limit * convergence.RESOLUTION / convergence.TOLERANCE, limit)


class Settling:
    """Is asked after every round of one training.

    Parameters
    ----------
    recipe : Recipe
        How it trains.
    sampler : callable
        ``sampler(params)`` returns a program that draws from the guide, given parameters like those of one
        restart.
    key : PRNG key
        Of the draws under which rounds are compared.
    most : int
        Draws of each, where each density costs much.
    comparable : bool
        Whether the guide has a density that two rounds can be compared by.
    limits : Limits
        What counts.
    """

    def __init__(
        self,
        recipe: Recipe,
        sampler: Callable[[Params], Sampler],
        key: jax.Array,
        *,
        most: int,
        comparable: bool,
        limits: Limits,
    ) -> None:
        self._recipe, self._sampler, self._key = recipe, sampler, key
        self._most, self._comparable, self._limits = most, comparable, limits
        self._before: Params | None = None
        #: The restarts that two rounds agree on, after the last round.
        self.agreed: frozenset[int] = frozenset()
        #: What comparing rounds has computed.
        self.work = Work()

    def __call__(self, last: Round) -> bool:
        """Return whether no restart that may turn out the best has anything left to gain."""
        self.agreed = frozenset()
        before, self._before = self._before, last.params
        final = np.array([final_loss(one) for one in last.losses])
        if not np.isfinite(final).any():
            return True
        unsettled = {index for index in range(len(final)) if not self._level(last, index)}
        candidates = set(np.flatnonzero(final <= np.nanmin(final) + WITHIN).tolist())
        if before is not None and unsettled & candidates and self._comparable and self._recipe.decayed():
            few = convergence.MOST_SKIPPED * last.losses.shape[1]
            self.agreed = frozenset(
                index for index in unsettled if last.skipped[index] <= few and self._agree(before, last.params, index)
            )
        return unsettled & candidates <= self.agreed

    def _level(self, last: Round, index: int) -> bool:
        """Return whether the losses of a restart alone say that it has converged."""
        skipped, decayed = int(last.skipped[index]), self._recipe.decayed()
        status = convergence.judge(
            last.losses[index], skipped=skipped, finite=True, decayed=decayed, **self._limits._asdict()
        )
        return status is Status.CONVERGED

    def _agree(self, before: Params, after: Params, index: int) -> bool:
        found = []
        for params in (before, after):
            own = jax.tree.map(lambda value: np.asarray(value[index]), params)
            if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(own)):
                return False
            draws = self._sampler(own)(own, self._key, keep_latents=False, most=self._most)
            self.work += draws.work
            found.append(draws.log_weights)
        earlier, later = found
        return convergence.agree(earlier, later, self._limits.resolution, self._limits.limit)


def final_loss(losses: np.ndarray) -> float:
    """Return the mean loss over the last tenth of the steps."""
    last = losses[-max(len(losses) // 10, 1) :]
    return float(np.mean(last[np.isfinite(last)])) if np.isfinite(last).any() else float("nan")
