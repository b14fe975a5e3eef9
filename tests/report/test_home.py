"""The section that says how to use what a run has found: of the guide that it recommends, in lines that run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from guidebench.report.content import Code
from guidebench.report.page import Page
from guidebench.report.sections import home
from guidebench.results import Verdict
from guidebench.results.guide_state import GROUP, GuideState, to_dataset
from guidebench.results.inference_data import from_groups
from tests import made


def fit(guide: str, verdict: Verdict, elbo: float, **parts: Any) -> Any:
    drawn = xr.Dataset({"a": (("chain", "draw"), np.zeros((1, 10)))})
    data = from_groups({"posterior": drawn, GROUP: to_dataset(GuideState())})
    return made.fit(guide, {"elbo": elbo}, verdict=verdict, inference_data=data, **parts)


def lines(*fits: Any, **known: Any) -> tuple[str, list[str]]:
    comparison = made.comparison(*fits, known=known)
    found = home.build(Page(comparison=comparison, problem=comparison.problems[0]))
    assert found is not None
    items = list(found)
    return str(items[0]), [one.text for one in items if isinstance(one, Code)]


def test_it_loads_the_guide_that_is_recommended() -> None:
    text, code = lines(fit("rich", Verdict.DISTRUST, 0.0), fit("plain:scale=0.1", Verdict.TRUST, -5.0))
    assert "plain:scale=0.1" in text
    assert code[0].splitlines()[1] == ('trained = gb.load_guide("guides/p/plain%3Ascale=0.1.safetensors", model)')
    assert 'xr.open_dataset("posterior/p.nc"' in code[1]
    for one in code:
        compile(one, "code", "exec")


@pytest.mark.parametrize("verdict", [Verdict.REFRESH, Verdict.REWEIGHT])
def test_it_sends_to_the_repaired_draws(verdict: Verdict) -> None:
    repaired = {"refreshed_by": "chains"} if verdict is Verdict.REFRESH else {}
    text, code = lines(fit("a", verdict, 0.0, **repaired))
    assert "not to be taken as they are" in text
    assert len(code) == 2


def test_without_any_it_offers_the_best_and_no_draws() -> None:
    text, code = lines(fit("a", Verdict.DISTRUST, -3.0), fit("b", Verdict.DISTRUST, -1.0))
    assert "b" in text
    assert "No guide's draws can be used" in text
    assert len(code) == 1
    assert len(lines(fit("a", Verdict.DISTRUST, -3.0), reference="NUTS")[1]) == 2


def test_a_guide_of_ones_own_is_asked_for_again() -> None:
    _, code = lines(fit("mine", Verdict.TRUST, 0.0, plugin="your own"))
    assert "model, guide=guide)" in code[0]


def test_without_a_guide_there_is_nothing() -> None:
    comparison = made.comparison(made.fit("old"))
    assert home.build(Page(comparison=comparison, problem=comparison.problems[0])) is None
