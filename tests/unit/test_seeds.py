"""Seeds come from names: pinned, apart from each other, and in range."""

from __future__ import annotations

from itertools import product

import pytest

from guidebench.config.seeds import derive


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), 804681139),
        (("linear-regression", "mean_field", "train", 0), 1379694123),
        (("linear-regression", "mean_field", "train", 1), 1728248915),
        (("linear-regression", "start", 0), 1705162365),
    ],
)
def test_the_scheme_is_pinned(names: tuple[str | int, ...], expected: int) -> None:
    """A change here changes every number of every run: it belongs in the changelog."""
    assert derive(0, *names) == expected


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**64, 10**30])
def test_a_seed_of_any_size_gives_one_that_jax_takes(seed: int) -> None:
    assert 0 <= derive(seed, "x") < 2**31


def test_every_name_counts() -> None:
    grid = product(range(10), ("a", "b"), ("mean_field", "auto_normal"), ("train", "draws"), range(10))
    seeds = [derive(seed, *names) for seed, *names in grid]
    assert len(set(seeds)) == len(seeds) == 800


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("a", "b"), ("b", "a")),
        (("a",), ("a", "")),
        (("a", 1), ("a1",)),
        (("a", 11), ("a", 1, 1)),
    ],
)
def test_names_are_kept_apart(one: tuple[str | int, ...], other: tuple[str | int, ...]) -> None:
    assert derive(0, *one) != derive(0, *other)


def test_seeds_spread_over_the_range() -> None:
    seeds = [derive(0, "spread", index) for index in range(4000)]
    counts = [sum(seed * 8 // 2**31 == part for seed in seeds) for part in range(8)]
    # 500 in each eighth, with a standard deviation of 21.
    assert 400 < min(counts)
    assert max(counts) < 600
    assert 1880 < sum(seed % 2 for seed in seeds) < 2120
