"""What changed between two runs, and whether it is more than noise."""

from guidebench.analysis.runs.comparing import diff
from guidebench.analysis.runs.result import Change, Context, Diff, Outcome

__all__ = ["Change", "Context", "Diff", "Outcome", "diff"]
