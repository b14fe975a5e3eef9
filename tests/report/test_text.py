from __future__ import annotations

import math

import pytest

from guidebench.report.text import listed, number, one_line, slug


@pytest.mark.parametrize(
    ("value", "mcse", "expected"),
    [
        (None, None, "–"),
        (-23.20412, 0.0043, "-23.2041 ± 0.0043"),
        (0.895, 0.0217, "0.895 ± 0.022"),
        (-512345.25, 35.2, "-512345 ± 35"),
        (1.5, 0.0, "1.500 ± 0"),
        (1.5, math.nan, "1.500"),
        (0.0, None, "0"),
        (7, None, "7"),
        (0.000012345, None, "1.234e-05"),
        (123456789.0, 2.0, "1.235e+08 ± 2.0"),
        (2712.4, None, "2712"),
        (math.inf, 0.1, "inf"),
        (math.nan, None, "nan"),
    ],
)
def test_a_number_shows_the_digits_that_mean_something(value: float | None, mcse: float | None, expected: str) -> None:
    assert number(value, mcse) == expected


def test_names_become_safe_file_names() -> None:
    assert slug("../../etc/passwd") == "etc-passwd"
    assert slug("DIST/Name one") == "dist-name-one"
    assert slug("...") == "unnamed"


def test_enumerations_and_first_lines() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed([]) == ""
    assert one_line("first  line\nsecond") == "first line"
    assert one_line("x" * 300, limit=10) == "xxxxxxxxx…"
    assert one_line("") == ""
