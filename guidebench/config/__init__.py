"""What a run was asked to do, and the words for what is wrong with it.

The names below are imported on first use, so that the errors, which everybody needs, come without pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guidebench.config.paths import DOWNLOAD, REFERENCE_FILES, REFERENCES
    from guidebench.config.read import RESULTS, is_results, make_config
    from guidebench.config.settings import OPTIONS, RunConfig
    from guidebench.config.specs import assignments, literal

_LAZY = {
    **dict.fromkeys(("DOWNLOAD", "REFERENCES", "REFERENCE_FILES"), "guidebench.config.paths"),
    **dict.fromkeys(("RESULTS", "is_results", "make_config"), "guidebench.config.read"),
    **dict.fromkeys(("OPTIONS", "RunConfig"), "guidebench.config.settings"),
    **dict.fromkeys(("assignments", "literal"), "guidebench.config.specs"),
}

__all__ = [
    "DOWNLOAD",
    "OPTIONS",
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
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
