"""How many inputs are generated, and what may become of each: it is read, or refused in one line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from guidebench.config.errors import GuidebenchError
from guidebench.config.text import line
from guidebench.plugins.isolation.time_limit import TimeLimit
from guidebench.plugins.isolation.whose import whose

#: Seconds that one input may take.
LONGEST = 60

_SHARED: dict[str, Any] = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
}

settings.register_profile(
    "few", max_examples=25, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate], **_SHARED
)
#: Another thousand each time; what fails is kept, and tried first the next time.
settings.register_profile("fuzz", max_examples=1_000, **_SHARED)


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile(config.getoption("--hypothesis-profile", None) or "few")


def one_line(call: Callable[[], Any]) -> str:
    """Return the line that an input is refused with, nothing of one that is read; all else goes through.

    A model may fail on what it is given, and is named in one line.
    """
    try:
        with TimeLimit(LONGEST):
            call()
    except GuidebenchError as error:
        said = line(str(error))  # as whoever shows it does
        assert said
        return said
    except Exception as error:
        if " in own.py, line " not in whose(error):
            raise
        return whose(error)
    return ""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory of all inputs of a module."""
    place, before = tmp_path_factory.mktemp("fuzz"), Path.cwd()
    os.chdir(place)
    yield place
    os.chdir(before)
