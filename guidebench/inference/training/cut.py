"""How a round of training is cut: into stretches, each one call of the compiled program, and these by snapshots."""

from __future__ import annotations

from typing import NamedTuple

#: Stretches of a round, at most: the program that is compiled trains one of them.
STRETCHES = 16

#: The same where rows are kept from training: their ELBO is evaluated after each stretch.
EVALUATIONS = 50

#: Snapshots of small parameters in a round, at most.
SNAPSHOTS = 256


class Cut(NamedTuple):
    """How many stretches the first round has, how many steps each of them, and how many snapshots are taken in it.

    Each later round has twice the stretches of the one before.
    """

    stretches: int
    steps: int
    snapshots: int

    @classmethod
    def of(cls, steps: int, *, watched: bool) -> Cut:
        """Return how a first round of so many steps is cut."""
        count = stretches(steps, watched=watched)
        length = steps // count
        snapshots = _largest_divisor(length, SNAPSHOTS // (EVALUATIONS if watched else STRETCHES))
        return cls(count, length, snapshots)


def stretches(steps: int, *, watched: bool = False) -> int:
    """Return in how many equal stretches a round of so many steps is trained."""
    return _largest_divisor(steps, EVALUATIONS if watched else STRETCHES)


def _largest_divisor(number: int, at_most: int) -> int:
    return max(d for d in range(1, at_most + 1) if number % d == 0)
