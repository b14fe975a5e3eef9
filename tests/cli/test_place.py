"""No report of another run is silently replaced: not of another problem, model file or data, nor with other guides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from guidebench.cli.place import place_of
from guidebench.config import make_config
from guidebench.config.errors import RequestError


def wrote(
    folder: str, config: dict[str, Any], guides: tuple[str, ...] = ("a",), problems: tuple[str, ...] = ("p",)
) -> None:
    """Leave the results of a run as far as they say which run it was."""
    path = Path("reports") / folder
    path.mkdir(parents=True)
    saved = make_config(config).saved()
    fits = [{"guide": guide, "problem": problem} for guide in guides for problem in problems]
    raw = {"config": saved, "problems": [{"name": name} for name in problems], "fits": fits}
    (path / "results.json").write_text(json.dumps(raw))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def place(
    config: dict[str, Any], guides: tuple[str, ...] = ("a",), problems: tuple[str, ...] = ("p",)
) -> tuple[str, str]:
    return place_of(make_config(config), problems, guides)


OWN = {"problems": ("m.py:model",), "data": "d.csv"}


def test_the_first_run_and_one_of_several_problems_are_called_after_what_they_are_about() -> None:
    assert place({}) == ("p", "")
    assert place({}, problems=("p", "q")) == ("2-problems", "")


@pytest.mark.parametrize(
    ("config", "guides"),
    [(OWN, ("a",)), ({**OWN, "steps": 40, "seed": 3}, ("a",)), (OWN, ("a", "b")), ({**OWN, "data": "./d.csv"}, ("a",))],
    ids=["the same", "other settings", "one more guide", "the same file in other words"],
)
def test_a_run_that_repeats_or_goes_on_is_in_the_same_place(config: dict[str, Any], guides: tuple[str, ...]) -> None:
    wrote("p", OWN)
    assert place(config, guides) == ("p", "")


@pytest.mark.parametrize(
    ("config", "guides", "said"),
    [
        ({**OWN, "problems": ("other.py:model",)}, ("a",), "of another model file"),
        ({**OWN, "data": "e.csv"}, ("a",), "of other data"),
        ({**OWN, "heldout": 0.2}, ("a",), "of other data"),
        (OWN, ("b",), "with guides that are not asked for now (a)"),
    ],
)
def test_another_run_gets_a_folder_of_its_own_and_says_so(
    config: dict[str, Any], guides: tuple[str, ...], said: str
) -> None:
    wrote("p", OWN)
    name, told = place(config, guides)
    assert name == "p-2"
    assert told == f"reports/p holds a run {said}, so this one goes to reports/p-2; --name gives it a name"
    wrote("p-2", config, guides)
    assert place(config, guides)[0] == "p-2"  # again, and it is found
    assert place({**OWN, "data": "third.csv"}, guides)[0] == "p-3"


def test_guides_of_the_same_name_from_another_file_are_others() -> None:
    wrote("p", {"guides": ("one.py:narrow",)}, ("narrow",))
    assert place({"guides": ("one.py:narrow", "default")}, ("narrow", "x"))[0] == "p"
    assert place({"guides": ("two.py:narrow",)}, ("narrow",))[0] == "p-2"


def test_problems_of_another_pair_are_others() -> None:
    wrote("2-problems", {}, problems=("p", "q"))
    name, told = place({}, problems=("p", "r"))
    assert name == "2-problems-2"
    assert "reports/2-problems holds a run of q," in told


def test_a_given_name_is_kept_and_refused_where_it_would_replace_another_run() -> None:
    assert place({"name": "mine"}) == ("mine", "")
    wrote("mine", {}, problems=("q",))
    with pytest.raises(RequestError) as caught:
        place({"name": "mine"})
    assert str(caught.value) == ("--name mine: reports/mine holds a run of q; give another --name, or another --out")


def test_what_is_no_report_is_in_nobodys_way() -> None:
    for text in ("", "{", "[]", '{"config": 3}'):
        Path("reports/p").mkdir(parents=True, exist_ok=True)
        Path("reports/p/results.json").write_text(text)
        assert place({}) == ("p", "")


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "", " ", "a\\b"])
def test_a_name_is_one_folder(name: str) -> None:
    with pytest.raises(RequestError, match="should be the name of a folder"):
        make_config({"name": name})
