from __future__ import annotations

import pytest

from guidebench.api import Comparison
from tests.report import fake


@pytest.fixture(scope="session")
def small() -> Comparison:
    return fake.small(draws=50, steps=50)
