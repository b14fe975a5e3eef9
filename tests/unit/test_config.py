"""The configuration: options over file over defaults, and one line on what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from guidebench.config import RunConfig, make_config
from guidebench.errors import RequestError


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where to write ``run.toml``; it is named by a relative path."""
    monkeypatch.chdir(tmp_path)
    return Path("run.toml")


def test_the_defaults() -> None:
    config = make_config({})
    assert config == RunConfig()
    assert (config.problems, config.guides) == (("linear-regression",), ("default",))
    assert (config.recipe, config.draws, config.seed, config.init) == ("default", 4000, 0, "uniform")
    # "As the recipe has it."
    assert {config.optimizer, config.learning_rate, config.steps, config.restarts, config.loss} == {None}


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("", {}, {}),
        ("steps = 400", {}, {"steps": 400}),
        ("steps = 400", {"steps": None}, {"steps": 400}),
        ("steps = 400", {"steps": 500}, {"steps": 500}),
        ("steps = 400", {"seed": 3}, {"steps": 400, "seed": 3}),
        ("seed = 3", {"seed": 0}, {"seed": 0}),
        ("log_loss = true", {"log_loss": False}, {"log_loss": False}),
        ('guides = ["all"]', {"guides": ()}, {"guides": ("all",)}),
        ('guides = ["all"]', {"guides": ("mean_field",)}, {"guides": ("mean_field",)}),
        ('guides = "all"', {}, {"guides": ("all",)}),
        ('problems = "linear-*"', {}, {"problems": ("linear-*",)}),
        ("learning_rate = 1", {}, {"learning_rate": 1.0}),
        ("steps = 0", {"steps": 20}, {"steps": 20}),
    ],
)
def test_options_come_before_the_file_and_the_file_before_defaults(
    written: Path, text: str, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    written.write_text(text)
    assert make_config(options, written) == RunConfig(**expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step = 400", "unknown key 'step'; known keys are problems, guides, recipe, "),
        ("[training]\nsteps = 400", "unknown key 'training'; known keys are "),
        ("steps = 19", "steps = 19: input should be greater than or equal to 20"),
        ("steps = true", "steps = True: should be a number"),
        ('steps = "400"', "steps = '400': should be a number"),
        ("steps = 400.5", "steps = 400.5: input should be a valid integer, got a number with a fractional part"),
        ("steps = 1_000_000_000", "steps = 1000000000: input should be less than or equal to 100000000"),
        ("restarts = 1001", "restarts = 1001: input should be less than or equal to 1000"),
        ("particles = 0", "particles = 0: input should be greater than or equal to 1"),
        ("draws = 99", "draws = 99: input should be greater than or equal to 100"),
        ("seed = -1", "seed = -1: input should be greater than or equal to 0"),
        ("learning_rate = 0", "learning_rate = 0: input should be greater than 0"),
        ("learning_rate = inf", "learning_rate = inf: input should be a finite number"),
        ("learning_rate = nan", "learning_rate = nan: input should be a finite number"),
        ("optimizer = 3", "optimizer = 3: input should be a valid string"),
        ('recipe = "Default"', "recipe = 'Default': input should be 'default' or 'plain'"),
        ("guides = 3", "guides = 3: should be a name or a list of names"),
        ("guides = [1]", "guides = [1]: should be a name or a list of names"),
        ("guides = []", "guides = []: should be a name or a list of names"),
        ("problems = {}", "problems = {}: should be a name or a list of names"),
    ],
)
def test_an_error_names_the_key_and_what_is_allowed(written: Path, text: str, message: str) -> None:
    written.write_text(text)
    with pytest.raises(RequestError) as caught:
        make_config({}, written)
    assert str(caught.value).startswith(f"--config run.toml: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "--steps 0: input should be greater than or equal to 20"),
        ({"learning_rate": -0.1}, "--learning-rate -0.1: input should be greater than 0"),
        ({"recipe": "fast"}, "--recipe fast: input should be 'default' or 'plain'"),
        ({"guides": (3,)}, "--guide (3,): should be a name or a list of names"),
        ({"stepz": 3}, "unknown key 'stepz'; known keys are "),
    ],
)
def test_an_error_in_an_option_names_the_option_even_with_a_file(
    written: Path, options: dict[str, Any], message: str
) -> None:
    written.write_text("seed = 1")
    for file in (None, written):
        with pytest.raises(RequestError) as caught:
            make_config(options, file)
        assert str(caught.value).startswith(message)


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        RunConfig().steps = 3
