"""What goes to another process arrives as what it was: by name, by place or by value; or it is refused in one line."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import jax
import numpy as np
import pytest

from guidebench.config import make_config
from guidebench.config.errors import RequestError
from guidebench.contracts import Guide, Problem
from guidebench.engine.executors import places
from guidebench.engine.executors.places import Place, TravelError
from guidebench.engine.executors.wire import Packed, pack, unpack
from guidebench.engine.lost import TaskLostError
from guidebench.engine.recipe import recipe_of
from guidebench.engine.request import Settings
from guidebench.engine.tasks import FitGuide, PrepareProblem, ScoreFit
from guidebench.plugins.isolation.failures import LOCAL
from guidebench.plugins.isolation.whereabouts import Where
from guidebench.plugins.registry import Registered, load_registry
from guidebench.request.loading.objects import load_object
from guidebench.request.own_guides import YOURS
from guidebench.request.selection import ChosenGuide, choose_guides

CONFIG = make_config({})
SETTINGS = Settings(CONFIG, recipe_of(CONFIG))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten_modules: None) -> Iterator[Path]:
    """Be the working directory; leave the path as it was."""
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield tmp_path
    assert sys.path == path


def there_and_back(value: Any) -> Any:
    return unpack(pack(value))


def refused(travel: Callable[[], object]) -> str:
    """Return the one line in which something is refused."""
    with pytest.raises(TravelError) as caught:
        travel()
    text = str(caught.value)
    assert "\n" not in text
    return text


# By name


@pytest.mark.parametrize("kind", ["guides", "problems", "metrics", "sections"])
def test_what_a_plugin_declared_travels_by_name(kind: str) -> None:
    for one in getattr(load_registry(), kind):
        packed = pack(one)
        assert packed.places == ()
        assert len(packed.data) < 300  # nothing of what it does
        assert unpack(packed) is one


def test_a_name_stands_for_a_declaration_wherever_in_a_task_it_is() -> None:
    registry = load_registry()
    (guide,) = choose_guides(registry, ("auto_iaf_normal:num_flows=2",))
    found = there_and_back(ScoreFit(guide=guide, settings=SETTINGS, metrics=registry.metrics))
    assert found.guide.registered is guide.registered
    assert (found.guide.label, found.guide.options) == (guide.label, guide.options)
    assert [ours is theirs for ours, theirs in zip(found.metrics, registry.metrics, strict=True)] == [True] * len(
        registry.metrics
    )
    assert found.settings == SETTINGS


@pytest.mark.parametrize(
    ("plugin", "distribution"), [("acme", "acme"), ("guidebench_guides", "acme"), ("acme", "guidebench")]
)
def test_a_plugin_that_is_not_there_is_named(plugin: str, distribution: str) -> None:
    declaration = load_registry().guide("auto_normal").declaration
    packed = pack(Registered(declaration, plugin, distribution))
    assert refused(lambda: unpack(packed)).startswith(
        f"the process that ran the task has no guide 'auto_normal' of plugin {plugin!r} ({distribution}); "
        "it has to be installed there, too"
    )


# By value


@pytest.mark.parametrize("whose", [YOURS, LOCAL])
def test_a_guide_of_the_users_own_travels_by_value(whose: str) -> None:
    scale = 3.0

    def build(model: Any, *, rank: int = 2) -> Any:
        return model, rank, scale

    guide = Guide(name="mine", build=build, summary="Mine.", bound="none")
    chosen = ChosenGuide(registered=Registered(guide, whose, whose), label="mine:rank=5", options={"rank": 5})
    found = there_and_back(FitGuide(guide=chosen, settings=SETTINGS)).guide
    assert found.registered is not chosen.registered
    assert (found.label, found.options, found.registered.distribution) == ("mine:rank=5", {"rank": 5}, whose)
    assert (found.declaration.name, found.declaration.summary, found.declaration.bound) == ("mine", "Mine.", "none")
    assert found.declaration.build("model", rank=5) == ("model", 5, 3.0)
    assert found.declaration.options() == {"rank": 2}


def test_functions_that_have_no_place_travel_by_value() -> None:
    base = np.arange(3.0)

    def inner(x: float) -> Any:
        return base + x

    found = there_and_back([lambda x: inner(x) * 2, partial(inner, 1.0)])
    np.testing.assert_array_equal(found[0](1.0), [2.0, 4.0, 6.0])
    np.testing.assert_array_equal(found[1](), [1.0, 2.0, 3.0])


def test_a_model_of_a_script_or_a_notebook_travels_by_value() -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("SCALE = 2.0\ndef helper(x): return SCALE * x\ndef model(y=None): return helper(y)", space)  # noqa: S102
    packed = pack(Problem(name="p", model=space["model"], kwargs={"y": 3.0}))
    space["SCALE"] = 5.0
    assert packed.places == ()
    found = unpack(packed)
    assert found.model(**found.kwargs) == 6.0


@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
def test_typed_random_keys_travel(implementation: str) -> None:
    keys = jax.random.split(jax.random.key(3, impl=implementation), 4)
    found = there_and_back({"all": keys, "one": keys[2]})
    assert found["all"].dtype == keys.dtype
    np.testing.assert_array_equal(jax.random.key_data(found["all"]), jax.random.key_data(keys))
    np.testing.assert_array_equal(jax.random.normal(found["one"], (5,)), jax.random.normal(keys[2], (5,)))


def test_numbers_arrive_to_the_bit_and_keep_their_kind() -> None:
    values = {
        "float64": np.array([0.1 + 0.2, np.nan, -0.0]),
        "float32": np.float32(1) / np.float32(3),
        "ints": np.arange(3, dtype=np.int8),
        "jax": jax.numpy.asarray([1.0, 2.0]),
    }
    found = there_and_back(values)
    for name, value in values.items():
        assert np.asarray(found[name]).dtype == np.asarray(value).dtype
        assert np.asarray(found[name]).tobytes() == np.asarray(value).tobytes()
    assert isinstance(found["jax"], jax.Array)


@pytest.mark.parametrize(
    "error",
    [
        RequestError("no such thing", option="reference", value=Path("x.csv")),
        TaskLostError("its time is over", Where("build", "acme", "acme", "flow"), again=True),
        ValueError("two\nlines"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_an_exception_arrives_whole(error: Exception) -> None:
    found = there_and_back(error)
    assert type(found) is type(error)
    assert (str(found), vars(found)) == (str(error), vars(error))


# By place

OWN = "SCALE = 2.0\ndef model(y=None): return SCALE * y\n"


def forget() -> None:
    """Be like a process that has imported nothing of the user's."""
    for name in [name for name in sys.modules if name.startswith(("guidebench_own_", "guidebench_test_"))]:
        del sys.modules[name]
    places._said.clear()


def problem_of(place: str) -> Problem:
    return Problem(name="own", model=load_object(place), kwargs={"y": 3.0})


def test_a_model_from_a_file_travels_by_place_and_digest(folder: Path) -> None:
    (folder / "own.py").write_text(OWN)
    problem = problem_of("own.py:model")
    module = problem.model.__module__
    packed = pack(PrepareProblem(problem=problem, settings=SETTINGS))
    assert packed.places == (Place(module, str(folder / "own.py"), "", module.rpartition("_")[2]),)
    assert b"SCALE" not in packed.data
    assert unpack(packed).problem.model is problem.model
    forget()
    found = unpack(packed).problem.model
    assert found is not problem.model
    assert (found.__module__, found(3.0)) == (module, 6.0)


def test_a_file_that_changed_is_refused(folder: Path) -> None:
    file = folder / "own.py"
    file.write_text(OWN)
    packed = pack(problem_of("own.py:model"))
    forget()
    file.write_text(OWN.replace("2.0", "2.5"))
    text = refused(lambda: unpack(packed))
    assert text == f"{file} has changed since the run began, or is another file where the task ran"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (Path.unlink, "there is no such file"),
        (lambda file: file.write_text("def model(:"), "is not valid Python"),
        (lambda file: file.write_text("raise ValueError('a\\nb')"), "ValueError: a b"),
    ],
    ids=["gone", "broken", "raises"],
)
def test_a_file_that_cannot_be_had_is_refused(folder: Path, spoil: Callable[[Path], object], why: str) -> None:
    file = folder / "own.py"
    file.write_text(OWN)
    packed = pack(problem_of("own.py:model"))
    forget()
    spoil(file)
    text = refused(lambda: unpack(packed))
    assert text.startswith(f"{file} cannot be imported by the process that ran the task: ")
    assert why in text


def test_a_guide_in_a_file_is_declared_by_value_and_built_by_place(folder: Path) -> None:
    (folder / "own.py").write_text(
        "from guidebench import Guide\ndef build(model, *, rank=1): return rank\nMINE = Guide(name='mine', build=build)"
    )
    guide: Guide = load_object("own.py:MINE")
    packed = pack(Registered(replace(guide, bound="none"), YOURS, YOURS))
    assert [Path(place.file).name for place in packed.places] == ["own.py"]
    forget()
    found = unpack(packed).declaration
    assert (found.name, found.bound, found.build("model", rank=4)) == ("mine", "none", 4)


UNPACK = """
import pickle, sys
from pathlib import Path
from guidebench.engine.executors import places
from guidebench.engine.executors.places import TravelError
from guidebench.engine.executors.wire import Packed, unpack
path = list(sys.path)
try:
    problem = unpack(Packed(*pickle.loads(Path(sys.argv[1]).read_bytes())))
    print(problem.model(**problem.kwargs), sys.path == path)
except TravelError as error:
    print("refused:", error)
"""

Python = Callable[..., CompletedProcess[str]]


def in_another_process(python: Python, packed: Packed, tmp_path: Path, cwd: Path) -> str:
    file = tmp_path / "packed"
    file.write_bytes(pickle.dumps(tuple(packed)))
    done = python("-c", UNPACK, str(file), cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def package(folder: Path) -> Path:
    """Write a package of two modules; return the file of the one that has the model."""
    inside = folder / "guidebench_test_travel"
    inside.mkdir()
    (inside / "__init__.py").write_text("")
    (inside / "parts.py").write_text("SCALE = 2.0\n")
    (inside / "models.py").write_text("from .parts import SCALE\ndef model(y=None): return SCALE * y\n")
    return inside / "models.py"


def test_a_module_beside_the_working_directory_is_found_from_another_one(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, python: Python
) -> None:
    package(folder)
    packed = pack(problem_of("guidebench_test_travel.models:model"))
    assert [(place.module, place.folder) for place in packed.places] == [("guidebench_test_travel.models", str(folder))]
    assert in_another_process(python, packed, folder, tmp_path_factory.mktemp("elsewhere")) == "6.0 True"


def test_a_module_that_changed_is_refused(folder: Path) -> None:
    file = package(folder)
    packed = pack(problem_of("guidebench_test_travel.models:model"))
    forget()
    file.write_text("def model(y=None): return 0.0\n")
    text = refused(lambda: unpack(packed))
    assert text == f"{file} has changed since the run began, or is another file where the task ran"


# What cannot travel


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (threading.Lock(), "cannot pickle '_thread.lock' object"),
        ((one for one in range(3)), "cannot pickle 'generator' object"),
        (Problem(name="p", model=lambda: None, kwargs={"y": threading.Lock()}), "cannot pickle '_thread.lock' object"),
    ],
    ids=["lock", "generator", "data of a problem"],
)
def test_what_cannot_be_pickled_is_refused(value: Any, what: str) -> None:
    text = refused(lambda: pack(value))
    assert text.startswith("it cannot be sent to another process: TypeError: ")
    assert what in text


class Stubborn:
    """Raises as it is pickled."""

    def __reduce__(self) -> Any:
        raise ValueError("not\nin two lines")


def test_what_raises_as_it_is_pickled_is_refused() -> None:
    text = refused(lambda: pack([Stubborn()]))
    assert text == "it cannot be sent to another process: ValueError: not in two lines"


def test_what_is_not_there_any_more_is_refused(folder: Path) -> None:
    file = folder / "own.py"
    file.write_text(OWN)
    problem = problem_of("own.py:model")
    packed = pack(problem)
    del sys.modules[problem.model.__module__].__dict__["model"]
    assert refused(lambda: unpack(packed)).startswith("what it needs is not there where the task ran: ")
