"""What changed between two runs, and whether it is more than noise."""

from guidebench.changes.comparing import diff
from guidebench.changes.result import Change, Context, Diff, Outcome

__all__ = ["Change", "Context", "Diff", "Outcome", "diff"]
