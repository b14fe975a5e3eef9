"""The section on simulated data: what it says of guides that are too narrow, too wide, too low, or broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from guidebench.api import Comparison
from guidebench.contracts import MetricValue
from guidebench.metrics.simulated import calibration as scores
from guidebench.report import html, markdown, ranks
from guidebench.report.page import Block, Details, Figure, Key, Note, Number, Page, Table
from guidebench.report.sections import calibration
from guidebench.results import Status
from tests.report import fake
from tests.report.pages import page_of

pytestmark = pytest.mark.usefixtures("look")


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return fake.simulated(fake.small(draws=100, steps=40))


@pytest.fixture
def simulated(comparison: Comparison) -> Page:
    return Page(comparison=comparison, problem=comparison.problems[0])


def build(page: Page) -> Block:
    found = calibration.build(page)
    assert found is not None
    return found


def tables(block: Block) -> list[Table]:
    return [item for item in block if isinstance(item, Table)]


def notes(block: Block) -> list[str]:
    return [item.text for item in block if isinstance(item, Note)]


def ranked(ranks: Any, *, names: tuple[str, ...] = ("a",), converged: Any = None, **attrs: int) -> xr.Dataset:
    values = np.asarray(ranks).reshape(-1, len(names))
    variables: dict[str, Any] = {"rank": (("simulation", "component"), values)}
    if converged is not None:
        variables["converged"] = ("simulation", np.asarray(converged))
    return xr.Dataset(variables, coords={"component": list(names)}, attrs={"draws": 999, "broken": 0, **attrs})


def uniform(count: int, seed: int = 0, components: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1000, size=(count, components))


def test_nothing_is_said_without_simulations(page: Page) -> None:
    assert calibration.build(page) is None
    assert calibration.build(page_of({})) is None
    assert calibration.build(page_of({"simulations": xr.Dataset({"other": ("x", [1.0])})})) is None


def test_what_it_is_stands_beside_the_numbers(simulated: Page) -> None:
    text = build(simulated)[0]
    assert isinstance(text, str)
    assert "200 times" in text
    assert "in 1,000 steps from one starting point" in text
    assert "ranked among 999 draws" in text
    assert (
        "average over all data that the prior makes: it does not say how good a guide is for the data at hand" in text
    )


def test_what_is_wrong_is_said_in_words(simulated: Page) -> None:
    block = build(simulated)
    overview = {row[0].text: row[1:] for row in tables(block)[0].rows if isinstance(row[0], Key)}
    assert overview["mean_field"][:3] == [200, 0, 1]
    assert "intervals too narrow: w, b and s_eps" in str(overview["mean_field"][-1])
    assert "intervals too wide: w, b and s_eps" in str(overview["auto_iaf_normal"][-1])
    assert "draws too low: s_eps" in str(overview["auto_laplace_approximation"][-1])
    assert overview["auto_normal"][-1] == "nothing found"
    assert set(overview) == {*fake.GUIDES} - {"auto_delta"}
    (note,) = notes(block)
    assert note.startswith("Not shown, for lack of simulated fits: auto_delta (converged), broken_guide (failed) and")


def test_coverage_per_component_with_its_interval_and_a_word(simulated: Page) -> None:
    table = tables(build(simulated))[1]
    assert list(table.columns) == ["latent", "guide", *(f"{level} % intervals" for level in (50, 80, 90, 95))]
    assert [row[0] for row in table.rows] == ["w"] * 5 + ["b"] * 5 + ["s_eps"] * 5
    narrow = table.rows[0][4]
    assert isinstance(narrow, Number)
    value, low, high = (
        simulated.fits[0].value(f"simulated_coverage_90{side}", "w") or 0.0 for side in ("", "_low", "_high")
    )
    assert narrow == Number(value, digits=3, detail=f"{low:.2f} to {high:.2f}", mark="too narrow")
    assert "Of the 60 numbers below, about 3 would miss by chance alone." in table.caption


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.8, 0.89, "too narrow"), (0.91, 0.97, "too wide"), (0.85, 0.95, ""), (np.nan, np.nan, ""), (None, None, "")],
)
def test_an_interval_that_misses_the_level_has_a_word(low: float | None, high: float | None, word: str) -> None:
    found = [
        MetricValue(metric=f"simulated_coverage_90_{side}", variable="a", value=value)
        for side, value in (("low", low), ("high", high))
        if value is not None
    ]
    assert calibration.width(page_of({}, metrics=tuple(found)).fits[0], "a", 90) == word


@pytest.mark.parametrize(
    ("bias", "p", "word"),
    [(0.3, 0.01, "too low"), (-0.3, 0.01, "too high"), (0.3, 0.2, ""), (0.3, np.nan, ""), (None, None, "")],
)
def test_true_values_above_the_draws_mean_that_these_are_too_low(
    bias: float | None, p: float | None, word: str
) -> None:
    found = [
        MetricValue(metric=metric, variable="a", value=value)
        for metric, value in (("simulated_bias", bias), ("simulated_bias_p", p))
        if value is not None
    ]
    assert calibration.offset(page_of({}, metrics=tuple(found)).fits[0], "a") == word


def test_bias_and_uniformity_are_folded(simulated: Page) -> None:
    (folded,) = [item for item in build(simulated) if isinstance(item, Details)]
    (table,) = folded.content
    last = [row for row in table.rows if row[0] == "s_eps" and row[1].text == "auto_laplace_approximation"]
    assert last[0][3:] == ["< 0.001", "draws too low", "< 0.001", "not uniform"]
    first = [row for row in table.rows if row[0] == "w" and row[1].text == "auto_normal"]
    assert first[0][4] == "none found"
    assert first[0][6] == "nothing against uniform"


def test_the_figure_is_that_of_the_distribution_function(simulated: Page) -> None:
    (figure,) = [item for item in build(simulated) if isinstance(item, Figure)]
    assert figure.name == "calibration"
    assert "(200 data sets)" in figure.caption
    z, difference = ranks.above(np.array([0.1, 0.1, 0.9, 0.9]))
    np.testing.assert_allclose(z + difference, np.where(z < 0.1, 0.0, np.where(z < 0.9, 0.5, 1.0)))


def test_fits_that_broke_down_or_did_not_settle_are_counted() -> None:
    found = fake.simulated(fake.small(draws=100, steps=40, failures=False), count=100, broken=20, unsettled=30)
    block = build(Page(comparison=found, problem=found.problems[0]))
    assert tables(block)[0].rows[0][1:4] == [100, 20, 30]
    text = notes(block)[0]
    assert "mean_field (20 of 100)" in text
    assert "can make a guide look better than it is" in text
    assert "mean_field (30 of 80)" in text
    (figure,) = [item for item in block if isinstance(item, Figure)]
    assert "(80 data sets)" in figure.caption


def test_a_guide_with_fewer_fits_than_the_others_is_named(comparison: Comparison) -> None:
    fewer = fake.simulated(fake.small(draws=100, steps=40), count=60)
    mixed = replace(comparison, fits=(fewer.fits[0], *comparison.fits[1:]))
    (figure,) = [item for item in build(Page(comparison=mixed, problem=mixed.problems[0])) if isinstance(item, Figure)]
    assert figure.caption.endswith("Fewer data sets, hence a wider band than this: mean_field (60).")


def test_all_fits_may_have_broken_down() -> None:
    block = build(page_of({"simulations": ranked(np.empty((0, 1)), broken=64, steps=1000)}))
    assert tables(block)[0].rows[0][1:] == [64, 64, 0, None, ""]
    assert "g (64 of 64)" in notes(block)[0]
    assert len(tables(block)) == 1


def test_one_guide_with_one_component_and_what_is_not_a_number() -> None:
    values = tuple(replace(one, value=float("nan")) for one in scores({"a": uniform(50)[:, 0]}, 999))
    page = page_of({"simulations": ranked(uniform(50), steps=1000)}, metrics=values)
    block = build(page)
    assert tables(block)[0].rows[0][1:] == [50, 0, 0, None, "nothing found"]
    cell = tables(block)[1].rows[0][2]
    assert isinstance(cell, Number)
    assert cell.mark == ""


def test_many_components_are_cut_and_the_rest_named() -> None:
    names = tuple(f"theta[{i}]" for i in range(60))
    values = uniform(100, components=60)
    values[:, 41] //= 3
    page = page_of({"simulations": ranked(values, names=names, steps=1000)})
    block = build(page)
    shown = calibration.chosen({"g": ranks.ranked(page.group(page.fits[0], "simulations"))}, names)  # type: ignore[dict-item]
    assert len(shown) == calibration.MAX_COMPONENTS
    assert "theta[41]" in shown
    assert shown == [name for name in names if name in shown]
    (note,) = notes(block)
    assert note.startswith("Below are the 12 of 60 components whose ranks are farthest from uniform")
    assert note.endswith("and 8 more.")


def test_long_findings_are_shortened() -> None:
    names = [f"theta[{i}]" for i in range(9)]
    found = [MetricValue(metric="simulated_uniformity_p", variable=name, value=0.01) for name in names]
    said = calibration.findings(page_of({}, metrics=tuple(found)).fits[0], names)
    assert said == f"ranks not uniform: {', '.join(names[:6])} and 3 more"


def test_hostile_names_are_text() -> None:
    values = uniform(50)
    values[:] = 0
    metrics = tuple(scores({fake.HOSTILE: values[:, 0]}, 999))
    page = page_of({"simulations": ranked(values, names=(fake.HOSTILE,), steps=1000)}, metrics=metrics)
    block = build(page)
    assert "intervals too narrow" in markdown.block(block)
    assert "<script>" not in html.block(block) + markdown.block(block)


def test_the_report_has_the_section_with_simulations_only(
    simulated: Page, page: Page, sections: list[Any], tmp_path: Any
) -> None:
    from guidebench.report import write

    own = [section for section in sections if section.name == "calibration"]
    text = write(simulated.comparison, tmp_path / "with", sections=own).with_name("report.md").read_text()
    assert "## Calibration by simulation" in text
    assert "(figures/calibration.png)" in text
    assert "could not be made" not in text
    bare = write(page.comparison, tmp_path / "without", sections=own).with_name("report.md").read_text()
    assert "Calibration by simulation" not in bare


def test_a_status_without_draws_has_no_simulations(comparison: Comparison) -> None:
    failed = replace(comparison["mean_field"], inference_data=None, status=Status.FAILED)
    found = replace(comparison, fits=(failed,))
    assert calibration.build(Page(comparison=found, problem=found.problems[0])) is None
