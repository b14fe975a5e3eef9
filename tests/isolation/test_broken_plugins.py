"""No plugin can break a comparison: each failure is named, the others finish, and no bit of theirs changes."""

from __future__ import annotations

import os
import pickle
import random
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import matplotlib as mpl
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import Distribution
from numpyro.primitives import _PYRO_STACK

import guidebench as gb
from guidebench.results import Comparison, Fit, Status
from guidebench.results.inference_data import group, group_names
from tests.isolation.broken import BROKEN, ENDLESS, VANDAL

Runs = Callable[..., Any]

HEALTHY = "mean_field"

#: These raise nothing: a hook that is never called, and losses that are not finite.
SILENT = ("acme-misspelled", "acme-nan", "acme-support")

#: Seconds after which a guide that never comes back is ended; the healthy one needs a fraction of it.
LIMIT = 60


def numbers(comparison: Comparison) -> dict[Any, Any]:
    """Return every metric and every draw of the healthy guide, to the bit."""
    fit = comparison[HEALTHY]
    assert fit.status is Status.MAX_STEPS  # 40 steps show little
    found: dict[Any, Any] = {(one.metric, one.variable): (repr(one.value), repr(one.mcse)) for one in fit.metrics}
    for name in group_names(fit.inference_data):
        dataset = group(fit.inference_data, name)
        assert dataset is not None
        for variable, array in dataset.variables.items():
            found[name, str(variable)] = (array.dtype, np.asarray(array.values).tobytes())
    return found


@pytest.fixture(scope="module")
def alone(run: Runs) -> Any:
    ran = run({}, (HEALTHY,))
    assert (ran.status, ran.err) == (0, "")
    return ran


@pytest.fixture(scope="module")
def healthy(alone: Any) -> dict[Any, Any]:
    found = numbers(alone.comparison)
    assert ("elbo", "") in found
    assert ("posterior", "w") in found
    return found


# All of them at once


@pytest.fixture(scope="module")
def crowd(run: Runs) -> Any:
    guides = [name for one in BROKEN.values() for name in one.guides]
    return run({name: one.source for name, one in BROKEN.items()}, (*guides, HEALTHY))


def test_the_others_finish_and_the_status_is_one(crowd: Any, healthy: dict[Any, Any]) -> None:
    assert (crowd.status, crowd.err) == (1, "")
    assert numbers(crowd.comparison) == healthy
    assert "Traceback" not in crowd.out


@pytest.mark.parametrize("name", BROKEN)
def test_each_is_named_with_its_plugin_and_phase(crowd: Any, name: str) -> None:
    expected = BROKEN[name]
    (found,) = [one for one in crowd.comparison.all_failures() if one.distribution == name]
    assert (found.plugin, found.phase, found.name) == (name.replace("-", "_"), expected.phase, expected.name)
    assert expected.reason in found.message
    assert "\n" not in found.message


@pytest.mark.parametrize("name", [name for name in BROKEN if name not in SILENT])
def test_each_keeps_its_traceback(crowd: Any, name: str) -> None:
    (found,) = [one for one in crowd.comparison.all_failures() if one.distribution == name]
    assert found.traceback.startswith(("Traceback", "jax"))
    assert found.message.partition(":")[0].split()[-1] in found.traceback


@pytest.mark.parametrize("name", BROKEN)
def test_each_has_its_line_on_the_terminal_and_its_place_in_the_report(crowd: Any, name: str) -> None:
    reason = BROKEN[name].reason
    lines = [line for line in crowd.out.splitlines() if reason in line and name in line]
    fits = len(crowd.comparison.fits) if BROKEN[name].phase == "metric" else 1
    assert 1 <= len(lines) <= fits
    text = crowd.report().replace("\\", "")
    assert name in text
    assert reason in text


@pytest.mark.parametrize("name", [name for name, one in BROKEN.items() if one.guides])
def test_a_broken_guide_has_no_numbers(crowd: Any, name: str) -> None:
    fit: Fit = crowd.comparison[BROKEN[name].name]
    assert (fit.plugin, str(fit.verdict)) == (name, "failed")
    assert fit.status is (Status.DIVERGED if name in SILENT else Status.FAILED)
    assert fit.metrics == ()
    assert fit.inference_data is None


def test_a_metric_that_fails_is_named_beside_every_fit_with_draws(crowd: Any) -> None:
    fit = crowd.comparison[HEALTHY]
    assert {(one.phase, one.distribution) for one in fit.failures} == {
        ("metric", "acme-metric"),
        ("metric", "acme-writing-metric"),
    }
    assert "metric 'oddness' of acme-metric failed: ZeroDivisionError: no draws left" in fit.message


def test_a_section_that_fails_leaves_a_note_in_its_place(crowd: Any) -> None:
    text = crowd.report().replace("\\", "")
    assert text.index("## Oddities") < text.index("The section 'oddities'") < text.index("## Summary")


# One at a time


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_no_bit_of_a_healthy_guide_changes_beside_any_of_them(run: Runs, healthy: dict[Any, Any], name: str) -> None:
    ran = run({name: BROKEN[name].source}, (*BROKEN[name].guides, HEALTHY))
    # A plugin that cannot be loaded, and that nobody asked for, is no failure of the run.
    assert ran.status == int(any(one.phase not in ("import", "hook") for one in ran.comparison.all_failures()))
    assert {one.distribution for one in ran.comparison.all_failures()} == {name}
    assert numbers(ran.comparison) == healthy


# What a process shares


def shared() -> dict[str, Any]:
    """Return the state of the process that plugins are known to change."""
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109
        "streams": (sys.stdout, sys.stderr),
        "filters": list(warnings.filters),
        "showwarning": warnings.showwarning,
        "random": random.getstate(),
        "numpy": np.random.get_state(legacy=False)["state"]["key"].tolist(),  # noqa: NPY002
        "errors": (np.geterr(), np.geterrcall()),
        "jax": jax.config.values,
        "handlers": list(_PYRO_STACK),
        "validation": Distribution._validate_args,
        "matplotlib": dict(mpl.rcParams.copy()),
    }


@pytest.fixture(scope="module")
def vandalised(run: Runs) -> Any:
    before = shared()
    ran = run({"acme-vandal": VANDAL}, ("vandal", "quiet_vandal", HEALTHY))
    return before, shared(), ran


@pytest.mark.parametrize("part", shared())
def test_what_a_plugin_changes_is_put_back(vandalised: Any, part: str) -> None:
    before, after, _ = vandalised
    assert after[part] == before[part]


def test_no_bit_changes_beside_a_vandal(vandalised: Any, healthy: dict[Any, Any]) -> None:
    _, _, ran = vandalised
    found = numbers(ran.comparison)
    assert found.pop(("vandalism", "")) == ("0.0", "None")
    assert found == healthy


def test_a_vandal_that_works_is_compared_like_any_other(vandalised: Any) -> None:
    _, _, ran = vandalised
    assert ran.comparison["quiet_vandal"].status is Status.MAX_STEPS
    # One that leaves a handler behind in the middle of its own guide has broken itself.
    assert ran.comparison["vandal"].status is Status.FAILED


@pytest.mark.slow
def test_figures_do_not_change_beside_a_vandal(run: Runs, alone: Any) -> None:
    ran = run({"acme-vandal": VANDAL}, (HEALTHY,))
    drawn = [{file.name: file.read_bytes() for file in (one.folder / "figures").iterdir()} for one in (alone, ran)]
    assert drawn[0]
    assert drawn[0] == drawn[1]


# Without end


@pytest.mark.slow
def test_the_others_go_on_after_a_guide_that_never_comes_back(run: Runs, healthy: dict[Any, Any]) -> None:
    ran = run({"acme-endless": ENDLESS}, ("endless", HEALTHY), "--time-limit", f"{LIMIT}")
    assert (ran.status, ran.err) == (1, "")
    assert "took longer than the time limit" in ran.comparison["endless"].message
    assert numbers(ran.comparison) == healthy


def test_what_never_comes_back_is_ended(run: Runs) -> None:
    ran = run({"acme-endless": ENDLESS}, ("endless", "refusing"), "--time-limit", "3")
    assert (ran.status, ran.err) == (1, "")
    (failure,) = ran.comparison["endless"].failures
    (section,) = ran.comparison.failures
    told = "took longer than the time limit of 3 s"
    for found, name, phase in ((failure, "endless", "train"), (section, "tower", "section")):
        assert (found.plugin, found.distribution) == ("acme_endless", "acme-endless")
        assert (found.name, found.phase, found.message) == (name, phase, told)
        assert "in without_end" in found.traceback
    assert f"endless: train: {told} (plugin 'acme_endless' of acme-endless)" in ran.out
    assert f"section 'tower': {told} (plugin 'acme_endless' of acme-endless)" in ran.out
    assert ran.comparison["refusing"].status is Status.UNSUPPORTED


def normal(y: Any = None) -> None:
    w = numpyro.sample("w", dist.Normal(0, 1))
    with numpyro.plate("rows", 3):
        numpyro.sample("y", dist.Normal(w, 1), obs=y)


def test_so_is_a_function_of_the_users_own_in_python() -> None:
    theirs = ModuleType("theirs")

    @gb.hookimpl
    def guidebench_guides() -> Any:
        yield gb.Guide(name="refusing", build=lambda model: None, supports=lambda structure: "it is not for this")

    theirs.guidebench_guides = guidebench_guides  # type: ignore[attr-defined]

    def endless(y: Any = None) -> None:
        while True:
            sum(range(1000))

    comparison = gb.compare(
        *(normal,),
        y=np.array([0.5, -0.25, 1.0]),
        guides=[endless, "refusing"],
        plugins=theirs,
        time_limit=2,
        recipe="plain",
        steps=40,
        draws=200,
        reference="none",
        progress=False,
    )
    assert comparison["endless"].message == "train: took longer than the time limit of 2 s"
    assert comparison["endless"].failures[0].owner == "your own"
    assert (comparison["refusing"].plugin, comparison["refusing"].status) == ("local", Status.UNSUPPORTED)
    assert comparison.config["plugins"] == ["theirs"]
    assert pickle.loads(pickle.dumps(comparison)) == comparison
