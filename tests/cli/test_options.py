"""An option of a run is declared once: the command line, Python, the file and the recipe have it from there."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import annotated_types
import pytest
import typer

import guidebench as gb
from guidebench.cli.app import app
from guidebench.config import OPTIONS, RunConfig, make_config
from guidebench.config.errors import RequestError, in_python, opt
from guidebench.config.training import Trained
from guidebench.inference.recipe import RECIPES, Recipe

Command = Callable[..., Any]

#: What :func:`guidebench.compare` is given in another form, and what is a matter of files, of the terminal or of what
#: a report looks like; until is a function of its own, :func:`guidebench.posterior`.
NOT_IN_PYTHON = {
    "until",
    "problems",
    "data",
    "test",
    "static",
    "out",
    "name",
    "log_loss",
    "fresh",
    "strict",
    "quiet",
    "verbose",
}

#: What :func:`guidebench.compare` takes that is no option of a run: parts of the problem, and a matter of notebooks.
OF_PYTHON = {"predict", "truth", "name", "coords", "progress", "executor"}

RUN: Any = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
SIGNATURE = inspect.signature(gb.compare)


def model() -> None:
    """Never run."""


def test_the_command_line_has_every_option_as_it_is_declared() -> None:
    found = {one.name: one for one in RUN.params}
    assert set(found) == {*OPTIONS, "config"}
    for name, option in OPTIONS.items():
        shown = found[name]
        assert getattr(shown, "help", None) == option.help
        assert (shown.rich_help_panel or "") == option.panel
        assert shown.default is None
        if option.kind is not bool:
            assert shown.metavar == option.metavar
        if option.spelled.startswith("--"):
            assert option.spelled in shown.opts
        assert (option.kind is bool) == getattr(shown, "is_flag", False)
        assert (option.kind in (tuple, dict)) == (getattr(shown, "multiple", False) or shown.nargs == -1)


def test_the_help_shows_the_options_in_the_order_in_which_they_are_declared() -> None:
    assert [one.name for one in RUN.params if one.name in OPTIONS] == list(OPTIONS)


def test_python_has_every_option_but_some() -> None:
    named = {one.name for one in SIGNATURE.parameters.values() if one.kind is one.KEYWORD_ONLY}
    assert named == {*OPTIONS} - NOT_IN_PYTHON | OF_PYTHON


@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in NOT_IN_PYTHON])
def test_python_takes_what_the_configuration_takes(name: str) -> None:
    hint, kind = get_type_hints(gb.compare)[name], OPTIONS[name].kind
    if kind in (bool, int, float, str):
        assert kind in get_args(hint)
        assert SIGNATURE.parameters[name].default is None


def test_every_option_says_what_it_is_for() -> None:
    for name, option in OPTIONS.items():
        assert option.name == name
        assert option.help.endswith(".")
        assert bool(option.metavar) == (option.kind is not bool)


def test_what_an_option_changes_of_a_recipe_has_its_type() -> None:
    """The recipe knows what the user left out, so a value that may be missing in one need not be in the other."""
    hints = get_type_hints(Trained)
    for one in fields(Trained):
        given = get_args(RunConfig.model_fields[one.name].annotation)
        assert {*get_args(hints[one.name]), hints[one.name]} & {*given} - {type(None)}
    assert {one.name for one in fields(Recipe)} >= {one.name for one in fields(Trained)}
    assert {recipe.name for recipe in RECIPES.values()} == set(get_args(RunConfig.model_fields["recipe"].annotation))


def test_no_number_depends_on_how_a_run_goes_on_and_where_it_is_written() -> None:
    nothing = {name for name, option in OPTIONS.items() if option.changes == "nothing"}
    elsewhere = {"jobs", "dask", "isolate", "memory_limit"}
    assert nothing == {"time_limit", "log_loss", "out", "name", "fresh", "strict", "quiet", "verbose", *elsewhere}
    subject = {name for name, option in OPTIONS.items() if option.changes == "subject"}
    others = {"data", "test", "heldout", "observed", "static", "plugins", "no_plugins", "until"}
    assert subject == {"problems", "guides", *others}


def test_how_a_run_was_made_is_no_part_of_its_results() -> None:
    config = make_config({"jobs": 2, "fresh": True, "steps": 50})
    assert {*OPTIONS} - {*config.saved()} == {"fresh", "verbose", "jobs", "dask", "isolate", "memory_limit"}
    assert config.saved()["steps"] == 50


def out_of_bounds() -> list[Any]:
    """Return for every bound of a number a value beyond it."""
    found = []
    for name, field in RunConfig.model_fields.items():
        for bound in field.metadata:
            if isinstance(bound, (annotated_types.Ge, annotated_types.Gt)):
                least = bound.ge if isinstance(bound, annotated_types.Ge) else bound.gt
                found.append(pytest.param(name, least - 1, id=f"{name}, too small"))  # type: ignore[operator]
            if isinstance(bound, (annotated_types.Le, annotated_types.Lt)):
                most = bound.le if isinstance(bound, annotated_types.Le) else bound.lt
                found.append(pytest.param(name, most + 1, id=f"{name}, too large"))  # type: ignore[operator]
    return found


@pytest.mark.parametrize(("name", "value"), out_of_bounds())
def test_a_bound_is_the_same_on_the_command_line_in_a_file_and_in_python(
    command: Command, name: str, value: Any
) -> None:
    value = OPTIONS[name].kind(value)
    Path("run.toml").write_text(f"{name} = {value}")
    by_option, by_file = (
        command("run", *words) for words in ((OPTIONS[name].spelled, str(value)), ("--config", "run.toml"))
    )
    with pytest.raises(gb.RequestError) as caught:
        gb.compare(model, **{name: value})
    rest = str(caught.value).removeprefix(f"{name} {value}: ")
    assert rest.startswith("input should be ")
    assert by_option.err == f"guidebench: {OPTIONS[name].spelled} {value}: {rest}\n"
    assert by_file.err == f"guidebench: --config run.toml: {name} = {value}: {rest}\n"
    assert (by_option.status, by_file.status) == (2, 2)
    assert (caught.value.option, caught.value.value) == (name, value)


@pytest.mark.parametrize(
    ("error", "shown", "in_words_of_python", "option"),
    [
        pytest.param(
            RequestError("should be less", option="learning_rate", value=3),
            "--learning-rate 3: should be less",
            "learning_rate 3: should be less",
            "learning_rate",
            id="with a value",
        ),
        pytest.param(
            RequestError("the model has none", option="init"),
            "--init: the model has none",
            "init: the model has none",
            "init",
            id="without a value",
        ),
        pytest.param(
            RequestError(f"{opt('heldout')} 0.5 and {opt('test')} FILE go ill; see --x/--y and a--b.py"),
            "--heldout 0.5 and --test FILE go ill; see --x/--y and a--b.py",
            "heldout 0.5 and test FILE go ill; see --x/--y and a--b.py",
            "heldout",
            id="several in a sentence",
        ),
        pytest.param(
            RequestError(f"{opt('guides')}, {opt('plugins')}, {opt('problems')} or {opt('log_loss')}"),
            "--guide, --plugin, TARGET or --log-loss",
            "guides, plugins, problems or log_loss",
            "guides",
            id="names of their own on the command line",
        ),
        pytest.param(
            RequestError("say so", option="config", value="run.toml"),
            "--config run.toml: say so",
            "config run.toml: say so",
            "config",
            id="of one command alone",
        ),
        pytest.param(RequestError("a path a--b"), "a path a--b", "a path a--b", None, id="none"),
    ],
)
def test_each_face_spells_an_option_its_own_way(
    error: RequestError, shown: str, in_words_of_python: str, option: str | None
) -> None:
    python = error.spelled(in_python)
    again = RequestError(f"there: {error.text}").spelled(in_python)
    assert (str(error), str(python), str(again)) == (shown, in_words_of_python, f"there: {in_words_of_python}")
    assert repr(error) == f"RequestError({shown!r})"
    assert (error.option, python.option, python.value) == (option, option, error.value)
    for one in (error, python):
        sent = pickle.loads(pickle.dumps(one))
        assert (str(sent), sent.option, sent.value) == (str(one), one.option, one.value)


def test_workers_and_a_cluster_do_not_go_together(command: Command) -> None:
    told = "both say where fits are made; give one"
    ended = command("run", "--jobs", "2", "--dask", "local:2")
    assert (ended.status, ended.err) == (2, f"guidebench: --jobs and --dask {told}\n")
    Path("run.toml").write_text('jobs = 2\ndask = "tcp://there:8786"')
    assert command("run", "--config", "run.toml").err == f"guidebench: --jobs and --dask {told}\n"
    with pytest.raises(gb.RequestError, match=f"^jobs and dask {told}$"):
        gb.compare(model, jobs=2, dask="local:2")


@pytest.mark.parametrize("text", ["local:", "local:0", "local:-1", "local:two", "local"])
def test_workers_of_a_cluster_here_are_a_number(command: Command, text: str) -> None:
    told = "should be the address of a scheduler, or local:N with N of at least 1"
    assert command("run", "--dask", text).err == f"guidebench: --dask {text}: {told}\n"
    assert make_config({"dask": "tcp://there:8786"}).dask == "tcp://there:8786"
