"""What a run found, as data, and its files."""

from guidebench.results.findings import LENDERS, Chaining, Disagreement, Finding, ModeRecord, Refresher, Source, Verdict
from guidebench.results.records import Comparison, Fit, ProblemRecord, Restart, Status, summary_columns
from guidebench.results.work import Work

__all__ = [
    "LENDERS",
    "Chaining",
    "Comparison",
    "Disagreement",
    "Finding",
    "Fit",
    "ModeRecord",
    "ProblemRecord",
    "Refresher",
    "Restart",
    "Source",
    "Status",
    "Verdict",
    "Work",
    "summary_columns",
]
