"""Problems from one's own models and data: what is held out, what is noted, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from guidebench.config import make_config
from guidebench.contracts import Problem
from guidebench.plugins.registry import Registered, Registry, load_registry
from guidebench.request.loading.problem import name_of
from guidebench.request.selection import choose_problems

OWN = (Path(__file__).parent.parent / "models" / "own.py").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN)
    rows = [f"{0.5 * row},{row % 3 - 1},{'abc'[row % 3]}" for row in range(20)]
    Path("d.csv").write_text("\n".join(["x,y,region", *rows]) + "\n")
    Path("t.csv").write_text("\n".join(["x,y,region", *rows[:4]]) + "\n")
    Path("d.json").write_text(json.dumps({"x": list(range(10)), "y": [0.5] * 10, "n": 10, "at": [0, 1, 2]}))
    return tmp_path


def chosen(*targets: str, **options: Any) -> tuple[Problem, ...]:
    config = make_config({"problems": targets, **options})
    return choose_problems(load_registry(), config.problems, config)


def test_a_model_and_a_table_are_a_problem() -> None:
    (problem,) = chosen("own.py:line", data="d.csv")
    assert (problem.name, problem.summary) == ("line", "line of own.py on d.csv, 20 rows")
    assert set(problem.kwargs) == {"x", "y"}
    assert (problem.heldout, problem.observed) == (None, ())
    assert problem.notes == (
        "Column region is no argument of the model and was left out.",
        "Left at its default: scale = 1.0.",
    )


def test_static_arguments_are_given() -> None:
    (problem,) = chosen("own.py:line", data="d.csv", static={"scale": 2})
    assert problem.kwargs["scale"] == 2
    assert len(problem.notes) == 1
    (problem,) = chosen("own.py:prior", static={"loc": 3.0})
    assert (problem.kwargs, problem.summary, problem.notes) == ({"loc": 3.0}, "prior of own.py", ())
    (problem,) = chosen("own.py:prior")
    assert problem.kwargs == {}


def test_models_share_the_data_and_their_rows() -> None:
    problems = chosen("own.py:line", "own.py:groups", "linear-regression", data="d.csv")
    assert [problem.name for problem in problems] == ["line", "groups", "linear-regression"]
    held = chosen("own.py:line", "own.py:groups", data="d.csv", heldout=0.25)
    np.testing.assert_array_equal(*[problem.heldout["y"] for problem in held if problem.heldout is not None])


def test_models_of_one_name_are_told_apart_by_their_files() -> None:
    Path("other.py").write_text(OWN)
    problems = chosen("own.py:line", "other.py:line", "own.py:two", "own.py:line", data="d.json", static={"z": 1})
    assert [problem.name for problem in problems] == ["own-line", "other-line", "two"]


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_rows_held_out_and_rows_that_stay_are_all_rows(share: float) -> None:
    (whole,) = chosen("own.py:line", data="d.csv")
    (problem,) = chosen("own.py:line", data="d.csv", heldout=share)
    assert problem.heldout is not None
    assert set(problem.heldout) == {"x", "y"}
    assert len(problem.heldout["x"]) == round(20 * share)
    both = np.concatenate([problem.arguments()["x"], problem.heldout["x"]])
    assert sorted(both) == whole.kwargs["x"].tolist()
    for half in (problem.arguments(), problem.heldout):
        np.testing.assert_array_equal(half["y"], 2 * half["x"] % 3 - 1)
    assert problem.notes[-1] == f"{round(20 * share)} of 20 rows, drawn at random, are held out; they split x, y."


def test_the_order_of_the_columns_changes_nothing_and_the_seed_does() -> None:
    rows = [line.split(",")[::-1] for line in Path("d.csv").read_text().splitlines()]
    Path("turned.csv").write_text("\n".join(map(",".join, rows)))

    def held(**options: Any) -> list[float]:
        (problem,) = chosen("own.py:line", **{"data": "d.csv", "heldout": 0.3, **options})
        assert problem.heldout is not None
        return list(problem.heldout["x"])

    assert held() == held(data="turned.csv")
    assert held() != held(seed=1)


def test_arrays_split_along_the_observations() -> None:
    (problem,) = chosen("own.py:knots", data="d.json", heldout=0.2)
    assert problem.heldout is not None
    assert {name: len(value) for name, value in problem.heldout.items()} == {"x": 2, "y": 2}
    assert {name: len(value) for name, value in problem.arguments().items()} == {"x": 8, "at": 3, "y": 8}


def test_another_file_is_held_out() -> None:
    (problem,) = chosen("own.py:groups", data="d.csv", test="t.csv")
    assert problem.heldout is not None
    assert {name: value.tolist() for name, value in problem.heldout.items()} == {
        "region": [0, 1, 2, 0],
        "y": [-1, 0, 1, -1],
    }
    assert len(problem.kwargs["y"]) == 20
    assert problem.notes[-1] == "4 rows of t.csv are held out."


def test_what_is_no_row_need_not_be_in_the_other_file() -> None:
    Path("t.json").write_text(json.dumps({"y": [1, 2], "x": [3, 4]}))
    (problem,) = chosen("own.py:knots", data="d.json", test="t.json")
    assert set(problem.heldout or ()) == {"x", "y"}
    Path("t.json").write_text(json.dumps({"y": [1, 2], "n": 2}))
    (problem,) = chosen("own.py:sized", data="d.json", test="t.json")
    assert problem.heldout is not None
    assert problem.heldout["n"] == 2


def test_a_size_of_minibatches_may_stay_open() -> None:
    (problem,) = chosen("own.py:batched", data="d.csv", heldout=0.2, minibatch={"batch_size": 5})
    assert problem.arguments()["batch_size"] == 5
    assert len(problem.arguments()["x"]) == 16


def test_observed_arguments_are_passed_on() -> None:
    (problem,) = chosen("own.py:two", data="d.json", static={"z": 1.5}, observed=("y",))
    assert problem.observed == ("y",)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("model", "model"),
        ("Eight_Schools", "eight-schools"),
        ("model_2", "model-2"),
        ("_private", "private"),
        ("<lambda>", "lambda"),
        ("__", "model"),
        ("", "model"),
    ],
)
def test_the_name_of_a_problem(name: str, slug: str) -> None:
    def model() -> None:
        pass

    model.__name__ = name
    assert name_of(model) == slug
    assert Problem(name=slug, model=model).name == slug


def test_a_bundled_problem_with_other_arguments_forgets_what_it_knew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from guidebench.request.loading.objects import load_object

    model: Callable[..., Any] = load_object("own.py:line")
    y = np.arange(12.0)
    bundled = Problem(name="lines", model=model, args=(y,), kwargs={"y": y}, log_evidence=-3.0, reference=print)
    registry = Registry(problems=(Registered(bundled, plugin="p", distribution="d"),))

    def adapted(**options: Any) -> Problem:
        config = make_config({"problems": ("lines",), **options})
        (problem,) = choose_problems(registry, config.problems, config)
        return problem

    assert adapted() is bundled
    other = adapted(static={"scale": 3.0})
    assert (other.arguments()["scale"], other.log_evidence, other.reference) == (3.0, None, None)
    assert other.notes == (
        "Set by --static: scale = 3.0. What is known of the exact posterior belongs to other data and is left out.",
    )
    held = adapted(heldout=0.25)
    assert held.heldout is not None
    assert (len(held.arguments()["x"]), len(held.heldout["y"]), held.log_evidence) == (9, 3, None)
    assert adapted(observed=("y",)).observed == ("y",)
