"""Two kinds of reference that contradict each other: told apart from noise, said, and neither taken for the truth."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from guidebench.analysis.recommendation import recommend
from guidebench.analysis.verdict import judge
from guidebench.engine import chained, references
from guidebench.engine.disagreeing import disagreement, neither, unvisited
from guidebench.engine.gate import Reference
from guidebench.inference.modes import Landscape
from guidebench.inference.peaks import Mode
from guidebench.inference.weighing import Mixture
from guidebench.results import Status, Verdict
from guidebench.results.asjson import plain, problem_of
from tests import made
from tests.numerics.referenced import line_problem, prepared, workbench

RANDOM = np.random.default_rng(4)
DRAWS = RANDOM.standard_normal((10_000, 3))


def reference(label: str, draws: np.ndarray, effective: float | None = None) -> Reference:
    worth = {} if effective is None else {f"w[{at}]": effective for at in range(draws.shape[1])}
    return Reference(label=label, chains={"w": draws[None]}, effective=worth)


@pytest.mark.parametrize(
    ("change", "effective", "component", "said"),
    [
        (0.0, None, None, ""),
        (0.08, None, None, ""),
        (0.3, None, "w[1]", r"0\.(29|30|31)"),
        (0.3, 60.0, None, ""),  # so few draws cannot tell
    ],
)
def test_means_that_are_apart_beyond_limits_and_noise(
    change: float, effective: float | None, component: str | None, said: str
) -> None:
    other = RANDOM.standard_normal((10_000, 3)) + change * np.array([0.0, 1.0, 0.0])
    found = disagreement(reference("NUTS", DRAWS, effective), reference("mixture", other, effective))
    assert (found.components if found else (None,)) == (component,)
    if found:
        assert found.between == ("NUTS", "mixture")
        assert "by NUTS w[1] has mean" in found.said
        assert re.search(rf"which is {said} sd", found.said)
        assert found.means[1] - found.means[0] == pytest.approx(change, abs=0.05)


def test_sds_too_and_the_farthest_comes_first() -> None:
    other = RANDOM.standard_normal((10_000, 3)) * [1.0, 1.3, 2.0]
    found = disagreement(reference("chains", DRAWS), reference("mixture", other))
    assert found is not None
    assert found.components == ("w[2]", "w[1]")
    assert found.said.endswith("% in the sd")
    assert found.sds[1] / found.sds[0] == pytest.approx(2.0, abs=0.1)


def test_it_is_kept_said_and_gives_nobody_a_say() -> None:
    found = disagreement(reference("NUTS", DRAWS), reference("mixture", DRAWS + 1.0))
    assert found is not None
    instead = neither(found)
    assert (instead.label, instead.chains, instead.disagreement) == ("", {}, found)
    assert instead.note.startswith("NUTS and mixture disagree, so neither is taken for the truth: by NUTS w[")
    record = made.record(disagreement=found)
    assert problem_of(plain(record)) == record
    assert problem_of(plain(made.record())) == made.record()

    weights = made.values({"mean_shift[w]": 0.01, "sd_shift[w]": 0.02, "khat": 0.3, "smoothed_kl": 0.01}, mcse=0.005)
    rest = judge(weights, "elbo", Status.CONVERGED, apart=found.said)
    assert rest.verdict is Verdict.TRUST  # by its weights, as far as they reach
    last = rest.evidence[-1]
    assert (last.source, last.raw, last.reweighted, last.refreshed) == ("reference", None, None, None)
    assert last.said.startswith("There is no reference, for two kinds of it disagree: by NUTS w[")
    nothing = judge((), "elbo", Status.CONVERGED, apart=found.said)
    assert nothing.verdict is Verdict.DISTRUST
    assert "two kinds of it disagree" in nothing.reason
    said = recommend([made.fit("g", verdict=Verdict.DISTRUST)], record)
    assert "NUTS and mixture disagree here" in said
    assert "see that its chains agree" not in said


@pytest.mark.usefixtures("short_nuts", "kept_references")
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_nuts_by_name_is_held_against_a_mixture(shift: float, monkeypatch: pytest.MonkeyPatch) -> None:
    by_mixture = references.by_mixture

    def moved(asked: Any) -> Any:
        found = by_mixture(asked)
        assert isinstance(found, Reference)
        return replace(found, chains={name: value + shift for name, value in found.chains.items()})

    monkeypatch.setattr(references, "by_mixture", moved)
    one = prepared(line_problem(), reference="nuts")
    assert one.reference.label == ("" if shift else "NUTS")
    assert one.reference.witness is None
    assert bool(one.record.disagreement) is bool(shift)
    if one.record.disagreement:
        assert one.record.disagreement.between == ("NUTS", "mixture")
        assert one.record.disagreement.said in one.record.reference_note


def test_weights_that_are_good_and_contradict_the_chains_leave_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    own = reference("chains", DRAWS)
    posterior: Any = SimpleNamespace(pointwise=None, landscape=None)
    groups: Any = SimpleNamespace(found=[SimpleNamespace(points=DRAWS)])

    def weighed(**parts: Any) -> Reference:
        mixture = Mixture(**{"accepted": False, "reason": "so", "draws": {"w": DRAWS + 1.0}, **parts})
        monkeypatch.setattr(chained, "witness", lambda *_: mixture)
        return chained._weighed("p", posterior, groups, own, 0.0)[0]

    assert weighed() is own
    apart = weighed(contradicts=True)
    assert apart.disagreement is not None
    assert (apart.label, apart.disagreement.between) == ("", ("chains", "mixture"))
    assert weighed(contradicts=True, draws={"w": DRAWS}) is own  # no more than noise, in the model's own sites


def test_modes_that_no_chain_began_at_or_came_by_count_and_those_that_it_left_do_not() -> None:
    target = workbench(line_problem()).target
    assert target is not None
    draws = Reference(label="NUTS", chains={"w": RANDOM.standard_normal((4, 500))})

    def seen(places: list[float], began: int = 4) -> str:
        modes = tuple(Mode.at(np.array([at]), 0.0, np.eye(1)) for at in places)
        landscape = Landscape(local=(), places=(), best=None, modes=modes)
        found = unvisited(draws, landscape, target, began)
        return "" if found is None else found.said

    assert seen([0.0]) == ""
    assert seen([0.0, 30.0]) == ""  # a chain began there, and left
    assert seen([0.0, 1.0, -1.0, 2.0, 0.5]) == ""
    assert "no draws at 1 of the 5 modes" in seen([0.0, 1.0, -1.0, 2.0, 30.0])
