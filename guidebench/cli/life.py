"""The first sign of life: what takes longer than a moment to begin says that it has begun."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

#: Seconds after which a command that has said nothing yet does, those before it was called being about a third of one.
PATIENCE = 0.4

#: What it says.
WORDS = "guidebench: getting ready; JAX and NumPyro take a moment to load"


@contextmanager
def sign_of_life(*, quiet: bool) -> Iterator[None]:
    """Say on standard error that something happens if the block takes longer than :data:`PATIENCE`.

    A request that is refused before has one line of its own, and nothing before it.
    """
    timer = Timer(PATIENCE, lambda: print(WORDS, file=sys.stderr, flush=True))
    timer.daemon = True
    if not quiet:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
