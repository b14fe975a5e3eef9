"""The command line."""

from guidebench.cli.app import main

__all__ = ["main"]
