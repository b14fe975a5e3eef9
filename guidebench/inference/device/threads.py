"""Enough threads for XLA, and one for BLAS."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any

#: Threads of XLA's pool, at least.
FEWEST = 8


def enough() -> None:
    """Give XLA's pool a few threads more than there are cores, unless the user has said how many; before JAX starts.

    Batched triangular solves of jaxlib 0.10.2 wait, inside the pool, for tasks that are queued in the same
    pool: on two cores, the model of a Gaussian process waits for ever.
    """
    os.environ.setdefault("NPROC", str(max(FEWEST, os.cpu_count() or 1)))


def one_for_blas() -> AbstractContextManager[Any]:
    """Return a context in which NumPy and SciPy multiply matrices in one thread.

    A product is summed in parts of which there are as many as threads, so that its last bits would be those of the
    machine's number of cores; and the threads that wait for the next one spin, which takes a core from XLA's compiler
    or from another worker.
    """
    from threadpoolctl import threadpool_limits

    context: AbstractContextManager[Any] = threadpool_limits(limits=1, user_api="blas")
    return context
