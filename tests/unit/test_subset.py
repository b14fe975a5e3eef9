"""Draws that are kept are the first of those that were judged: marked so, and refused where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from guidebench.engine import datasets
from guidebench.engine.fit.subset import ALL, FIRST, marked
from guidebench.inference.structure import Site
from guidebench.report.sections.summary import judged as told
from tests import made

JUDGED = {"w": np.random.default_rng(0).standard_normal((50, 2)), "s": np.arange(50.0)}
SITES = {"w": Site(name="w", shape=(2,), dims=("w_dim_0",)), "s": Site(name="s", shape=(), dims=())}


def first(count: int) -> dict[str, np.ndarray]:
    return {name: value[:count] for name, value in JUDGED.items()}


@pytest.mark.parametrize(("count", "subset"), [(50, ALL), (20, FIRST)])
def test_what_is_kept_says_what_part_it_is(count: int, subset: str) -> None:
    found = marked(datasets.of_draws(first(count), SITES), JUDGED)
    assert found.attrs == {"draws_judged": 50, "draws_kept": count, "subset": subset}


def test_other_draws_are_refused() -> None:
    other = {**first(20), "w": JUDGED["w"][1:21]}
    with pytest.raises(ValueError, match="draws of w that are kept are not the first"):
        marked(datasets.of_draws(other, SITES), JUDGED)
    with pytest.raises(ValueError, match="draws of w that are kept"):
        marked(datasets.of_draws({"s": JUDGED["s"]}, SITES), JUDGED)


def test_the_report_says_which_draws_the_numbers_are_of() -> None:
    (text,) = told([made.fit("a", draws_judged=40_000, draws_kept=4_000), made.fit("b")])
    assert text.startswith("Moments, ELBO, weights and verdicts are of 40,000 draws. The first 4,000 of these are kept")
    assert not list(told([made.fit("a", draws_judged=4_000, draws_kept=4_000)]))
