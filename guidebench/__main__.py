"""``python -m guidebench``."""

from guidebench.cli import main

main()
