"""The grid of problems and guides: train, draw, score, collect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guidebench.engine.progress import Progress, Silent

if TYPE_CHECKING:
    from guidebench.engine.grid import compare

__all__ = ["Progress", "Silent", "compare"]


def __getattr__(name: str) -> Any:
    # The command line shows progress and versions, which are in this package, before it needs JAX.
    if name == "compare":
        from guidebench.engine.grid import compare

        return compare
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
