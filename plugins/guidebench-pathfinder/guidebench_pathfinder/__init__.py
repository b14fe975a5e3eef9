"""Pathfinder among the guides of guidebench."""

from __future__ import annotations

from collections.abc import Iterator

from guidebench import Guide, hookimpl
from guidebench_pathfinder.pathfinder import GUIDE

__all__ = ["guidebench_guides"]


@hookimpl
def guidebench_guides() -> Iterator[Guide]:
    """Declare the guide."""
    yield GUIDE
