"""Running a command inside the test process, as the tests of the command line do."""

from __future__ import annotations

from tests.cli.conftest import Ended, command

__all__ = ["Ended", "command"]
