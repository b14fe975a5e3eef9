"""What all names of problems begin with."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from guidebench.analysis.problems import shared_prefix


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        (["posteriordb/arK-arK", "posteriordb/nes-nes"], "posteriordb/"),
        (["a/b/one", "a/b/two", "a/b/"], "a/b/"),
        (["a/b/one", "a/c/one"], "a/"),
        (["a/b/one", "a/one"], "a/"),
        (["posteriordb/arK-arK", "funnel"], ""),
        (["funnel", "funnel-2"], ""),
        (["/one", "/two"], "/"),
        (["posteriordb/arK-arK"], ""),
        ([], ""),
    ],
)
def test_names_share_whole_folders_only(names: Sequence[str], prefix: str) -> None:
    assert shared_prefix(names) == prefix
    assert shared_prefix(names[::-1]) == prefix
