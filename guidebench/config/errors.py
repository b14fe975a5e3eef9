"""The errors guidebench raises on purpose.

Every one of them carries one clear line: what was wrong, where, and what to do.  The command line
prints that line and exits with status 2; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations


class GuidebenchError(Exception):
    """Base class of all expected errors."""


class RequestError(GuidebenchError):
    """The request itself is wrong: an unknown name, a bad option, data that do not fit."""


class PluginError(GuidebenchError):
    """A plugin declared something it should not have."""


class ResultsError(GuidebenchError):
    """A folder of saved results is missing, incomplete or of another version."""
