"""What a run found: records, their files, and the draws."""

from guidebench.results.records import Comparison, Fit, ProblemRecord, Restart, Status, Verdict, summary_columns

__all__ = ["Comparison", "Fit", "ProblemRecord", "Restart", "Status", "Verdict", "summary_columns"]
