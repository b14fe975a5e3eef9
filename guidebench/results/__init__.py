"""What a run found, as data, and its files."""

from guidebench.results.findings import Chaining, Disagreement, Finding, Refresher, Source, Verdict
from guidebench.results.records import Comparison, Fit, ProblemRecord, Restart, Status, summary_columns

__all__ = [
    "Chaining",
    "Comparison",
    "Disagreement",
    "Finding",
    "Fit",
    "ProblemRecord",
    "Refresher",
    "Restart",
    "Source",
    "Status",
    "Verdict",
    "summary_columns",
]
