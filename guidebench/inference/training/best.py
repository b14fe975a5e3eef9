"""The parameters of every restart at its best evaluation so far."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float64, Int

from guidebench.inference.training.results import Evaluations, Params


class Best(NamedTuple):
    """All evaluations so far, and what is kept of them for every restart.

    Attributes
    ----------
    losses : tuple of ndarray
        Of each evaluation, shape ``(R,)``.
    steps : tuple of int
        After which step each of them was.
    lowest : ndarray
        The lowest finite loss, shape ``(R,)``.
    kept : ndarray of int
        After which step that was; 0 where no evaluation was finite.
    params : dict or None
        The parameters there, on the host; ``None`` before the first evaluation.
    """

    losses: tuple[Float64[np.ndarray, " R"], ...]
    steps: tuple[int, ...]
    lowest: Float64[np.ndarray, " R"]
    kept: Int[np.ndarray, " R"]
    params: Params | None

    @classmethod
    def before_any(cls, count: int) -> Best:
        """Return what there is of so many restarts before the first evaluation."""
        return cls((), (), np.full(count, np.inf), np.zeros(count, int), None)

    def with_another(self, losses: Float64[np.ndarray, " R"], params: Params, step: int) -> Best:
        """Take one evaluation, of shape ``(R,)``, at the parameters that training would end with."""
        better = losses < self.lowest  # which what is not finite is not
        new = jax.device_get(params)
        return Best(
            losses=(*self.losses, losses),
            steps=(*self.steps, step),
            lowest=np.where(better, losses, self.lowest),
            kept=np.where(better, step, self.kept),
            params=new if self.params is None else _where(better, new, self.params),
        )

    def waited(self, since: int) -> int:
        """Return the steps since any restart has improved, or since step `since` where that is later."""
        return self.steps[-1] - max(int(self.kept.max()), since)

    def or_last(self, last: Params) -> Best:
        """Return the same with the last parameters where no evaluation was finite."""
        never = self.kept == 0
        return self._replace(
            kept=np.where(never, self.steps[-1], self.kept), params=_where(never, jax.device_get(last), self.params)
        )

    def summary(self, patience: int | None) -> Evaluations:
        """Return the course of the evaluations."""
        return Evaluations(
            losses=np.stack(self.losses, axis=1), steps=np.array(self.steps), kept=self.kept, patience=patience
        )


def _where(chosen: Bool[np.ndarray, " R"], these: Any, others: Any) -> Any:
    """Return the parameters of the restarts that are chosen from one tree, and the rest from another."""
    return jax.tree.map(
        lambda this, other: np.where(chosen.reshape(-1, *[1] * (np.ndim(this) - 1)), this, other), these, others
    )
