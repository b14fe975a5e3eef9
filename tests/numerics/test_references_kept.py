"""A reference that was kept is used again where it is the one asked for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.engine import references, sampled
from guidebench.inference import nuts
from guidebench.inference.arguments import Arguments, as_arrays
from guidebench.inference.device import cache
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target
from tests.numerics.referenced import SHORT, X, Y, line_problem, reference

pytestmark = pytest.mark.usefixtures("kept_references")


@pytest.mark.usefixtures("short_nuts")
def test_the_second_time_nothing_is_sampled(
    kept_references: Path, monkeypatch: pytest.MonkeyPatch, no_sampler: Callable[[], None]
) -> None:
    first = reference(line_problem())
    assert first.label == "NUTS", first.note
    assert sorted(file.suffix for file in kept_references.iterdir()) == [".nc", ".sha256"]
    no_sampler()
    again = reference(line_problem(), seed=1, draws=200)  # what the run is like does not matter
    np.testing.assert_array_equal(again.chains["w"], first.chains["w"])
    assert again.chains["w"].dtype == first.chains["w"].dtype == np.float64
    assert (again.checks, again.effective) == (first.checks, first.effective)
    assert "kept from an earlier run" in again.note
    assert "kept" not in first.note

    def other(x: Any, y: Any = None) -> None:
        w = numpyro.sample("w", dist.Normal(0.0, 2.0))
        with numpyro.plate("n", len(x)):
            numpyro.sample("y", dist.Normal(w * x, 0.3), obs=y)

    changed = [line_problem(Y + np.float32(0.01)), replace(line_problem(), model=other)]
    changed.append(replace(line_problem(), name="another"))  # its seed is another
    for problem in changed:
        with pytest.raises(RequestError, match="Sampled"):
            reference(problem)
    for settings in (replace(SHORT, draws=750), replace(SHORT, warmup=500), replace(SHORT, accept=0.8)):
        monkeypatch.setattr(sampled, "SETTINGS", settings)
        with pytest.raises(RequestError, match="Sampled"):
            reference(line_problem())
    monkeypatch.setattr(sampled, "SETTINGS", SHORT)
    monkeypatch.setattr(sampled, "version", lambda name: "99")
    with pytest.raises(RequestError, match="Sampled"):
        reference(line_problem())


@pytest.fixture
def sampler(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Put draws from Gaussians, so far apart, in the place of NUTS: what is kept does not depend on them."""

    def stands_in(apart: float) -> None:
        def made(*_: Any) -> Iterator[nuts.Chains]:
            draws = np.random.default_rng(0).standard_normal((4, 500)) + apart * np.arange(4)[:, None]
            yield nuts.Chains({"w": draws}, np.zeros((4, 500), bool))

        monkeypatch.setattr(nuts, "rounds", made)
        # These are not the posterior's, and a mixture would say so.
        monkeypatch.setattr(references, "by_mixture", lambda asked: "it is left out here")

    return stands_in


def test_a_failed_reference_is_kept_too(sampler: Callable[[float], None], no_sampler: Callable[[], None]) -> None:
    sampler(1.0)
    first = reference(line_problem())
    assert first.note.startswith("NUTS failed its checks")
    no_sampler()
    again = reference(line_problem())
    assert (again.label, again.chains, again.checks) == ("", {}, first.checks)
    assert first.note.partition(" It ran")[0] == again.note.partition(" It ran")[0]


def test_a_broken_file_is_made_anew(kept_references: Path, sampler: Callable[[float], None]) -> None:
    sampler(0.0)
    first = reference(line_problem())
    (file,) = kept_references.glob("*.nc")
    whole = file.read_bytes()
    for content in (b"", b"no NetCDF", whole[: len(whole) // 2], bytes([whole[0] ^ 1]) + whole[1:]):
        file.write_bytes(content)
        again = reference(line_problem())
        np.testing.assert_array_equal(again.chains["w"], first.chains["w"])
        assert "kept" not in again.note
        assert "kept" in reference(line_problem()).note
        assert set(kept_references.iterdir()) == {file, file.with_suffix(".sha256")}


@pytest.mark.usefixtures("short_nuts")
def test_a_cache_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file"))
    assert reference(line_problem()).label == "NUTS"
    assert (tmp_path / "file").read_text() == "mine"


def fingerprint(model: Callable[..., Any], *args: Any) -> str | None:
    values = as_arrays(Problem(name="any", model=model, args=args).arguments())
    arguments = Arguments.split(model, values)
    target = Target.of(model, arguments, inspect_model(model, arguments))
    return nuts.fingerprint(target, {name: values[name] for name in arguments.arrays})


def scaled(scale: float, table: np.ndarray, name: str = "w") -> Callable[..., None]:
    """Return a model with a number and an array of its own, the array inside a compiled function."""
    inner = jax.jit(lambda w: jnp.sum(jnp.asarray(table) * w))

    def model(x: Any, y: Any = None) -> None:
        w = numpyro.sample(name, dist.Normal(0.0, scale))
        numpyro.factor("inner", -(inner(w) ** 2))
        numpyro.sample("y", dist.Normal(w * x, 0.3).to_event(1), obs=y)

    return model


def test_a_fingerprint_sees_every_number() -> None:
    table = np.linspace(0, 1, 5000)  # NumPy prints the ends of long arrays only
    other = table.copy()
    other[2500] += 1e-6
    same = fingerprint(scaled(1.0, table), X, Y)
    assert same == fingerprint(scaled(1.0, table.copy()), X.copy(), Y.copy())
    changed = Y.copy()
    changed[3] = np.nextafter(changed[3], np.float32(1))
    different = [
        fingerprint(scaled(1.0, other), X, Y),
        fingerprint(scaled(np.nextafter(1.0, 2.0), table), X, Y),
        fingerprint(scaled(1.0, table, name="v"), X, Y),
        fingerprint(scaled(1.0, table), X, changed),
        fingerprint(scaled(1.0, table), X[:-1], Y[:-1]),
    ]
    assert len({same, *different}) == 6
    assert None not in different


def test_a_model_that_calls_python_has_no_fingerprint() -> None:
    def model(x: Any) -> None:
        w = numpyro.sample("w", dist.Normal(0.0, 1.0))
        shape = jax.ShapeDtypeStruct((), w.dtype)
        numpyro.factor("python", jax.pure_callback(lambda w: -np.square(w), shape, w, vmap_method="sequential"))

    assert fingerprint(model, X) is None


KEYS = """
from itertools import islice
from guidebench.problems import guidebench_problems
from guidebench.inference.arguments import Arguments, as_arrays
from guidebench.inference.nuts import fingerprint
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target
from guidebench.engine.sampled import SETTINGS, _file
for problem in islice(guidebench_problems(), 5):
    values = as_arrays(problem.arguments())
    arguments = Arguments.split(problem.model, values)
    structure = inspect_model(problem.model, arguments)
    target = Target.of(problem.model, arguments, structure)
    program = fingerprint(target, {name: values[name] for name in arguments.arrays})
    print(_file(program, structure, SETTINGS, 1, 2).name)
"""


@pytest.mark.slow
def test_two_processes_have_the_same_keys(
    python: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = [python("-c", KEYS, cwd=tmp_path, PYTHONHASHSEED=seed) for seed in ("1", "2")]
    assert [one.stderr for one in done] == ["", ""]
    assert done[0].stdout == done[1].stdout
    keys = done[0].stdout.split()
    assert len(set(keys)) == len(keys) == 5
