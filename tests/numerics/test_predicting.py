"""Predictions for new rows against closed forms, and the same whether rows go together or in blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy.stats import norm

from guidebench.config.errors import RequestError
from guidebench.engine import predicting
from guidebench.engine.predicting import COLUMNS, predict
from guidebench.inference import predict as forward
from guidebench.inference.arguments import Arguments
from guidebench.inference.structure import ModelStructure, inspect_model

RNG = np.random.default_rng(7)
ROWS, DRAWS = 300, 400
X = RNG.normal(size=ROWS)
LATENTS = {"b": 2 + 0.1 * RNG.normal(size=DRAWS), "s": np.exp(0.1 * RNG.normal(size=DRAWS))}
Y = 2 * X + RNG.normal(size=ROWS)


def line(x: Any, y: Any = None) -> None:
    b = numpyro.sample("b", dist.Normal(0, 5))
    s = numpyro.sample("s", dist.HalfNormal(5))
    mu = numpyro.deterministic("mu", b * x)
    numpyro.deterministic("twice", 2 * b)
    with numpyro.plate("rows", x.shape[0]):
        numpyro.sample("y", dist.Normal(mu, s), obs=y)


def walk(x: Any, y: Any = None) -> None:
    """All rows at once: neighbours share noise."""
    b = numpyro.sample("b", dist.Normal(0, 5))
    s = numpyro.sample("s", dist.HalfNormal(5))
    cov = s * jnp.exp(-jnp.abs(x[:, None] - x[None, :])) + 1e-3 * jnp.eye(len(x))
    numpyro.sample("y", dist.MultivariateNormal(b * x, cov), obs=y)


def trained(model: Callable[..., Any], rows: int = 10) -> ModelStructure:
    values = {"x": np.linspace(0, 1, rows), "y": np.zeros(rows)}
    return inspect_model(model, Arguments.split(model, values))


def column(found: np.ndarray, name: str) -> np.ndarray:
    return found[COLUMNS.index(name)]


def test_summaries_are_those_of_the_draws() -> None:
    found = predict(line, trained(line), {"x": X}, LATENTS)
    assert (found.rows, found.draws, found.scores) == (ROWS, DRAWS, {})
    assert set(found.by_row) == {"mu", "y"}
    mu = LATENTS["b"][:, None] * X
    assert column(found.sites["mu"], "mean") == pytest.approx(mu.mean(axis=0), rel=1e-5, abs=1e-6)
    assert column(found.sites["mu"], "sd") == pytest.approx(mu.std(axis=0, ddof=1), rel=1e-4, abs=1e-6)
    for part in (5, 50, 95):
        expected = np.quantile(mu, part / 100, axis=0)
        assert column(found.sites["mu"], f"q{part}") == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert column(found.sites["twice"], "mean") == pytest.approx(2 * LATENTS["b"].mean(), rel=1e-5)


def test_blocks_are_no_other_numbers_and_one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = predict(line, trained(line), {"x": X, "y": Y}, LATENTS)
    made: list[Any] = []
    soon = forward.soon
    monkeypatch.setattr(forward, "soon", lambda *given, **more: made.append(0) or soon(*given, **more))
    monkeypatch.setattr(predicting, "BLOCK_VALUES", 77 * 2 * DRAWS)  # not a divisor of the rows
    parts = predict(line, trained(line), {"x": X, "y": Y}, LATENTS)
    assert len(made) == 2  # one for what is predicted, one for the densities of observations
    assert parts.sites["mu"] == pytest.approx(whole.sites["mu"], rel=1e-6, abs=1e-7)
    assert parts.sites["y"].shape == whole.sites["y"].shape == (5, ROWS)
    assert parts.sites["twice"] == pytest.approx(whole.sites["twice"])
    assert parts.scores["log_density"] == pytest.approx(whole.scores["log_density"], rel=1e-5)
    noise = 4 * 1 / np.sqrt(DRAWS)
    assert column(parts.sites["y"], "mean") == pytest.approx(column(whole.sites["y"], "mean"), abs=2 * noise)


def test_scores_are_those_of_the_predictive() -> None:
    found = predict(line, trained(line), {"x": X, "y": Y}, LATENTS)
    density = norm(LATENTS["b"][:, None] * X, LATENTS["s"][:, None]).pdf(Y).mean(axis=0)
    assert found.scores["log_density"][0] == pytest.approx(np.log(density).mean(), abs=1e-4)
    for level in (50, 80, 90, 95):
        share, error = found.scores[f"coverage_{level}"]
        assert share == pytest.approx(level / 100, abs=4 * error + 0.02)
    # Of Y ~ N(mu, 1) predicted by itself, sd / sqrt(pi).
    assert found.scores["crps"][0] == pytest.approx(1 / np.sqrt(np.pi), abs=4 * found.scores["crps"][1] + 0.02)


def test_rows_that_depend_on_each_other_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    structure, values = trained(walk), {"x": np.arange(40.0)}
    whole = predict(walk, structure, values, LATENTS)
    monkeypatch.setattr(predicting, "BLOCK_VALUES", 10 * DRAWS)
    again = predict(walk, structure, values, LATENTS)
    assert np.array_equal(whole.sites["y"], again.sites["y"])


def centred(x: Any, y: Any = None) -> None:
    b = numpyro.sample("b", dist.Normal(0, 5))
    s = numpyro.sample("s", dist.HalfNormal(2))
    with numpyro.plate("rows", x.shape[0]):
        numpyro.sample("y", dist.Normal(b * (x - x.mean()), s), obs=y)


def summed(x: Any, y: Any = None) -> None:
    line(x, y)
    numpyro.deterministic("mean of rows", x.mean())


@pytest.mark.parametrize("model", [centred, summed])
def test_rows_that_are_others_beside_others_stay_together(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    structure, values = trained(model), {"x": np.arange(40.0)}
    whole = predict(model, structure, values, LATENTS)
    monkeypatch.setattr(predicting, "BLOCK_VALUES", 10 * DRAWS)
    again = predict(model, structure, values, LATENTS)
    for name, value in whole.sites.items():
        assert np.array_equal(value, again.sites[name])


def local(x: Any, y: Any = None) -> None:
    with numpyro.plate("rows", x.shape[0]):
        b = numpyro.sample("b", dist.Normal(0, 5))
        numpyro.sample("y", dist.Normal(b * x, 1), obs=y)


def test_latents_that_grow_with_the_rows_are_refused() -> None:
    latents = {"b": RNG.normal(size=(DRAWS, 10))}
    assert predict(local, trained(local), {"x": X[:10]}, latents).rows == 10
    with pytest.raises(RequestError, match=r"site b has shape \(10,\) in training and shape \(20,\)"):
        predict(local, trained(local), {"x": X[:20]}, latents)
