"""Normalising flows of FlowJAX among the guides of guidebench."""

from __future__ import annotations

from collections.abc import Iterator

from guidebench import Guide, hookimpl
from guidebench_flowjax.guides import GUIDES

__all__ = ["guidebench_guides"]


@hookimpl
def guidebench_guides() -> Iterator[Guide]:
    """Declare each flow."""
    yield from GUIDES
