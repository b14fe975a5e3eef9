"""Running a command inside the test process, and with plugins that are installed for its length."""

from __future__ import annotations

from tests.cli.conftest import Ended, command
from tests.isolation.conftest import run

__all__ = ["Ended", "command", "run"]
