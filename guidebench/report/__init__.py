"""The report: figures, sections, HTML and Markdown, made from results alone.

Nothing here trains, draws or scores; :func:`write` turns a
:class:`~guidebench.results.Comparison` into ``report.html``, ``report.md`` and ``figures/``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guidebench.report.writer import write

__all__ = ["write"]


def __getattr__(name: str) -> Any:
    # The sections are declared from inside this package, and declaring must import nothing heavy.
    if name == "write":
        from guidebench.report.writer import write

        return write
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
