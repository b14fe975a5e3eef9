"""Enough threads for XLA."""

from __future__ import annotations

import os

#: Threads of XLA's pool, at least.
FEWEST = 8


def enough() -> None:
    """Give XLA's pool a few threads more than there are cores, unless the user has said how many; before JAX starts.

    Batched triangular solves of jaxlib 0.10.2 wait, inside the pool, for tasks that are queued in the same
    pool: on two cores, the model of a Gaussian process waits for ever.
    """
    os.environ.setdefault("NPROC", str(max(FEWEST, os.cpu_count() or 1)))
