"""The contract suite for authors of guides: what every guide keeps, as named checks with reasons.

``guidebench check NAME`` runs them; :func:`parametrize_with_checks` makes pytest tests of them.  The problems
that guides are checked on have known answers, and guides are trained and scored as ``guidebench run`` does.
"""

from guidebench.testing.check import Check, examine
from guidebench.testing.checks import CHECKS
from guidebench.testing.outcomes import CheckFailed, NotApplicable, Outcome, Result
from guidebench.testing.parametrize import parametrize_with_checks
from guidebench.testing.subject import Subject

__all__ = [
    "CHECKS",
    "Check",
    "CheckFailed",
    "NotApplicable",
    "Outcome",
    "Result",
    "Subject",
    "examine",
    "parametrize_with_checks",
]
