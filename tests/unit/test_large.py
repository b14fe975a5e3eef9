"""What is kept and shown of thousands of components, and of draws that would take too much."""

from __future__ import annotations

import numpy as np
import pytest

from guidebench.contracts import MetricValue
from guidebench.engine import datasets
from guidebench.engine.listed import listed
from guidebench.engine.looks.separate import FEWEST, separate
from guidebench.engine.worth import effective
from guidebench.inference.structure import Site
from guidebench.metrics.blocks import NUMBERS, blocks
from guidebench.metrics.errors import farthest
from guidebench.metrics.evidence import Evidence, scalars
from guidebench.metrics.moments import moments_of
from guidebench.report import draws
from guidebench_guides.limits import MOST_DIMENSIONS, MOST_OF_A_FLOW, too_many, too_many_for_a_flow
from tests.made import values

RNG = np.random.default_rng(0)


def test_blocks_are_the_components_in_their_order_whatever_their_sites() -> None:
    sites = {
        "w": RNG.normal(size=50).astype(np.float32),
        "wide": RNG.normal(size=(50, NUMBERS // 50 + 7)).astype(np.float32),
        "m": RNG.normal(size=(50, 2, 3)),
        "v": RNG.normal(size=(50, 4)),
    }
    found = [(name, row) for names, rows in blocks(sites) for name, row in zip(names, rows, strict=True)]
    expected = list(scalars(sites))
    assert [name for name, _ in found] == [name for name, _ in expected]
    for (_, row), (_, own) in zip(found, expected, strict=True):
        assert row.dtype == np.float64
        np.testing.assert_array_equal(row, own)
    assert max(rows.size for _, rows in blocks(sites)) <= NUMBERS


def test_moments_are_those_of_each_component_alone() -> None:
    sites = {"a": 3 + RNG.normal(size=(200, 3)), "constant": np.ones(200), "b": RNG.exponential(size=200)}
    found = moments_of(sites, {"b": 50.0})
    for name, own in scalars(sites):
        assert found[name].mean == pytest.approx(own.mean())
        assert found[name].sd == pytest.approx(own.std(ddof=1))
    fourth = np.mean((sites["b"] - sites["b"].mean()) ** 4)
    variance = sites["b"].var(ddof=1)
    assert found["b"].mean_error == pytest.approx(np.sqrt(variance / 50))
    assert found["b"].sd_error == pytest.approx(np.sqrt((fourth - variance**2) / 50 / variance) / 2)
    assert found["constant"] == (1.0, 0.0, 0.0, 0.0)
    assert list(moments_of(sites, varying=True)) == ["a[0]", "a[1]", "a[2]", "b"]


def test_independent_draws_are_worth_about_themselves_and_a_constant_all_of_them() -> None:
    worth = effective({"x": RNG.normal(size=(400, 5, 2)), "c": np.ones((400, 5))})
    assert worth["x[0]"] == pytest.approx(2000, rel=0.2)
    assert worth["c"] == 2000


def test_of_many_components_the_marginals_of_the_farthest_are_compared() -> None:
    truth = RNG.normal(size=(500, 40))
    found = truth.copy()
    found[:, 7] += 2.0
    found[:, 21] *= 3.0
    evidence = Evidence(latents={"x": found}, log_weights=np.zeros(500), reference={"x": truth})
    assert farthest(evidence) is None
    assert farthest(evidence, 2) == {"x[7]", "x[21]"}


def test_numbers_of_the_worst_components_are_kept_with_all_that_is_of_no_component() -> None:
    errors = RNG.permutation(5_000) / 5_000
    metrics = [MetricValue(value=float(one), metric="mean_shift", variable=f"x[{at}]") for at, one in enumerate(errors)]
    metrics += [MetricValue(value=float(at), metric="mean", variable=f"x[{at}]") for at in range(5_000)]
    metrics.append(MetricValue(value=1.0, metric="mean_shift"))
    kept, said = listed(metrics)
    assert said.startswith("numbers of 1,0")
    assert "of 5,000 components" in said
    assert metrics[-1] in kept
    names = {one.variable for one in kept}
    assert {f"x[{at}]" for at in np.argsort(-errors)[:1_000]} <= names
    assert {"x[0]", "x[4999]"} <= names  # the range of the means
    assert len(names) <= 1_005
    assert listed(metrics[:500]) == (tuple(metrics[:500]), "")


def test_draws_are_kept_within_a_size() -> None:
    share = datasets.MOST_BYTES // datasets.GROUPS
    assert datasets.may_be_kept(share // 250) == 250
    assert datasets.may_be_kept(10 * share) == 1
    assert datasets.may_be_kept(0) == share
    assert datasets.may_be_kept(share, groups=1) == datasets.GROUPS
    assert datasets.said_of_kept(250, 4_000, 300_000) == "kept 250 of 4,000 draws: all of them would take 1.2 GB"


def test_a_group_says_what_is_left_out_and_is_cut_by_all_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "MOST_BYTES", 5 * 1_000)
    sites = {name: Site(name=name, shape=(10,), dims=(f"{name}_dim_0",)) for name in "ab"}
    drawn = {name: np.zeros((40, 10), np.float32) for name in "ab"}
    cut = datasets.of_draws(drawn, sites)
    assert cut.sizes["draw"] == 1_000 // 80
    assert cut.attrs["kept"].startswith("kept 12 of 40 draws")
    assert not datasets.of_draws({"a": drawn["a"][:20]}, sites).attrs


@pytest.mark.parametrize(
    ("lost", "why"),
    [
        (1e6 + np.linspace(-1, 1, 40), "steps of 0.06 would show"),
        (1 - np.geomspace(1e-9, 0.5, 40), "1 is not inside the unit interval"),
        (np.geomspace(1e-60, 1.0, 40), "0 is not positive"),
        (np.geomspace(1.0, 1e60, 40), "it is not infinite"),
    ],
)
def test_before_draws_are_left_out_they_are_rounded_where_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, lost: np.ndarray, why: str
) -> None:
    rng = np.random.default_rng(0)
    fine = np.concatenate([rng.standard_normal((40, 9)), np.full((40, 1), 7e8)], axis=1)  # one that does not vary
    fine[0, 0] = 1 + 1e-9
    drawn = {"fine": fine, "lost": np.stack([lost, lost], axis=1), "count": np.arange(40)}
    drawn["none"] = np.zeros((40, 0))  # a site of a plate with no members
    assert datasets.fitting(drawn)["fine"].dtype == np.float64  # there is room for all
    monkeypatch.setattr(datasets, "MOST_BYTES", 5 * 39 * datasets.bytes_of(drawn))
    fitted = datasets.fitting(drawn)
    assert fitted["fine"].dtype == np.float32
    np.testing.assert_allclose(fitted["fine"], fine, rtol=1e-7)
    assert fitted["lost"] is drawn["lost"], why
    assert fitted["count"] is drawn["count"]


def test_a_series_of_sites_is_advised_to_be_a_plate() -> None:
    def sites(*names: str) -> list[Site]:
        return [Site(name=name, shape=(), dims=(), support="real", size=1) for name in names]

    (line,) = separate(sites("mu", *(f"b_{at}" for at in range(300))))
    assert line.startswith("b_0, b_1, ..., b_299 are 300 latent sites of one kind.")
    assert 'numpyro.plate("each_b", 300): b = numpyro.sample("b", ...)' in line
    assert not list(separate(sites(*(f"b{at}" for at in range(FEWEST - 1)))))
    assert not list(separate(sites(*("abcdefghijklmnopqrstuvwxyzABCDEFGH"))))


def test_the_worst_components_come_first() -> None:
    metrics = values(
        {"mean_error[a]": 0.05, "sd_error[a]": 0.03, "mean_moved[b]": 0.2, "sd_shift[a]": 0.6, "mean[c]": 9.0}
    )
    assert [one.name for one in draws.worst(metrics, ("a", "b", "c"))] == ["a", "b"]
    vectors = [
        MetricValue(value=0.1, metric="sd_error", variable="t[1,2]"),
        MetricValue(value=float("nan"), metric="sd_error", variable="t[0,3]"),
        MetricValue(value=0.1, metric="sd_error", variable="other"),
    ]
    assert draws.worst(vectors, ("t",)) == [draws.Component("t", (0, 3)), draws.Component("t", (1, 2))]


def test_a_full_matrix_over_too_many_dimensions_is_refused_with_its_size_and_what_to_take_instead() -> None:
    class Structure:
        latent_dim = 10_000

    said = too_many(Structure)
    assert said is not None
    assert "8.0 GB" in said
    assert "auto_low_rank_multivariate_normal" in said
    Structure.latent_dim = MOST_DIMENSIONS
    assert too_many(Structure) is None


def test_a_flow_over_too_many_dimensions_is_refused_with_what_to_take_instead() -> None:
    class Structure:
        latent_dim = MOST_OF_A_FLOW + 1

    said = too_many_for_a_flow(Structure)
    assert said is not None
    assert f"{MOST_OF_A_FLOW} dimensions are the most" in said
    assert "auto_low_rank_multivariate_normal" in said
    Structure.latent_dim = MOST_OF_A_FLOW
    assert too_many_for_a_flow(Structure) is None
    Structure.latent_dim = 1
    assert "auto_normal" in str(too_many_for_a_flow(Structure))
