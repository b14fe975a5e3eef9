"""What a run found: records, their files, and the draws."""

from guidebench.results.records import SUMMARY_COLUMNS, Comparison, Fit, ProblemRecord, Restart, Status, Verdict

__all__ = ["SUMMARY_COLUMNS", "Comparison", "Fit", "ProblemRecord", "Restart", "Status", "Verdict"]
