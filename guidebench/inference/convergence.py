"""Whether training has converged, read from the loss alone.

The mean loss of a block of steps is compared with that of the block before it.  Training has
converged where the later block is not lower by more than 0.02 nat (or what :func:`tolerance` says) and three standard
errors, over two block lengths and, for the shorter one, twice running, and where the learning rate has decayed.
Otherwise the steps simply ran out.  An absence of evidence is not enough: where the longer blocks
are too short or too noisy to show an improvement of 0.1 nat, or many steps were skipped (the rate
decays with the steps that are taken), nothing is called converged.  Longer blocks would see the
noise of a larger learning rate being annealed away and mistake it for progress.

One standard error, which suits a rule that stops training as soon as it holds, would call a
settled run unsettled in a third of cases when it is asked once, at the end.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from guidebench.results import Status

#: Improvements below this many nats do not count.
TOLERANCE = 0.02

#: The same per latent coordinate, where these are many.
PER_COORDINATE = 1e-4

#: Standard errors that an improvement must exceed to count.
SIGNIFICANT = 3.0

#: What is compared: the block length, and how far before the end it ends, as shares of all steps.
COMPARISONS = ((0.05, 0.0), (0.05, 0.05), (0.10, 0.0))


#: The improvement that the longest comparison must be able to show, in nats, and its fewest steps.
RESOLUTION = 0.1
FEWEST = 50

#: Largest share of skipped steps in a training that converged.
MOST_SKIPPED = 0.05


def tolerance(dim: int) -> float:
    r"""Return the improvement that does not count, in nats, of a guide on so many latent coordinates D.

    .. math:: \max(0.02,\; 10^{-4} D)

    Divergences of independent coordinates add up, so the same limit on their sum asks for more of each the more there
    are.  A coordinate whose mean is off by :math:`\delta` standard deviations costs :math:`\delta^2 / 2`: at
    :math:`10^{-4}` nat each that is 0.014 of a standard deviation, an order below what a verdict looks at.
    """
    return max(TOLERANCE, PER_COORDINATE * dim)


def improvement(losses: Float[np.ndarray, " T"], block: int, back: int = 0) -> tuple[float, float]:
    """Return by how much the last block's mean loss is below that of the block before, and its error.

    Parameters
    ----------
    losses : ndarray
        Loss per step, shape ``(T,)``; non-finite values (skipped steps) are left out.
    block : int
        Steps per block.
    back : int
        Steps to leave off the end.

    Returns
    -------
    gain, error : float
        Nats; the standard error treats the noise of different steps as independent, which it is:
        each step draws its own particles.
    """
    end = len(losses) - back
    late = _finite(losses[end - block : end])
    early = _finite(losses[end - 2 * block : end - block])
    if min(len(late), len(early)) < 2:
        return float("inf"), 0.0
    error = float(np.hypot(np.std(late, ddof=1) / np.sqrt(len(late)), np.std(early, ddof=1) / np.sqrt(len(early))))
    return float(np.mean(early) - np.mean(late)), error


def _finite(values: Float[np.ndarray, " T"]) -> Float[np.ndarray, " F"]:
    return np.asarray(values[np.isfinite(values)])


def plateaued(losses: Float[np.ndarray, " T"], resolution: float = RESOLUTION, limit: float = TOLERANCE) -> bool:
    """Return whether the loss has visibly stopped improving, over every horizon and twice running."""
    for share, before_end in COMPARISONS:
        block = max(int(share * len(losses)), 2)
        gain, error = improvement(losses, block, int(before_end * len(losses)))
        if gain > max(SIGNIFICANT * error, limit):
            return False
    return block >= FEWEST and SIGNIFICANT * error <= resolution


def agree(
    before: Float[np.ndarray, " S"],
    after: Float[np.ndarray, " S"],
    resolution: float = RESOLUTION,
    limit: float = TOLERANCE,
) -> bool:
    """Return whether a guide has visibly stopped improving from one time to another, under common draws.

    Parameters
    ----------
    before, after : ndarray
        log p - log q of both guides at the same draws of their noise, in nats, each of shape ``(S,)``.
    resolution, limit : float
        The difference that they must be able to show, and the one that does not count, in nats.
    """
    difference = after - before
    if not np.isfinite(difference).all():
        return False
    error = float(np.std(difference, ddof=1) / np.sqrt(len(difference)))
    return abs(float(np.mean(difference))) <= max(SIGNIFICANT * error, limit) and SIGNIFICANT * error <= resolution


def judge(
    losses: Float[np.ndarray, " T"],
    *,
    skipped: int,
    finite: bool,
    decayed: bool,
    resolution: float = RESOLUTION,
    limit: float = TOLERANCE,
) -> Status:
    """Return how the training of one restart ended.

    Parameters
    ----------
    losses : ndarray
        Loss per step, shape ``(T,)``.
    skipped : int
        Steps that were not taken.
    finite : bool
        Whether the final parameters are finite.
    decayed : bool
        Whether the learning rate had decayed where the parameters are from; at a constant
        rate they never settle.
    resolution : float
        The improvement, in nats, that the losses must be able to show.
    limit : float
        The improvement that does not count.
    """
    if not finite or skipped > len(losses) // 2 or not np.isfinite(losses[-max(len(losses) // 20, 1) :]).any():
        return Status.DIVERGED
    settled = decayed and skipped <= MOST_SKIPPED * len(losses) and plateaued(losses, resolution, limit)
    return Status.CONVERGED if settled else Status.MAX_STEPS
