"""Options and configurations of any kind: a run begins with them, or one line says why not."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidebench.cli import main
from guidebench.config.errors import GuidebenchError
from guidebench.config.sealed import sealed
from guidebench.config.settings import OPTIONS
from guidebench.plugins.isolation.time_limit import TimeLimit
from guidebench.results.asjson import plain
from tests.fuzz.conftest import LONGEST
from tests.fuzz.test_data import MODEL, NAMES, VALUES

#: Whatever the system passes on as an argument.
LETTERS = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=()), max_size=5)

#: Words that options know, and others.
WORDS = st.one_of(
    st.sampled_from(("auto", "exact", "none", "default", "all", "plain", "mean_field", "trusted", "funnel", "w")),
    st.sampled_from(("adam", "sgd", "cosine", "uniform", "own.py:line", "own.py", "data.csv", "nowhere.nc")),
    st.sampled_from(("..", "/", "-", "*", "[", "")),
)
WHOLE = st.sampled_from((0, 1, 2, 10**3, 10**6, 10**12, 2**63, 10**400, -1))
NUMBERS = (WHOLE | st.integers()).map(str) | st.floats().map(repr) | st.sampled_from(("1e10", "0x10", "1" * 5000))
WORD = WORDS | NUMBERS | LETTERS

#: ``NAME:opt=val,opt=val``, as guides, optimisers, schedules and losses are given.
KEYS = st.one_of(
    st.sampled_from(("rank", "num_flows", "hidden_dims", "hidden_factor", "hidden_layers", "K")),
    st.sampled_from(("b1", "b2", "eps", "momentum", "warmup", "final", "alpha", "w")),
)
SPECS = st.builds(
    lambda name, given: f"{name}:{','.join(f'{key}={value}' for key, value in given)}",
    st.sampled_from(("auto_iaf_normal", "auto_low_rank_multivariate_normal", "auto_bnaf_normal", "auto_dais"))
    | st.sampled_from(("adam", "sgd", "rmsprop", "lbfgs", "cosine", "RenyiELBO", "value"))
    | WORD,
    st.lists(st.tuples(KEYS, WORD), max_size=3),
)
ASSIGNED = st.builds(lambda name, value: f"{name}={value}", NAMES.filter(lambda name: "\0" not in name), WORD)

#: What other processes or the network would be asked for is not generated.
LEFT_OUT = {"jobs", "dask", "posteriordb", "config", "out"}

FLAGS = st.sampled_from(
    sorted(one.spelled for name, one in OPTIONS.items() if name not in LEFT_OUT and one.on_command_line[0] != "TARGET")
)
GIVEN = st.tuples(FLAGS, WORD | SPECS | ASSIGNED)


class EnoughError(GuidebenchError):
    """A run would begin now."""

    status = 0


Begin = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def begin(here: Path) -> Begin:
    """Begin a run as the command line does, but for its training; return how it ended, and what was said."""
    (here / "own.py").write_text(MODEL)
    (here / "data.csv").write_text("x,y\n1,0.5\n2,-0.25\n3,1.0\n")
    before = {"own.py", "data.csv"}

    def enough(*_: Any) -> bool:
        raise EnoughError("enough")

    def given(arguments: list[str], capsys: Any) -> tuple[int, str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["guidebench", *arguments])
            patch.setattr("guidebench.inference.device.cache.enable", lambda: None)
            patch.setattr("guidebench.cli.life.PATIENCE", 600.0)
            patch.setattr("guidebench.engine.run._interrupted", enough)
            with pytest.raises(SystemExit) as ended, TimeLimit(LONGEST):
                main()
        said = capsys.readouterr().err
        assert {file.name for file in here.iterdir()} - {"reports"} == before
        return int(ended.value.code or 0), said

    return given


def test_a_run_would_begin(begin: Begin, capsys: Any) -> None:
    """What stands in for training is reached, so that all before it is."""
    asked = ["run", "own.py:line", "--data", "data.csv", "-g", "mean_field", "--steps", "40"]
    assert begin(asked, capsys) == (0, "guidebench: enough\n")


def refused_in_one_line(status: int, said: str) -> None:
    assert status in (0, 1, 2), said
    assert "Traceback" not in said
    lines = said.splitlines()
    assert sum(line.startswith("guidebench: ") for line in lines) == len(lines), said
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", said)


def flat(given: list[tuple[str, str]]) -> list[str]:
    """Return options as a command line; a flag takes no value."""
    kinds = {one.spelled: one.kind for one in OPTIONS.values()}
    return [word for flag, value in given for word in ([flag] if kinds[flag] is bool else [flag, value])]


@given(given=st.lists(GIVEN, max_size=3), target=st.sampled_from(("own.py:line", "funnel")) | WORD | SPECS)
def test_any_options(begin: Begin, capsys: Any, given: list[tuple[str, str]], target: str) -> None:
    refused_in_one_line(*begin(["run", target, "-g", "mean_field", *flat(given)], capsys))


#: What suits an option, more or less, by its kind.
BY_KIND: dict[type, st.SearchStrategy[str]] = {
    int: NUMBERS,
    float: NUMBERS,
    bool: st.just(""),
    dict: ASSIGNED,
    tuple: SPECS | WORD,
    str: SPECS | WORD,
}
SUITED = st.one_of(
    *(
        st.tuples(st.just(one.spelled), BY_KIND[one.kind])
        for name, one in OPTIONS.items()
        if name not in LEFT_OUT | {"problems", "plugins", "data", "test"}
    )
)


@given(given=st.lists(SUITED, min_size=1, max_size=3))
def test_nearly_any_options(begin: Begin, capsys: Any, given: list[tuple[str, str]]) -> None:
    data = ["own.py:line", "--data", "data.csv"]
    refused_in_one_line(*begin(["run", *data, "-g", "mean_field", *flat(given)], capsys))


COMMANDS = st.sampled_from(("run", "report", "diff", "explain", "runs", "predict", "--version", "list", "-h"))


@given(words=st.lists(COMMANDS | WORD, max_size=4))
def test_any_words(begin: Begin, capsys: Any, words: list[str]) -> None:
    refused_in_one_line(*begin(words, capsys))


def toml(value: Any) -> str:
    """Return a value as TOML has it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return repr(value).lower() if isinstance(value, (bool, int, float)) else json.dumps(value)


SETTINGS = st.dictionaries(
    st.sampled_from(sorted(set(OPTIONS) - {"out", "jobs", "dask", "posteriordb"})) | NAMES, VALUES | WORD, max_size=3
)


@given(text=SETTINGS.map(lambda given: "\n".join(f"{json.dumps(k)} = {toml(v)}" for k, v in given.items())) | LETTERS)
def test_any_configuration(begin: Begin, capsys: Any, here: Path, text: str) -> None:
    (here / "reports").mkdir(exist_ok=True)
    (here / "reports" / "c.toml").write_text(text, encoding="utf-8", errors="surrogatepass")
    refused_in_one_line(*begin(["run", "--config", "reports/c.toml", "-g", "mean_field"], capsys))


@given(config=SETTINGS, seal=st.booleans())
def test_any_configuration_of_an_earlier_run(
    begin: Begin, capsys: Any, here: Path, config: dict[str, Any], seal: bool
) -> None:
    (here / "reports" / "earlier").mkdir(exist_ok=True, parents=True)
    text = sealed({"config": plain(config)}) if seal else json.dumps({"config": config})
    (here / "reports" / "earlier" / "results.json").write_text(text)
    refused_in_one_line(*begin(["run", "--config", "reports/earlier", "-g", "mean_field"], capsys))
