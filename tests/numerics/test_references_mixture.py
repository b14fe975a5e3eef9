"""The mixture as a reference: taken before NUTS where its weights are good, named and used for nothing where not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.engine import chained, mixed, references
from guidebench.engine.gate import judge
from guidebench.problems import funnel, linear_regression
from guidebench.results import ProblemRecord
from guidebench.results.asjson import plain, problem_of
from tests.numerics.referenced import X, Y, line_problem, prepared, reference

pytestmark = pytest.mark.usefixtures("kept_references")


def wide() -> None:
    numpyro.sample("x", dist.Normal(0.0, 1.0).expand([31]).to_event(1))


WIDE = Problem(name="wide", model=wide)


@pytest.mark.parametrize("choice", ["auto", "mixture"])
def test_it_is_taken_before_nuts(choice: str, no_sampler: Callable[[], None]) -> None:
    no_sampler()
    one = prepared(line_problem(), reference=choice)
    found = one.reference
    assert found.label == "mixture", found.note
    precision = 1 + np.sum(X.astype(float) ** 2) / 0.09
    mean = np.sum(X.astype(float) * Y) / 0.09 / precision
    draws = found.draws["w"]
    assert found.chains["w"].shape == (1, len(draws))
    assert draws.mean() == pytest.approx(mean, abs=4 / np.sqrt(precision * found.effective["w"]))
    assert draws.std() == pytest.approx(precision**-0.5, rel=4 / np.sqrt(2 * found.effective["w"]))
    assert set(found.checks) == {"draws", "khat", "ess"}
    assert found.checks["draws"] == len(draws)
    assert found.note.startswith("mixture: importance sampling from 200,000 points about the posterior, k-hat ")
    assert one.record.reference == "mixture"
    assert one.record.search == "16 starts, 1 mode, probably all"


def test_it_is_the_same_whatever_the_seed_of_the_run() -> None:
    first, second = (reference(line_problem(), "mixture", seed=seed) for seed in (0, 3))
    np.testing.assert_array_equal(first.draws["w"], second.draws["w"])


def test_it_agrees_with_the_exact_posterior_of_the_seed_problem() -> None:
    found = reference(linear_regression.problem(), "mixture")
    assert found.label == "mixture", found.note
    exact = linear_regression.reference(1, 400_000)
    for site, draws in found.draws.items():
        for level in (0.01, 0.05, 0.5, 0.95, 0.99):
            error = np.sqrt(level * (1 - level) / found.effective[site])
            assert np.mean(draws < np.quantile(exact[site], level)) == pytest.approx(level, abs=4 * error), site


@pytest.mark.slow
@pytest.mark.usefixtures("short_nuts")
def test_where_both_fail_both_are_named_and_the_sites_that_chains_contradict_each_other_about() -> None:
    one = prepared(funnel.problem(), reference="nuts")
    assert one.reference.label == ""
    assert "v" in one.record.reference_doubts
    assert "Its chains contradict each other about v" in one.reference.note

    both = prepared(replace(funnel.problem(), reference=None), reference="auto")
    assert both.reference.label == ""
    assert both.reference.note.startswith("NUTS failed its checks and is used for nothing: ")
    assert "The mixture about what the search found is used for nothing: " in both.reference.note
    assert both.record.reference_doubts == one.record.reference_doubts

    alone = reference(funnel.problem(), "mixture")
    assert (alone.label, alone.chains) == ("", {})
    assert alone.note.startswith("The mixture about what the search found is used for nothing: ")


@pytest.mark.usefixtures("short_nuts")
def test_beyond_its_reach_it_stands_about_chains_and_without_these_nuts_comes_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = reference(WIDE, "auto")
    assert found.label == "mixture", found.note
    monkeypatch.setattr(references, "LADDER", [rung for rung in references.LADDER if rung.name != "chains"])
    found = reference(WIDE, "auto")
    assert found.label == "NUTS", found.note
    assert "mixture" not in found.note
    with pytest.raises(
        RequestError, match="--reference mixture: problem 'wide': it reaches 30 coordinates, and there "
    ):
        reference(WIDE, "mixture")


@pytest.mark.usefixtures("short_nuts")
def test_a_mixture_that_breaks_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError

    for module in (mixed, chained):  # the mixture of chains, too
        monkeypatch.setattr(module, "witness", breaks)
    assert reference(line_problem(), "auto").label == "NUTS"
    with pytest.raises(RequestError, match="--reference mixture: problem 'line': ZeroDivisionError"):
        reference(line_problem(), "mixture")


def test_the_kinds_that_can_be_asked_for_are_those_of_the_ladder() -> None:
    assert [rung.name for rung in references.LADDER] == ["mixture", "chains", "nuts"]


# -- chains that contradict each other


def test_sites_are_doubted_where_chains_are_far_apart() -> None:
    rng = np.random.default_rng(0)
    chains = {"a": rng.standard_normal((4, 500, 2)), "b": rng.standard_normal((4, 500)), "c": np.ones((4, 500))}
    assert judge(chains, 0).doubts == ()
    assert judge(chains, 0).disagreement() == ""
    chains["a"][0, :, 1] += 2
    found = judge(chains, 0)
    assert found.doubts == ("a",)
    assert found.disagreement() == " Its chains contradict each other about a."
    chains |= {name: chains["b"] + 3.0 * np.arange(4)[:, None] for name in "defghi"}
    assert judge(chains, 0).disagreement() == " Its chains contradict each other about a, d, e, f, g and 2 more."


def test_doubts_and_what_the_search_saw_are_kept() -> None:
    record = ProblemRecord(name="p", reference_doubts=("a", "b"), search="16 starts, 1 mode, probably all")
    written = plain(record)
    assert problem_of(written) == record
    earlier = {name: value for name, value in written.items() if name not in ("reference_doubts", "search")}
    assert problem_of(earlier) == ProblemRecord(name="p")
