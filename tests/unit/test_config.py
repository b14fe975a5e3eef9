"""The configuration: options over file over defaults, and one line on what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from guidebench.config import RunConfig, assignments, make_config
from guidebench.config.errors import RequestError


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
        ('dask = "local:2"', {}, {"dask": "local:2"}),
        ('posteriordb = "pdb"', {"posteriordb": Path("mine")}, {"posteriordb": "mine"}),
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
        (
            "step = 400",
            "unknown key 'step'; known keys are problems, guides, plugins, no_plugins, data, test, heldout, observed, ",
        ),
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
        ('recipe = "Default"', "recipe = 'Default': input should be 'default', 'adam' or 'plain'"),
        ("guides = 3", "guides = 3: should be a name or a list of names"),
        ("guides = [1]", "guides = [1]: should be a name or a list of names"),
        ("guides = []", "guides = []: should be a name or a list of names"),
        ("problems = {}", "problems = {}: should be a name or a list of names"),
        ("heldout = 0", "heldout = 0: input should be greater than 0"),
        ("heldout = 1", "heldout = 1: input should be less than 1"),
        ("heldout = nan", "heldout = nan: input should be "),
        ("heldout = true", "heldout = True: should be a number"),
        ("data = 3", "data = 3: input should be a valid string"),
        ("observed = 3", "observed = 3: should be a name or a list of names"),
        ("static = 3", "static = 3: should be a table with a value for each argument"),
        ("[static]\nx = [1, 2]", "static.x = [1, 2]: should be a number, a flag or a text"),
        ("[static]\na = 1\nx = {b = 2}", "static.x = {'b': 2}: should be a number, a flag or a text"),
        ("static.x = inf", "static.x = inf: should be a finite number"),
        ("static.x = 2020-01-01", "static.x = datetime.date(2020, 1, 1): should be a number, a flag or a text"),
        ("minibatch = 100", "minibatch = 100: should be a table with a value for each argument"),
        ("minibatch.batch_size = 0", "minibatch.batch_size = 0: should be a whole number of at least 1"),
        ("[minibatch]\nbatch_size = true", "minibatch.batch_size = True: should be a whole number of at least 1"),
        ('[minibatch]\na = 10\nb = "10"', "minibatch.b = '10': should be a whole number of at least 1"),
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
        ({"recipe": "fast"}, "--recipe fast: input should be 'default', 'adam' or 'plain'"),
        ({"guides": (3,)}, "--guide (3,): should be a name or a list of names"),
        ({"stepz": 3}, "unknown key 'stepz'; known keys are "),
        ({"minibatch": {"batch_size": "many"}}, "--minibatch batch_size=many: should be a whole number of at least 1"),
        ({"heldout": 2.0}, "--heldout 2.0: input should be less than 1"),
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


#: A value for every key that is not its default, but for ``dask``, which goes with no ``jobs``.
EVERYTHING = """
problems = ["linear-*", "own.py:model", "pkg.models:model", "/there/own.py:model"]
guides = ["all", "flow:rank=2", "guides.py:mine:scale=2"]
data = "data/d.csv"
test = "/there/t.csv"
posteriordb = "pdb"
heldout = 0.25
observed = ["y", "z"]
recipe = "plain"
optimizer = "sgd"
learning_rate = 0.5
schedule = "linear"
clip_norm = 3.0
clip_share = 0.5
validation = 0.25
patience = 50
steps = 123
restarts = 2
particles = 3
loss = "TraceGraph_ELBO"
init = "median"
draws = 222
seed = 5
reference = "draws.nc"
simulations = 99
x64 = true
budget = 5000
until = "trusted"
time_limit = 30
plugins = ["mine.py", "pkg.plugin", "/there/mine.py"]
no_plugins = true
log_loss = true
out = "elsewhere"
name = "mine"
fresh = true
strict = true
quiet = true
verbose = true
jobs = 2
isolate = true
memory_limit = "4G"

[static]
df = 4
scale = 0.5
link = "probit"
exact = false

[minibatch]
batch_size = 100
"""


def test_a_worker_for_every_guide_and_a_limit_of_memory_take_workers() -> None:
    assert make_config({"isolate": True}).jobs == 1
    assert make_config({"memory_limit": "1.5 GB", "jobs": 3}).jobs == 3
    assert make_config({"memory_limit": "1.5 GB"}).most_memory == 1_500_000_000
    with pytest.raises(RequestError, match=r"^--isolate is for worker processes of --jobs, and --dask has its own$"):
        make_config({"isolate": True, "dask": "local:2"})
    for text in ("4", "G", "100M", "-4G", "1e9G", "4X", "9" * 5000, ""):
        with pytest.raises(RequestError, match=r"should be at least 1G, in M, G or T: 1500M, 4G"):
            make_config({"memory_limit": text})


def test_a_file_can_hold_every_key_and_its_paths_start_at_its_folder(written: Path) -> None:
    folder = Path("below")
    folder.mkdir()
    (folder / "run.toml").write_text(EVERYTHING)
    config = make_config({}, folder / "run.toml")
    default = RunConfig()
    assert [key for key in RunConfig.model_fields if getattr(config, key) == getattr(default, key)] == ["dask"]
    assert config.problems == ("linear-*", "below/own.py:model", "pkg.models:model", "/there/own.py:model")
    assert config.guides == ("all", "flow:rank=2", "below/guides.py:mine:scale=2")
    assert config.plugins == ("below/mine.py", "pkg.plugin", "/there/mine.py")
    assert (config.data, config.test, config.reference) == ("below/data/d.csv", "/there/t.csv", "below/draws.nc")
    assert (config.posteriordb, config.out) == ("below/pdb", "elsewhere")
    assert config.static == {"df": 4, "scale": 0.5, "link": "probit", "exact": False}
    assert [type(value) for value in config.static.values()] == [int, float, str, bool]


def test_a_reference_that_is_no_file_has_no_folder(written: Path) -> None:
    folder = Path("below")
    folder.mkdir()
    (folder / "run.toml").write_text('reference = "nuts"\nproblems = "own.py"')
    config = make_config({"data": "d.csv"}, folder / "run.toml")
    assert (config.reference, config.problems, config.data) == ("nuts", ("below/own.py",), "d.csv")


def test_a_run_can_be_run_again_from_its_results(written: Path) -> None:
    written.write_text(EVERYTHING)
    config = make_config({}, written)
    folder = Path("reports/mine")
    folder.mkdir(parents=True)
    text = json.dumps({"schema": 1, "config": config.model_dump(mode="json"), "fits": []})
    (folder / "results.json").write_text(text)
    assert make_config({}, folder / "results.json") == config
    assert make_config({}, folder) == config
    assert make_config({"steps": 500, "seed": 0}, folder) == config.model_copy(update={"steps": 500, "seed": 0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not readable as JSON: Expecting value"),
        ("steps = 3", "not readable as JSON: Expecting value"),
        ("[]", "it holds no configuration; expected is the results.json of a run"),
        ('{"config": 3}', "it holds no configuration; expected is the results.json of a run"),
        ('{"config": {"step": 3}}', "unknown key 'step'; known keys are problems, "),
        ('{"config": {"steps": 3}}', "steps = 3: input should be greater than or equal to 20"),
        (
            '{"config": {"reference": "given"}}',
            "reference = 'given': these draws came from Python and are not part of a configuration",
        ),
    ],
)
def test_results_that_hold_no_configuration(written: Path, text: str, message: str) -> None:
    file = written.with_name("results.json")
    file.write_text(text)
    with pytest.raises(RequestError) as caught:
        make_config({}, file)
    assert str(caught.value).startswith(f"--config results.json: {message}")


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("-0.5", -0.5), ("1e3", 1000.0), ("true", True), ("False", False), ("none", None), ("probit", "probit")],
)
def test_an_assignment_is_read_as_a_literal(text: str, value: Any) -> None:
    found = assignments("static", [f"x = {text}"])
    assert found == {"x": value}
    assert type(found["x"]) is type(value)
