"""Whose code runs, and how long it may: told to whoever could end this process, should it not come back.

In a worker process the listener passes this on to the process of the run.  Elsewhere nobody listens.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from guidebench.plugins.isolation.failures import Phase


class Where(NamedTuple):
    """The code of a plugin: what it is doing, and whose it is."""

    phase: Phase
    plugin: str
    distribution: str
    name: str = ""


class Listener(Protocol):
    """Hears where a process is."""

    def entered(self, where: Where | None) -> None:
        """Take note that somebody's code begins to run, or with ``None`` that it has ended."""

    def limited(self, seconds: float | None) -> None:
        """Take note that what runs now may take so many seconds; ``None`` takes the limit off."""


class _Nobody:
    def entered(self, where: Where | None) -> None:
        """Take no note."""

    def limited(self, seconds: float | None) -> None:
        """Take no note."""


_listener: Listener = _Nobody()


def listen(listener: Listener) -> None:
    """Have a listener told from now on, the only one of this process."""
    global _listener  # noqa: PLW0603 - a process has one
    _listener = listener


def entered(where: Where | None) -> None:
    """Say whose code begins to run, or with ``None`` that it has ended."""
    _listener.entered(where)


def limited(seconds: float | None) -> None:
    """Say how long what runs now may take."""
    _listener.limited(seconds)
