"""What training is asked and told along the way, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float64, Int, Key, Shaped

from guidebench.contracts import Solution
from guidebench.inference.arguments import Arguments
from guidebench.results import Status

#: The share of a round that is its end: over it the rate of a cosine is below 0.025 of its peak.
LAST = 0.1

#: ``make_guide(start)`` returns a fresh guide that starts at `start` (values of latent sites).
MakeGuide = Callable[[Mapping[str, Any]], Callable[..., Any]]
Params = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What a guide is evaluated on while it trains on something else.

    Attributes
    ----------
    model, arguments
        A NumPyro model with the latent sites of the one that is trained on, given other data.
    key : PRNG key
        The same for every evaluation, so that evaluations differ by the parameters alone.
    particles : int
        Draws of the guide per evaluation.
    """

    model: Callable[..., Any]
    arguments: Arguments
    key: Key[Array, ""]
    particles: int


class Ending(NamedTuple):
    """How one start ended, where no curve of losses says so: its status, and its loss in nats."""

    status: Status
    loss: float


class Round(NamedTuple):
    """What there is at the end of a round: losses ``(R, T)``, steps not taken ``(R,)``, and the parameters."""

    losses: Float64[np.ndarray, "R T"]
    skipped: Int[np.ndarray, " R"]
    params: Params


def _after_one_round(_: Round) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """Whom training tells how far it is, and asks whether it may end.

    Attributes
    ----------
    on_chunk : callable, optional
        Called between stretches with the steps done, those of all rounds so far, and the current loss, a
        mean over restarts; training ends where it returns ``True``.
    settled : callable
        ``settled(round)`` is asked after a round whether training may end; unless given, there is one round.
    """

    on_chunk: Callable[[int, int, float], bool | None] | None = None
    settled: Callable[[Round], bool] = _after_one_round


#: Training that tells nobody, and ends after one round.
SILENT = Callbacks()


@dataclass(frozen=True, kw_only=True)
class Evaluations:
    """The course of what was watched.

    Attributes
    ----------
    losses : ndarray
        The negative ELBO on it, in nats, shape ``(R, E)``.
    steps : ndarray of int
        After which steps, shape ``(E,)``.
    kept : ndarray of int
        After which step each restart was at its best, shape ``(R,)``: these parameters are kept.
    patience : int or None
        The steps without an improvement after which training stopped early; ``None`` where it did not.
    """

    losses: Float64[np.ndarray, "R E"]
    steps: Int[np.ndarray, " E"]
    kept: Int[np.ndarray, " R"]
    patience: int | None = None


@dataclass(frozen=True, kw_only=True)
class Training:
    """The outcome of training R restarts for T steps.

    Attributes
    ----------
    params : dict
        Guide parameters on the host, each of shape ``(R, ...)``, in their constrained space.
    losses : ndarray
        The training objective in nats, shape ``(R, T)``.
    rounds : tuple of int
        Steps of each round, over which the learning rate decayed; the last one may have been cut short.
    skipped : ndarray of int
        Steps that were not taken because the loss or the new state was not finite, shape ``(R,)``.
    skipped_lately : ndarray of int
        Those of the last round.
    finite : ndarray of bool
        Whether all final parameters are finite, shape ``(R,)``.
    snapshots : dict
        Small parameters along the way, each of shape ``(R, K, ...)``.
    snapshot_steps : ndarray of int
        Step numbers of the snapshots, shape ``(K,)``.
    compile_s, train_s : float
        Wall time in seconds.
    evaluations : Evaluations or None
        On what was watched.
    solutions : tuple of Solution
        How each restart ended, of a guide that finds its parameters itself.
    agreed : frozenset of int
        The restarts of which the last two rounds ended at guides that are as good.
    ended : bool
        Whether it was told to end amid a round.
    endings : tuple of Ending
        How each restart ended, of training under fixed noise; its first round are the iterations of L-BFGS.
    gradients : int
        Gradients of the log joint that all restarts together have taken.
    """

    params: Params
    losses: Float64[np.ndarray, "R T"]
    rounds: tuple[int, ...]
    skipped: Int[np.ndarray, " R"]
    skipped_lately: Int[np.ndarray, " R"]
    finite: Bool[np.ndarray, " R"]
    snapshots: dict[str, Shaped[np.ndarray, "R K ..."]]
    snapshot_steps: Int[np.ndarray, " K"]
    compile_s: float
    train_s: float
    evaluations: Evaluations | None = None
    solutions: tuple[Solution, ...] = ()
    agreed: frozenset[int] = frozenset()
    ended: bool = False
    endings: tuple[Ending, ...] = ()
    gradients: int = 0

    def at_the_end(self, restart: int) -> bool:
        """Return whether the parameters of a restart are from the end of a round, where the rate has decayed."""
        found = self.evaluations
        if self.ended:
            return False
        if found is None:
            return True
        return found.patience is None and bool(found.kept[restart] >= sum(self.rounds) - LAST * self.rounds[-1])
