"""Two things have one fingerprint only if they compute the same; what cannot be told has none."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro.handlers import reparam
from numpyro.infer.reparam import LocScaleReparam

from guidebench.engine.keys import sources
from guidebench.engine.keys.fingerprint import Unknown, fingerprint
from guidebench.request.loading.objects import load_object

CODE = """
import numpy as np
import jax.numpy as jnp
import numpyro.distributions as dist
import beside

SCALE = np.array([1.0, 2.0])
LIMITS = {"low": 0, "high": (1, 2)}

class Holder:
    rate = 2.0
    def __init__(self, size):
        self.size = size
    def __call__(self, x):
        return inner(x) * self.rate * self.size

HOLDER = Holder(3)

def inner(x):
    return jnp.sum(x) + LIMITS["high"][0]

def outer(x, *, power=2):
    def nested(y):
        return y ** power
    return nested(inner(x) * SCALE) + beside.shift(x) + HOLDER(x)

def recursive(n):
    return 0 if n == 0 else recursive(n - 1)
"""

BESIDE = "OFFSET = 3\nOTHER = 4\n\ndef shift(x):\n    return x + OFFSET\n"


@pytest.fixture
def outer(tmp_path: Path, forgotten_modules: None) -> Callable[..., str]:
    """Write the code of a user's, with what is to be replaced in it, and return the fingerprint of its function."""
    number = iter(range(100))

    def made(old: str = "", new: str = "", *, name: str = "outer") -> str:
        folder = tmp_path / str(next(number))
        folder.mkdir()
        (folder / "own.py").write_text(CODE.replace(old, new) if old else CODE)
        (folder / "beside.py").write_text(BESIDE.replace(old, new) if old else BESIDE)
        return fingerprint(load_object(f"{folder / 'own.py'}:{name}"))

    return made


def test_the_same_code_elsewhere_is_the_same(outer: Callable[..., str]) -> None:
    assert outer() == outer()
    assert outer(name="recursive") != outer()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("power=2", "power=3"),
        ("y ** power", "y * power"),
        ("[1.0, 2.0]", "[1.0, 2.5]"),
        ("(1, 2)", "(2, 2)"),
        ("rate = 2.0", "rate = 2.5"),
        ("Holder(3)", "Holder(4)"),
        ("OFFSET = 3", "OFFSET = 5"),
        ("x + OFFSET", "x - OFFSET"),
    ],
)
def test_whatever_it_reaches_counts(outer: Callable[..., str], old: str, new: str) -> None:
    assert outer() != outer(old, new)


@pytest.mark.parametrize(
    "looking", ["open(x)", "np.load(x)", "np.loadtxt(x)", "eval(x)", "x.open_dataset(x)", "x.File(x)"]
)
def test_code_that_looks_at_files_has_none(outer: Callable[..., str], looking: str) -> None:
    with pytest.raises(Unknown, match="inner uses"):
        outer("return jnp.sum(x)", f"return {looking}")


def test_it_does_not_depend_on_the_process(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(CODE)
    (tmp_path / "beside.py").write_text(BESIDE)
    text = "from guidebench.engine.keys.fingerprint import fingerprint; "
    text += "from guidebench.request.loading.objects import load_object; "
    text += "print(fingerprint(load_object('own.py:outer'), {'a', 'b', 'c'}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", text],
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")  # the second time, what lies beside it comes from a .pyc
    }
    assert len(found) == 1


def closing_over(value: Any) -> Callable[[], Any]:
    return lambda: value


def double(x: Any) -> Any:
    return 2 * x


def triple(x: Any) -> Any:
    return 3 * x


DIFFERENT = [
    (1, 1.0),
    (0.0, -0.0),
    ("1", 1),
    ([1, 2], [2, 1]),
    ([1, 2], (1, 2)),
    ([[1], 2], [[1, 2]]),
    ({"a": 1}, {"a": 2}),
    (np.zeros(2), np.zeros(2, np.float32)),
    (np.zeros((2, 1)), np.zeros((1, 2))),
    (np.zeros(2), jnp.zeros(2)),
    (jnp.arange(3), jnp.arange(1, 4)),
    (np.array(["a", None], object), np.array(["b", None], object)),
    (jax.random.key(0), jax.random.key(1)),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
    (double, triple),
    (closing_over(1), closing_over(2)),
    (closing_over(np.zeros(2)), closing_over(np.ones(2))),
    (functools.partial(double, 1), functools.partial(double, 2)),
    (jax.jit(double), jax.jit(triple)),
    (dist.Normal(0, 1), dist.Normal(0, 2)),
    (dist.Normal, dist.Cauchy),
    (np.exp, np.log),
    (
        reparam(double, config={"a": LocScaleReparam(0)}),
        reparam(double, config={"a": LocScaleReparam(0.5)}),
    ),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_differs_has_another(one: Any, other: Any) -> None:
    assert fingerprint(one) == fingerprint(one)
    assert fingerprint(one) != fingerprint(other)


def test_a_list_that_holds_itself_has_one() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    assert fingerprint(loop)


@pytest.mark.parametrize(
    "value", [object(), iter([1]), np.random.default_rng(0), closing_over(object()), {"a": [object()]}, [].append]
)
def test_what_is_not_understood_has_none(value: Any) -> None:
    with pytest.raises(Unknown):
        fingerprint(value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("math", "python"),
        ("json.decoder", "python"),
        ("jax.numpy", "base"),
        ("guidebench.engine", "base"),
        ("guidebench_guides.mean_field", "base"),
        ("pandas.core", "installed"),
        ("test_fingerprint", "user"),
        ("__main__", "user"),
        ("there.is.none", "user"),
    ],
)
def test_code_comes_from_somewhere(name: str, expected: str) -> None:
    assert sources.origin(name) == expected


def test_an_installed_package_is_its_version_and_those_it_requires() -> None:
    found = sources.installed("pandas")
    assert found.startswith("pandas: ")
    assert f"pandas {pd.__version__} " in found
    assert "python-dateutil " in found


def test_a_distribution_of_the_users_own_has_one(tmp_path: Path) -> None:
    code = """
import numpyro
import numpyro.distributions as dist

class Restricted(dist.ImproperUniform):
    pytree_data_fields = ("base",)

    def __init__(self, base, support, *, validate_args=None):
        self.base = base
        super().__init__(support, base.batch_shape, base.event_shape, validate_args=validate_args)

    def log_prob(self, value):
        return self.base.log_prob(value) * {factor}

def model():
    numpyro.sample("w", Restricted(dist.Normal(0, 1), dist.constraints.positive))
"""
    found = []
    for name, factor in (("one", 1), ("same", 1), ("other", 2)):
        (tmp_path / name).mkdir()
        file = tmp_path / name / "mine.py"
        file.write_text(code.format(factor=factor), encoding="utf-8")
        found.append(fingerprint(load_object(f"{file}:model")))
    assert found[0] == found[1] != found[2]
