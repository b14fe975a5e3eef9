"""What ends a process past every ``except`` and ``finally``: while somebody's code runs, that is an exception.

A worker process may be ended so, for the process of the run sees that it is gone.  Nothing keeps C code from it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

#: The function itself, for whoever has to end a process.
end = os._exit

_allowed = False


def allow() -> None:
    """Let code end this process: it is a worker's."""
    global _allowed  # noqa: PLW0603 - of the process
    _allowed = True


@contextmanager
def refused() -> Iterator[None]:
    """Have ``os._exit`` raise SystemExit inside the block, but in processes that are forked there."""
    before, owner = os._exit, os.getpid()

    def leave(status: int) -> None:
        if os.getpid() != owner:
            end(status)
        raise SystemExit(status)

    if not _allowed:
        os._exit = leave  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = before


def is_foreign(error: BaseException) -> bool:
    """Return whether an exception is neither an error nor what guidebench itself ends with: code of somebody's."""
    return not isinstance(error, (Exception, KeyboardInterrupt, GeneratorExit))
