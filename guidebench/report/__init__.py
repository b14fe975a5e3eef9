"""The report: figures, sections, HTML and Markdown, made from results alone.

Nothing here trains, draws or scores; :func:`write` turns a
:class:`~guidebench.results.Comparison` into ``report.html``, ``report.md`` and ``figures/*.png``.
"""

from __future__ import annotations

from guidebench.report.writer import write

__all__ = ["write"]
