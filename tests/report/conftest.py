from __future__ import annotations

import pytest

from guidebench.contracts import Section
from guidebench.report.builtin import guidebench_sections
from guidebench.report.page import Page
from guidebench.results import Comparison
from tests.report import fake


@pytest.fixture(scope="session")
def small() -> Comparison:
    return fake.small()


@pytest.fixture(scope="session")
def large() -> Comparison:
    return fake.large()


@pytest.fixture
def page(small: Comparison) -> Page:
    return Page(comparison=small, problem=small.problems[0])


@pytest.fixture
def large_page(large: Comparison) -> Page:
    return Page(comparison=large, problem=large.problems[0])


@pytest.fixture(scope="session")
def sections() -> list[Section]:
    return list(guidebench_sections())
