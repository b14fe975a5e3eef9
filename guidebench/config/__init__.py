"""What a run was asked to do, and the words for what is wrong with it.

The names below are imported on first use, so that the errors, which everybody needs, come without pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guidebench.config.settings import (
        DOWNLOAD,
        REFERENCE_FILES,
        REFERENCES,
        RESULTS,
        RunConfig,
        assignments,
        is_results,
        literal,
        make_config,
    )

__all__ = [
    "DOWNLOAD",
    "REFERENCES",
    "REFERENCE_FILES",
    "RESULTS",
    "RunConfig",
    "assignments",
    "is_results",
    "literal",
    "make_config",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("guidebench.config.settings"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
