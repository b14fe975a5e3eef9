"""The Python face: what becomes of its arguments, and which of them are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import guidebench as gb
from guidebench.config import RunConfig
from guidebench.contracts import Problem
from guidebench.engine import run
from guidebench.engine.request import Request
from guidebench.request.selection import ChosenGuide
from guidebench.results import Comparison

X, Y = np.arange(10.0), np.arange(10.0) / 2


def model(x: Any, y: Any = None) -> None:
    w = numpyro.sample("w", dist.Normal(0, 1))
    with numpyro.plate("data", len(x)):
        numpyro.sample("y", dist.Normal(w * x, 1), obs=y)


def walk(y: Any, steps: int, seed: int = 0) -> None:
    """A model with arguments that are called like options."""
    numpyro.sample("y", dist.Normal(numpyro.sample("w", dist.Normal(seed, 1)), steps), obs=y)


class Asked:
    """What the engine was asked for, in the place of an engine."""

    problem: Problem
    guides: Sequence[ChosenGuide]
    config: RunConfig
    given: Any

    def compare(self, request: Request, **_: object) -> Comparison:
        (self.problem,) = request.problems
        assert request.name == self.problem.name
        self.guides, self.config, self.given = request.guides, request.config, request.given
        return Comparison(name=request.name, problems=(), fits=())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found = Asked()
    monkeypatch.setattr(run, "compare", found.compare)
    return found


def test_nothing_but_a_model_is_the_command_lines_default(asked: Asked) -> None:
    gb.compare(model, X, y=Y)
    assert asked.config == RunConfig(problems=("model (from Python)",))
    assert asked.problem.name == "model"
    assert asked.problem.arguments().keys() == {"x", "y"}
    assert [one.label for one in asked.guides][:2] == ["mean_field", "auto_normal"]
    assert asked.given is None


def test_every_option_of_a_run_is_there(asked: Asked) -> None:
    options: dict[str, Any] = {
        "recipe": "plain",
        "optimizer": "adam",
        "learning_rate": 0.5,
        "schedule": "linear",
        "clip_norm": 3.0,
        "clip_share": 0.5,
        "validation": 0.25,
        "patience": 7,
        "steps": 77,
        "restarts": 3,
        "particles": 5,
        "loss": "Trace_ELBO",
        "init": "median",
        "draws": 222,
        "seed": 9,
        "simulations": 33,
        "posteriordb": "there",
        "x64": True,
        "budget": "5000",
        "time_limit": 30.0,
        "no_plugins": True,
        "jobs": 2,
        "isolate": True,
        "memory_limit": "4G",
        "plugins": ("json",),
        "reference": "nuts",
        "observed": ("y",),
        "minibatch": {"x": 3},
    }
    gb.compare(model, X, y=Y, guides="auto_normal", name="mine", **options)
    assert asked.config == RunConfig(problems=("mine (from Python)",), guides=("auto_normal",), **options)
    gb.compare(model, X, y=Y, dask="local:2")  # goes with no jobs
    assert asked.config.dask == "local:2"
    # What is a matter of files, of the terminal, or of what a report looks like.
    others = {
        "until",
        "data",
        "test",
        "static",
        "out",
        "name",
        "fresh",
        "strict",
        "quiet",
        "verbose",
        "log_loss",
        "problems",
        "guides",
        "heldout",
    }
    assert set(RunConfig.model_fields) - set(options) - {"dask"} == others


def test_own_guides_are_recorded_by_their_labels(asked: Asked) -> None:
    def guide(x: Any) -> None:
        """Never run."""

    gb.compare(model, X, y=Y, guides=(one for one in ["auto_normal:init_scale=1", guide]))
    assert asked.config.guides == ("auto_normal:init_scale=1.0", "guide")
    gb.compare(model, X, y=Y, guides=guide)
    assert asked.config.guides == ("guide",)


def test_a_share_of_the_rows_is_held_out_as_on_the_command_line(asked: Asked) -> None:
    gb.compare(model, X, y=Y, heldout=0.3, seed=4)
    assert asked.config.heldout == 0.3
    rest, part = asked.problem.arguments(), asked.problem.heldout
    assert part is not None
    assert (len(rest["x"]), len(rest["y"]), len(part["x"]), len(part["y"])) == (7, 7, 3, 3)
    assert sorted([*rest["x"], *part["x"]]) == list(X)
    np.testing.assert_array_equal(part["y"], part["x"] / 2)


def test_held_out_data_of_ones_own_are_left_as_they_are(asked: Asked) -> None:
    gb.compare(model, X, y=Y, heldout={"x": X[:2], "y": Y[:2]}, predict={"x": X}, truth={"w": 0.5})
    assert asked.config.heldout is None
    assert asked.problem.heldout is not None
    assert asked.problem.heldout.keys() == {"x", "y"}
    assert (asked.problem.predict or {}).keys() == {"x"}
    assert asked.problem.truth == {"w": 0.5}


def test_draws_may_be_the_reference(asked: Asked) -> None:
    draws = {"w": np.zeros(200)}
    gb.compare(model, X, y=Y, reference=draws)
    assert asked.given is draws
    assert asked.config.reference == "given"
    gb.compare(model, X, y=Y, reference=Path("somewhere.nc"))
    assert asked.config.reference == "somewhere.nc"


def test_the_size_of_a_minibatch_is_an_argument_too(asked: Asked) -> None:
    def sliced(x: Any, y: Any, batch_size: int) -> None:
        with numpyro.plate("data", len(x), subsample_size=batch_size) as rows:
            numpyro.sample("y", dist.Normal(numpyro.sample("w", dist.Normal(0, 1)) * x[rows], 1), obs=y[rows])

    gb.compare(sliced, X, Y, minibatch={"batch_size": 3})
    assert asked.problem.arguments()["batch_size"] == 3
    assert asked.config.minibatch == {"batch_size": 3}


def test_a_problem_may_be_compared_as_it_is_or_with_changes(asked: Asked) -> None:
    problem = gb.Problem(name="walk", model=walk, kwargs={"y": 1.0, "steps": 3})
    gb.compare(problem, steps=200, seed=1)
    assert asked.problem == problem
    assert (asked.config.steps, asked.config.seed) == (200, 1)
    gb.compare(problem, name="other", truth={"w": 1.0}, observed="y")
    assert (asked.problem.name, asked.problem.truth, asked.problem.observed) == ("other", {"w": 1.0}, ("y",))
    assert problem.name == "walk"
    gb.compare("linear-regression")
    assert asked.problem.log_evidence is not None


def test_an_argument_by_position_is_the_models(asked: Asked) -> None:
    gb.compare(walk, 1.0, 3, 5, steps=200, seed=1)
    assert asked.problem.arguments() == {"y": 1.0, "steps": 3, "seed": 5}
    gb.compare(walk, 1.0, 3)
    assert asked.problem.arguments()["seed"] == 0


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((3,), {}, "model: should be a NumPyro model, a gb.Problem or the name of a problem, not int"),
        (("linear-regresion",), {}, "did you mean 'linear-regression'?"),
        (("linear-regression", X), {}, "problem 'linear-regression' has its arguments already"),
        (("funnel",), {"guidse": 3}, "'guidse' is no option of compare"),
        ((model,), {}, "the arguments do not fit the model: missing a required argument: 'x'"),
        ((model, X, Y, X), {}, "the arguments do not fit the model: too many positional arguments"),
        ((model, X), {"yy": Y}, "got an unexpected keyword argument 'yy'"),
        ((model, X), {"guidse": 3}, "did you mean the option 'guides'?"),
        ((walk, 1.0), {}, "the model has an argument 'steps', and so has compare: give the model as gb.Problem("),
        ((walk, 1.0), {"steps": 100}, "the model has an argument 'steps'"),
        ((walk, 1.0, 3), {"seed": 100}, "the model has an argument 'seed'"),
        ((model, X), {"name": "My Model"}, "problem name 'My Model' is not allowed"),
        ((model, X), {"steps": 3}, "steps 3: input should be greater than or equal to 20"),
        ((model, X), {"learning_rate": 0}, "learning_rate 0: input should be greater than 0"),
        ((model, X), {"seed": True}, "seed True: should be a number"),
        ((model, X), {"recipe": "best"}, "recipe best: input should be 'default', 'adam' or 'plain'"),
        ((model, X), {"guides": []}, "guides: none are given"),
        ((model, X), {"guides": 3}, "guides: int is no guide"),
        ((model, X), {"guides": "auto_nromal"}, "did you mean 'auto_normal'?"),
        ((model, X), {"heldout": "a"}, "heldout a: should be a number"),
        ((model, X), {"heldout": 1.5}, "heldout 1.5: input should be less than 1"),
        ((model, X), {"y": Y, "heldout": {"x": X}, "predict": 3}, "predict: should be a mapping of values by name"),
        ((model, X), {"observed": [3]}, "observed: should be a name or a list of names"),
        ((model, X), {"observed": "z"}, "observed z: model has no argument 'z'; the arguments are x, y"),
        ((model, X), {"minibatch": {"x": 0}}, "minibatch"),
        ((model, X), {"minibatch": 3}, "minibatch"),
        (
            (model, X),
            {"reference": "somehow"},
            "reference somehow: should be one of auto, exact, mixture, chains, nuts, none",
        ),
    ],
)
def test_a_wrong_request_is_one_line_in_the_words_of_python(
    asked: Asked, args: tuple[Any, ...], kwargs: dict[str, Any], words: str
) -> None:
    with pytest.raises(gb.GuidebenchError) as caught:
        gb.compare(*args, **kwargs)
    assert type(caught.value).__name__ == "RequestError"
    assert words in str(caught.value)
    assert "--" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not hasattr(asked, "problem")


def test_a_path_keeps_its_dashes(asked: Asked) -> None:
    with pytest.raises(gb.GuidebenchError, match=r"my--guides\.py"):
        gb.compare(model, X, guides="my--guides.py:guide")


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(run, "compare", broken)
    with pytest.raises(ZeroDivisionError):
        gb.compare(model, X)
