"""NAME:opt=val,... as a user types it."""

from __future__ import annotations

from typing import Any

import pytest

from guidebench.config.errors import RequestError
from guidebench.config.specs import options, split

KNOWN: dict[str, Any] = {"size": 3, "rate": 0.1, "fast": False, "how": "left", "pair": (1.0, 2.0), "any": None}


def test_a_name_and_its_options() -> None:
    assert split("adam") == ("adam", None)
    assert split("adam:b1=0.8") == ("adam", "b1=0.8")
    assert split("adam:") == ("adam", "")


def test_values_are_read_as_their_defaults_are_and_come_in_their_order() -> None:
    found = options("it", "pair=(0.5,1),any=1e-3,fast=true,rate=1,size=7,how=1", KNOWN)
    assert found == {"size": 7, "rate": 1.0, "fast": True, "how": "1", "pair": (0.5, 1), "any": 1e-3}
    assert list(found) == list(KNOWN)
    assert isinstance(found["rate"], float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size", "it: 'size' is not OPTION=VALUE"),
        ("weight=1", "it has no option 'weight'; its options are size, rate, fast, how, pair, any"),
        ("size=1,size=2", "it: option 'size' is given twice"),
        ("size=1.5", "it: option 'size' takes int (default 3), not '1.5'"),
        ("size=true", "it: option 'size' takes int (default 3), not 'true'"),
        ("rate=quick", "it: option 'rate' takes float (default 0.1), not 'quick'"),
        ("fast=1", "it: option 'fast' takes bool (default False), not '1'"),
        ("pair=3", "it: option 'pair' takes tuple (default (1.0, 2.0)), not '3'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        options("it", text, KNOWN)
    assert str(refused.value) == message
