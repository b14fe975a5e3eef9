"""The key of a fit changes with whatever its numbers depend on, and with nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from guidebench.config import make_config
from guidebench.contracts import Guide, Metric, Problem
from guidebench.engine.keys import environment, sources
from guidebench.engine.keys.maker import KeyMaker, Keys
from guidebench.plugins.isolation.failures import LOCAL, OWN
from guidebench.plugins.registry import Registered
from guidebench.request.selection import ChosenGuide

Y = np.array([0.5, -0.25, 1.0])


def model(y: Any = None, scale: float = 1.0) -> None:
    w = numpyro.sample("w", dist.Normal(0, 1))
    with numpyro.plate("rows", 3):
        numpyro.sample("y", dist.Normal(w, scale), obs=y)


def other(y: Any = None, scale: float = 1.0) -> None:
    w = numpyro.sample("w", dist.Normal(0, 2))
    with numpyro.plate("rows", 3):
        numpyro.sample("y", dist.Normal(w, scale), obs=y)


def build(model: Any, *, rank: int = 2) -> Any:
    return lambda y=None: numpyro.sample("w", dist.Normal(numpyro.param("w", 0.0), rank))


def build_otherwise(model: Any, *, rank: int = 2) -> Any:
    return lambda y=None: numpyro.sample("w", dist.Normal(numpyro.param("w", 1.0), rank))


PROBLEM = Problem(name="line", model=model, kwargs={"y": Y}, heldout={"y": Y + 1}, truth={"w": 0.5})
GUIDE = Guide(name="flow", build=build)
METRIC = Metric(name="length", compute=lambda evidence: [])


def chosen(guide: Guide = GUIDE, distribution: str = LOCAL, **options: Any) -> ChosenGuide:
    label = guide.name + "".join(f":{name}={value}" for name, value in options.items())
    return ChosenGuide(registered=Registered(guide, "acme", distribution), label=label, options=options)


def keys(
    problem: Problem = PROBLEM,
    those: tuple[ChosenGuide, ...] = (chosen(),),
    metrics: tuple[Metric, ...] = (METRIC,),
    given: Mapping[str, Any] | None = None,
    **options: Any,
) -> Keys:
    registered = [Registered(one, "acme", LOCAL) for one in metrics]
    return KeyMaker(make_config(options), registered, given).keys(problem, those)


def of(found: Keys, label: str = "flow") -> str:
    key = found.fits[label]
    assert key is not None
    return key


def test_the_same_has_the_same_key() -> None:
    assert keys() == keys(replace(PROBLEM, kwargs={"y": Y.copy()}))


@pytest.mark.parametrize(
    "options",
    [
        {"problems": ("a", "b")},
        {"guides": ("all",), "static": {"n": 1}, "heldout": 0.5, "data": "x.csv"},
        {"out": "elsewhere", "quiet": True, "strict": True, "log_loss": True, "fresh": True},
        {"time_limit": 30, "no_plugins": True, "plugins": ("x.py",)},
        *({"jobs": 2}, {"dask": "local:2"}),
    ],
)
def test_what_changes_no_number_changes_no_key(options: dict[str, Any]) -> None:
    assert keys(**options) == keys()


def test_another_guide_changes_no_key() -> None:
    found = keys(those=(chosen(), chosen(rank=3)))
    assert of(found) == of(keys())
    assert of(found, "flow:rank=3") != of(found)


@pytest.mark.parametrize(
    "options",
    [
        *({"seed": 1}, {"draws": 500}, {"steps": 77}, {"restarts": 2}, {"recipe": "plain"}, {"init": "median"}),
        *({"x64": True}, {"reference": "none"}, {"minibatch": {"n": 2}}, {"simulations": 30}, {"loss": "RenyiELBO"}),
        {"given": {"w": np.zeros(200)}},
    ],
)
def test_a_setting_changes_the_key(options: dict[str, Any]) -> None:
    found = keys(**options)
    assert found.problem != keys().problem
    assert of(found) != of(keys())


@pytest.mark.parametrize(
    "changes",
    [
        *({"model": other}, {"kwargs": {"y": Y + 1e-12}}, {"kwargs": {"y": Y, "scale": 2.0}}, {"name": "curve"}),
        *({"heldout": None}, {"heldout": {"y": Y}}, {"predict": {"y": Y}}, {"truth": {"w": 0.25}}),
        *({"observed": ("y",)}, {"log_evidence": -3.0}, {"reference": lambda seed, count: {}}, {"notes": ("Old.",)}),
    ],
)
def test_a_part_of_the_problem_changes_the_key(changes: dict[str, Any]) -> None:
    found = keys(replace(PROBLEM, **changes))
    assert found.problem not in (None, keys().problem)
    assert of(found) != of(keys())


@pytest.mark.parametrize(
    "guide",
    [
        chosen(replace(GUIDE, build=build_otherwise)),
        chosen(replace(GUIDE, family="affine")),
        chosen(replace(GUIDE, bound="none")),
        chosen(replace(GUIDE, objective=lambda particles: None)),
        chosen(distribution="acme"),
    ],
)
def test_a_part_of_the_guide_changes_its_key_alone(guide: ChosenGuide) -> None:
    found = keys(those=(guide,))
    assert found.problem == keys().problem
    assert of(found) != of(keys())


def test_an_option_of_the_guide_changes_its_key() -> None:
    two, three = (replace(chosen(rank=rank), label="flow") for rank in (2, 3))
    assert of(keys(those=(two,))) != of(keys(those=(three,)))


def test_metrics_change_the_keys_of_fits() -> None:
    more = Metric(name="width", compute=lambda evidence: [])
    changed = replace(METRIC, compute=lambda evidence: [1])
    found = [keys(metrics=metrics) for metrics in ((METRIC,), (METRIC, more), (changed,), ())]
    assert len({of(one) for one in found}) == 4
    assert len({one.problem for one in found}) == 1


@pytest.mark.parametrize("package", ["guidebench", "jax", "jaxlib", "numpyro", "optax", "numpy"])
def test_a_version_changes_the_key(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    before, versions = of(keys()), environment.versions()
    monkeypatch.setattr(environment, "versions", lambda: {**versions, package: "99"})
    assert of(keys()) != before


def test_guidebench_itself_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = of(keys())
    monkeypatch.setattr(sources, "own", lambda *roots: "edited")
    assert of(keys()) != before


def test_the_file_of_the_reference_is_read(tmp_path: Path) -> None:
    file = tmp_path / "draws.csv"
    found = []
    for text in ("w\n1\n", "w\n2\n"):
        file.write_text(text)
        found.append(of(keys(reference=str(file))))
    assert found[0] != found[1]


def test_a_guide_without_a_fingerprint_has_no_key_and_the_others_have() -> None:
    thing = object()
    odd = Guide(name="odd", build=lambda model: thing)
    found = keys(those=(chosen(odd), chosen()))
    assert found.fits["odd"] is None
    assert of(found) == of(keys())


def test_a_problem_without_a_fingerprint_has_no_keys() -> None:
    assert keys(replace(PROBLEM, kwargs={"y": Y, "thing": object()})) == Keys(None, {"flow": None})


def test_a_metric_without_a_fingerprint_leaves_no_fit_a_key() -> None:
    thing = object()
    found = keys(metrics=(Metric(name="odd", compute=lambda evidence: [thing]),))
    assert found.problem == keys().problem
    assert found.fits["flow"] is None


def test_guidebenchs_own_guides_go_by_their_names() -> None:
    a, b = (ChosenGuide(registered=Registered(replace(GUIDE, name=name), "x", OWN), label="flow") for name in "ab")
    assert of(keys(those=(a,))) != of(keys(those=(b,)))


def test_with_a_budget_a_fit_hangs_on_the_guides_that_share_it() -> None:
    both = chosen(), chosen(rank=3)
    assert of(keys(those=both)) == of(keys())
    assert of(keys(budget="5000")) != of(keys())
    assert of(keys(budget="5000")) == of(keys(budget="5_000"))
    assert of(keys(those=both, budget="5000")) != of(keys(budget="5000"))
    assert keys(those=both, budget="5000").problem != keys(budget="5000").problem
