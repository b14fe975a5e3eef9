from __future__ import annotations

import math

import pytest

from guidebench.report.text import listed, number, one_line, p_value, percent, slug


@pytest.mark.parametrize(
    ("value", "mcse", "expected"),
    [
        (None, None, "–"),
        (-23.20412, 0.0043, "-23.2041 ± 0.0043"),
        (0.895, 0.0217, "0.895 ± 0.022"),
        (-512345.25, 35.2, "-512,345 ± 35"),
        (1.5, 0.0, "1.500 ± 0"),
        (1.5, math.nan, "1.500"),
        (0.0, None, "0"),
        (7, None, "7"),
        (0.000012345, None, "1.234e-05"),
        (123456789.0, 2.0, "1.235e+08 ± 2.0"),
        (2712.4, None, "2,712"),
        (math.inf, 0.1, "inf"),
        (math.nan, None, "nan"),
    ],
)
def test_a_number_shows_the_digits_that_mean_something(value: float | None, mcse: float | None, expected: str) -> None:
    assert number(value, mcse) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (None, "–"),
        (1.0, "100 %"),
        (0.9994, "100 %"),
        (0.994, "99 %"),
        (0.0, "0 %"),
        (0.0029, "0.29 %"),
        (0.05, "5.0 %"),
        (math.nan, "nan"),
    ],
)
def test_a_share_is_a_percentage(share: float | None, expected: str) -> None:
    assert percent(share) == expected


def test_p_values_have_three_decimals() -> None:
    assert [p_value(value) for value in (None, math.nan, 0.0, 0.0009, 0.0312, 1.0)] == [
        *(None, None, "< 0.001", "< 0.001", "0.031", "1.000"),
    ]


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
