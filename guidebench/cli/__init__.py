"""The command line."""

from __future__ import annotations

from guidebench.cli.ending import main, program

__all__ = ["main", "program"]
