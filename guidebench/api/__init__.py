"""The Python face: compare guides on a model from a script or a notebook, and look at what came of it.

What runs guides is imported on first use: to look at results takes neither JAX nor NumPyro.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guidebench.api.comparison import Comparison, Fit, load
from guidebench.api.difference import Diff, diff
from guidebench.api.models import compare_models

if TYPE_CHECKING:
    from guidebench.api.comparing import DEFAULT, compare
    from guidebench.api.short_way import posterior
    from guidebench.api.trained import Trained, load_guide

__all__ = [
    "DEFAULT",
    "Comparison",
    "Diff",
    "Fit",
    "Trained",
    "compare",
    "compare_models",
    "diff",
    "load",
    "load_guide",
    "posterior",
]


def __getattr__(name: str) -> Any:
    if name in ("DEFAULT", "compare"):
        from guidebench.api import comparing

        return getattr(comparing, name)
    if name == "posterior":
        from guidebench.api import short_way

        return short_way.posterior
    if name in ("Trained", "load_guide"):
        from guidebench.api import trained

        return getattr(trained, name)
    raise AttributeError(f"module 'guidebench.api' has no attribute {name!r}")
