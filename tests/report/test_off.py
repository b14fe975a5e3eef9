"""What is off: the worst quantities first, in the guide that has them worst, held against the reference or chains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from guidebench.analysis.differences import Difference
from guidebench.report.content import Details, Figure, Table
from guidebench.report.draws import Component
from guidebench.report.off import off, standard
from guidebench.report.page import Page
from guidebench.report.sections import differences, joints, loss, parameters
from guidebench.report.sections import off as section
from guidebench.results import Verdict
from tests import made
from tests.report import fake
from tests.report.fake import lead
from tests.report.pages import page_of


def errors(**found: tuple[float, float]) -> dict[str, float]:
    """Return the errors of these components, and the largest of them, as metrics have them."""
    means, sds = zip(*found.values(), strict=True)
    each = {
        name: value
        for variable, (mean, sd) in found.items()
        for name, value in ((f"mean_error[{variable}]", mean), (f"sd_error[{variable}]", sd))
    }
    return {"mean_error": max(means), "sd_error": max(sds), **each}


def test_each_quantity_is_told_once_in_the_guide_that_has_it_worst() -> None:
    one = made.fit("one", errors(a=(0.05, 0.0), b=(0.0, 0.6)))
    other = made.fit("other", errors(a=(0.2, 0.0), b=(0.0, 0.3), elsewhere=(9.0, 9.0)))
    found = off([one, other], ["a", "b"])
    assert [(each.component.name, each.fit.guide, each.error.over) for each in found] == [
        ("b", "one", pytest.approx(4.0)),  # 60 % over 15 %
        ("a", "other", pytest.approx(2.0)),  # 0.2 sd over 0.1 sd
    ]


def test_a_guide_that_is_lost_altogether_does_not_decide_alone() -> None:
    lost = made.fit("lost", errors(a=(40.0, 1.0), b=(9.0, 1.0)))
    two = [made.fit(name, errors(a=(0.01, 0.0), b=(0.3, 0.0))) for name in ("one", "other")]
    assert [each.component.name for each in off([lost], ["a", "b"])] == ["a", "b"]
    assert [(each.component.name, each.fit.guide) for each in off([lost, *two], ["a", "b"])] == [
        ("b", "lost"),
        ("a", "lost"),
    ]


def test_what_is_no_number_is_worst_of_all() -> None:
    found = off([made.fit("one", errors(a=(9.0, 0.0), b=(float("nan"), 0.0)))], ["a", "b"])
    assert found[0].component == Component("b")


def data(**sites: Any) -> Any:
    return fake.from_groups({"posterior": xr.Dataset({name: lead(values) for name, values in sites.items()})})


def known(count: int, guides: int = 2) -> Page:
    """A page of that many latents whose guides are off by known amounts: more and more, the last one most."""
    z = np.random.default_rng(0).normal(size=4000)
    z = (z - z.mean()) / z.std(ddof=1)
    names = [f"x{at}" for at in range(count)]
    shifts = {name: at / count for at, name in enumerate(names)}
    fits = [
        made.fit(
            f"guide_{number}",
            errors(**{name: (shift, 0.0) for name, shift in shifts.items()}),
            inference_data=data(**{name: 5 + 2 * (z + shift) for name, shift in shifts.items()}),
        )
        for number in range(guides)
    ]
    record = made.record(latents=tuple(names), reference="exact posterior")
    reference = data(**dict.fromkeys(names, 5 + 2 * z))
    comparison = made.comparison(*fits, problems=(record,), references={"p": reference})
    return Page(comparison=comparison, problem=record)


def test_intervals_are_in_sds_of_what_they_are_held_against() -> None:
    page = known(4)
    drawn = section.rows(page)
    assert [component.name for component, _ in drawn] == ["x3", "x2", "x1", "x0"]
    _, should = drawn[0]
    low, middle, high = section.intervals(page, Component("x3"), should)["guide_0"]
    own = np.quantile((should - should.mean()) / should.std(ddof=1), [0.05, 0.5, 0.95])
    assert [low, middle, high] == pytest.approx(own + 0.75)


@pytest.mark.usefixtures("look")
@pytest.mark.parametrize(("count", "guides"), [(1, 1), (30, 16), (500, 2)])
def test_any_number_of_latents_is_a_figure_of_bounded_height_and_a_table_of_all(count: int, guides: int) -> None:
    block = section.build(known(count, guides))
    assert block is not None
    figure, details = block
    assert isinstance(figure, Figure)
    assert figure.height <= 150 * (section.TALLEST + 3)
    assert isinstance(details, Details)
    (table,) = details.content
    assert isinstance(table, Table)
    assert len(table.rows) == count
    assert table.rows[0][0] == f"x{count - 1}"
    assert table.rows[0][-1] == "5 (2)"


def test_without_errors_there_is_no_section(page: Page) -> None:
    assert section.build(page) is None


def test_without_a_reference_the_draws_of_chains_are_the_standard() -> None:
    chained = xr.Dataset({"a": lead(np.arange(4.0))})
    groups = {"posterior": xr.Dataset({"a": lead(np.zeros(4))}), "refreshed": chained}
    mended = made.fit("mended", verdict=Verdict.REFRESH, refreshed_by="chains", inference_data=fake.from_groups(groups))
    bad = made.fit("bad", verdict=Verdict.DISTRUST, inference_data=mended.inference_data)
    found = standard([bad, mended], None, "")
    assert found is not None
    assert found[0] == "the chains that began at mended"
    assert found[1].identical(chained)
    assert standard([bad], None, "") is None
    called = standard([mended], chained, "NUTS")
    assert called is not None
    assert called[0] == "the reference (NUTS)"


# Marginals and pairs


def test_of_many_components_the_worst_are_shown_and_of_few_all_in_order() -> None:
    page = known(14)
    found, total = page.components(12)
    assert total == 14
    assert [one.name for one in found] == [f"x{at}" for at in range(13, 1, -1)]
    assert page.shown_of(12, total).startswith("the 12 of 14 components whose means and sds are farthest off")
    assert [one.name for one in page.components(14)[0]] == [f"x{at}" for at in range(14)]


def test_pairs_are_those_whose_correlation_is_farthest_off() -> None:
    z = np.random.default_rng(1).normal(size=(5, 2000))
    right = {"a": z[0], "b": z[0] + 0.1 * z[1], "c": z[2], "d": z[2] + z[3]}
    wrong = {**right, "c": z[4]}  # c and d do not go together; a and b do, as they should, and more strongly
    fit = made.fit("one", inference_data=data(**wrong))
    record = made.record(latents=("a", "b", "c", "d"), reference="exact posterior")
    comparison = made.comparison(fit, problems=(record,), references={"p": data(**right)})
    page = Page(comparison=comparison, problem=record)
    components, _ = page.components(9)
    (pair,), why = joints.worst_pairs(page, components, count=1)
    assert [one.name for one in pair] == ["c", "d"]
    assert why == "whose correlation is farthest from that of the reference (exact posterior)"
    bare = Page(comparison=replace(comparison, references={}), problem=replace(record, reference=""))
    (pair,), why = joints.worst_pairs(bare, components, count=1)
    assert [one.name for one in pair] == ["a", "b"]
    assert why == "that are most correlated"


# Ties


def pair(first: str, second: str, value: float, limit: float) -> Difference:
    return Difference(first=first, second=second, value=value, error=limit / 3, limit=limit)


def between(**elbos: float) -> list[Difference]:
    """Return the differences between guides that count from 0.1 nat on, in the order of their ELBOs."""
    names = sorted(elbos, key=lambda name: -elbos[name])
    return [
        pair(one, other, elbos[one] - elbos[other], 0.1) for at, one in enumerate(names) for other in names[at + 1 :]
    ]


@pytest.mark.parametrize(
    ("elbos", "tied"),
    [
        ({"a": 3.0, "b": 2.0, "c": 1.0}, []),
        ({"a": 1.05, "b": 1.0, "c": 0.0}, [["a", "b"]]),
        ({"a": 1.08, "b": 1.0, "c": 0.92}, [["a", "b"], ["b", "c"]]),  # a and c differ
        ({"a": 1.08, "b": 1.04, "c": 1.0, "d": 0.5, "e": 0.45}, [["a", "b", "c"], ["d", "e"]]),
    ],
)
def test_ties_are_the_largest_groups_of_which_no_two_differ(elbos: dict[str, float], tied: list[list[str]]) -> None:
    assert differences.groups(between(**elbos)) == tied


def test_ties_are_one_line() -> None:
    assert differences.told(between(a=3.0, b=2.0)) == "All guides differ in their ELBO by more than noise."
    assert differences.told(between(a=1.0, b=1.0)) == "By their ELBO no two of these guides can be told apart."
    told = differences.told(between(a=1.08, b=1.04, c=1.0, d=0.5, e=0.45))
    assert told == "By their ELBO these cannot be told apart: a, b and c; d and e."


# Training


def trained(guide: str, end: float, elbo: float | None, **parts: Any) -> Any:
    steps = np.arange(1, 401)
    curve = end + 50 * np.exp(-steps / 20.0)
    group = xr.Dataset({"loss": (("restart", "step"), curve[None])}, coords={"step": steps})
    posterior = xr.Dataset({"a": lead(np.random.default_rng(0).normal(size=50))})
    inside = fake.from_groups({"posterior": posterior, "training": group})
    return made.fit(guide, {"elbo": elbo}, inference_data=inside, **parts)


def test_the_axis_of_the_loss_is_that_of_the_guides_that_have_an_elbo() -> None:
    fits = [
        trained("flow", 20.0, -20.0),
        trained("laplace", 14.0, -20.5),
        trained("delta", -300.0, None, bound="none"),
    ]
    page = Page(comparison=made.comparison(*fits), problem=made.record())
    curves = {fit.guide: found for fit in page.fits if (found := loss.losses(page, fit)) is not None}
    held = loss.of_elbos(page, page.fits, curves)
    assert set(held) == {"flow"}
    low, high = loss.window(held)
    assert 19 < low < 20 < high < 40
    assert set(loss.of_elbos(page, page.fits[2:], {"delta": curves["delta"]})) == {"delta"}  # there is no other


def test_parameters_beyond_twelve_are_a_band() -> None:
    values = np.zeros((3, 20))
    values[1:] = np.outer([1.0, 2.0], np.arange(1.0, 21.0))  # each entry moves farther than the one before
    group = xr.Dataset({"loc": (("snapshot", "d"), values)}, coords={"snapshot": [0, 10, 20]})
    page = page_of({"training_parameters": group})
    lines, total = parameters.paths(page, page.fits[0], "loc")
    assert total == 20
    assert lines["parameter"].unique().tolist() == [f"loc[{at}]" for at in range(8, 20)]
    band = parameters.band(page, page.fits[0], "loc")
    assert band is not None
    steps, low, high = band
    assert steps.tolist() == [0, 10, 20]
    assert low.tolist() == [0, 1, 2]
    assert high.tolist() == [0, 8, 16]
    few = page_of({"training_parameters": group.isel(d=slice(0, 12))})
    assert parameters.band(few, few.fits[0], "loc") is None
