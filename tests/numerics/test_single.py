"""Paths by slopes in single precision: what is sampled is the density in double precision, however bad the slopes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from guidebench.inference.arguments import Arguments
from guidebench.inference.chains import moves as of_moves
from guidebench.inference.chains import run as of_run
from guidebench.inference.chains.moves import CHAINS, Moves
from guidebench.inference.chains.path import BLOCK
from guidebench.inference.chains.run import run_chains
from guidebench.inference.chains.whitening import by_moments, plain
from guidebench.inference.device.precision import double
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target

DIM = 120


class Mistaken:
    """Independent standard normals in double precision; in single precision other ones, wider and elsewhere."""

    dim, evaluated, rows = DIM, 0, 0
    shapes: Mapping[str, tuple[int, ...]] = {"x": (DIM,)}
    many: Mapping[str, tuple[int, ...]] = {}

    def record(self, traced: Mapping[str, Any]) -> None:
        """Nothing is traced."""

    def log_density(self, flat: Any, traced: Mapping[str, Any]) -> Any:
        """Return the density, a mistaken one in single precision."""
        return -0.5 * jnp.sum(flat**2 if flat.dtype == np.float64 else ((flat - 0.03) / 1.03) ** 2)

    def constrain(self, flat: Any, traced: Mapping[str, Any]) -> Any:
        """Return the point itself."""
        return {"x": flat}, jnp.zeros(())

    def packed(self, flat: Any, traced: Mapping[str, Any]) -> Any:
        """Return nothing, for there are not many sites."""
        raise NotImplementedError


class MistakenElsewhere(Mistaken):
    """The same, mistaken near the posterior only."""

    def log_density(self, flat: Any, traced: Mapping[str, Any]) -> Any:
        """Return the density, half as wide near the middle in single precision."""
        right = -0.5 * jnp.sum(flat**2)
        return right if flat.dtype == np.float64 else jnp.where(jnp.sum(flat**2) > 9 * DIM, right, 4 * right)


def moves(model: Callable[..., Any], **data: Any) -> Moves:
    arguments = Arguments.split(model, data)
    return Moves(Target.of(model, arguments, inspect_model(model, arguments)), data)


def normals(dim: int = DIM) -> Moves:
    return moves(lambda: numpyro.sample("x", dist.Normal(0.0, 1.0).expand([dim]).to_event(1)))


def at(run: Moves, points: np.ndarray) -> bool:
    """Return whether slopes in single precision are good enough at points."""
    whitening = plain(by_moments(points, dense=run.dense))
    return run.single_will_do(run.begin(points[:CHAINS], whitening, 0.1), whitening)


def test_mistaken_slopes_leave_the_distribution_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The law behind it: an acceptance by the true density corrects paths that any function of the place has bent."""
    start = np.random.default_rng(0).standard_normal((1_000, DIM))
    mistaken = Moves(Mistaken(), {})
    assert not at(mistaken, start)  # would not be taken by itself
    monkeypatch.setattr(of_moves, "SLOPES_APART", np.inf)
    found = run_chains(mistaken, start, 0, 200_000)
    assert found.settled, found.note
    assert found.work.densities > 0  # single precision was taken
    x = found.latents["x"].reshape(-1, DIM)
    # The distribution of the slopes has means of .03 and sds of 1.03.
    assert abs(x.mean()) < 0.01
    assert x.std() == pytest.approx(1, abs=0.01)
    assert np.abs(x.std(axis=0) - 1).max() < 0.09


def test_chains_that_move_to_where_the_slopes_are_mistaken_leave_single_precision() -> None:
    """Good where they begin, and 50 % off beyond, where the posterior is: nothing says so but the acceptance."""
    run = Moves(MistakenElsewhere(), {})
    start = 20 + 0.1 * np.random.default_rng(0).standard_normal((1_000, DIM))
    assert at(run, start)
    found = run_chains(run, start, 0, 400_000)
    assert found.settled, found.note
    assert 0 < found.work.densities < found.transitions * CHAINS
    x = found.latents["x"].reshape(-1, DIM)
    assert np.abs(x.mean(axis=0)).max() < 0.1
    assert np.abs(x.std(axis=0) - 1).max() < 0.1


def test_slopes_that_are_not_to_blame_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked at every look, as where acceptance is low for another reason."""
    monkeypatch.setattr(of_run, "LOW", 1.1)
    found = run_chains(normals(), np.random.default_rng(0).standard_normal((1_000, DIM)), 0, 400_000)
    assert found.settled, found.note
    assert found.work.densities == found.transitions * CHAINS


def test_all_chains_in_one_program_as_on_other_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_moves, "PARTS", 1)
    found = run_chains(normals(), np.random.default_rng(0).standard_normal((1_000, DIM)), 0, 100_000)
    assert found.settled, found.note
    assert found.work.densities == found.transitions * CHAINS
    assert np.abs(found.latents["x"].reshape(-1, DIM).std(axis=0) - 1).max() < 0.1


def test_densities_at_the_ends_are_counted() -> None:
    start = np.random.default_rng(0).standard_normal((1_000, DIM))
    found = run_chains(normals(), start, 0, 40_000)
    assert found.work.densities == found.transitions * CHAINS
    assert found.transitions % BLOCK == 0
    assert found.work.gradients == found.gradients + 2 * CHAINS  # where they begin, in either precision


def test_where_single_precision_has_lost_the_slopes_they_are_in_double() -> None:
    """A hundred readings each at an offset of a million: float32 knows them, and sums of their squares, to 6 %."""
    reading = 1e6 + np.random.default_rng(1).standard_normal((DIM, 100)).round(2)

    def model(y: Any) -> None:
        x = numpyro.sample("x", dist.Normal(1e6, 10.0).expand([DIM]).to_event(1))
        with numpyro.plate("readings", 100):
            numpyro.sample("y", dist.Normal(x, 1.0).to_event(1), obs=y.T)

    run = moves(model, y=reading)
    mean, sd = (1e6 / 100 + reading.sum(axis=1)) / (100 + 1 / 100), (100 + 1 / 100) ** -0.5
    start = mean + sd * np.random.default_rng(0).standard_normal((1_000, DIM))
    assert run.offers_single
    assert not at(run, start)
    found = run_chains(run, start, 0, 100_000)
    assert found.settled, found.note
    assert found.work.densities == 0
    x = found.latents["x"].reshape(-1, DIM)
    assert np.abs((x.mean(axis=0) - mean) / sd).max() < 0.1
    assert np.abs(x.std(axis=0) / sd - 1).max() < 0.1


def test_few_coordinates_and_a_session_in_double_have_no_single_precision() -> None:
    assert not normals(10).offers_single
    with double():
        assert not normals().offers_single
