from __future__ import annotations

from collections.abc import Iterator

import pytest

from guidebench.api import Comparison
from guidebench.contracts import Section
from guidebench.report.builtin import guidebench_sections
from guidebench.report.drawing import style
from guidebench.report.page import Page
from tests.report import fake


@pytest.fixture(scope="session")
def small() -> Comparison:
    return fake.small()


@pytest.fixture(scope="session")
def large() -> Comparison:
    return fake.large()


@pytest.fixture
def look() -> Iterator[None]:
    """The style in which the report builds its sections."""
    with style():
        yield


@pytest.fixture
def page(small: Comparison) -> Page:
    return Page(comparison=small, problem=small.problems[0])


@pytest.fixture
def large_page(large: Comparison) -> Page:
    return Page(comparison=large, problem=large.problems[0])


@pytest.fixture(scope="session")
def sections() -> list[Section]:
    return list(guidebench_sections())
