"""guidebench: which variational guide fits a NumPyro model, and how far can it be trusted?

The names below are the public face; they are imported on first use, so that ``import guidebench``
(and a plugin's ``from guidebench import Guide, hookimpl``) loads neither JAX nor ArviZ.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from guidebench.config.errors import GuidebenchError, RequestError
from guidebench.contracts import (
    Guide,
    Metric,
    MetricValue,
    Problem,
    Quantity,
    ReferenceDraws,
    Rule,
    Section,
    Solution,
    Task,
)
from guidebench.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from guidebench.api.comparing import compare
    from guidebench.api.comparison import Comparison, Fit, load
    from guidebench.api.difference import Diff, diff
    from guidebench.api.models import compare_models
    from guidebench.api.short_way import posterior
    from guidebench.api.trained import Trained, load_guide

    # To a type checker a metric and a section are given what the contracts describe; at run time these names are the
    # classes that satisfy it, for whoever makes one in a test.
    from guidebench.contracts import Evidence, Page
    from guidebench.plugins.isolation.failures import Failure
    from guidebench.report.page import Block, Cell, Details, Heading, Listing, Note, Number, Table

__version__ = version("guidebench")

_LAZY = {
    **dict.fromkeys(
        (
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
        ),
        "guidebench.api",
    ),
    # What metrics and report sections are given, and what a section is made of.
    "Evidence": "guidebench.metrics.evidence",
    "Failure": "guidebench.plugins.isolation.failures",
    **dict.fromkeys(
        ("Block", "Cell", "Details", "Heading", "Listing", "Note", "Number", "Page", "Table"), "guidebench.report.page"
    ),
}

__all__ = [
    "Block",
    "Cell",
    "Comparison",
    "Details",
    "Diff",
    "Evidence",
    "Failure",
    "Fit",
    "Guide",
    "GuidebenchError",
    "Heading",
    "Listing",
    "Metric",
    "MetricValue",
    "Note",
    "Number",
    "Page",
    "Problem",
    "Quantity",
    "ReferenceDraws",
    "RequestError",
    "Rule",
    "Section",
    "Solution",
    "Table",
    "Task",
    "Trained",
    "__version__",
    "compare",
    "compare_models",
    "diff",
    "hookimpl",
    "load",
    "load_guide",
    "posterior",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'guidebench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
