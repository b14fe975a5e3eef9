"""``python -m guidebench``."""

from guidebench.cli import program

program()
