"""Changepoints: where something changes, with all else by conjugacy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy.special import expit, gammaln

from tests.numerics.bed import grids
from tests.numerics.bed.problem import BedProblem, Draws, made

KIND = "changepoints"

#: Prior sd of every coefficient, and the noise.
PRIOR, NOISE = 5.0, 0.5

T = np.arange(16) / 2.0


def problems() -> Iterator[BedProblem]:
    """Yield the problems of this class."""
    yield _smooth("step-clear", _step, 1, [0.0, 2.0], 3.3, 11)
    yield _smooth("step-faint", _step, 1, [0.0, 0.4], 3.3, 12)
    yield _smooth("kink", _kink, 1, [1.0, -0.5, 1.5], 4.2, 13)
    yield _smooth("two-steps", _two_steps, 2, [0.0, 1.5, -1.5], (2.3, 5.2), 14)
    yield _rates("rates-summed-out", latent=False)
    yield _rates("rates-enumerated", latent=True)


Columns = Callable[[Any, Any, Any], list[Any]]


def _sigmoid(xp: Any, at: Any) -> Any:
    return expit(at) if xp is np else jax.nn.sigmoid(at)


def _step(xp: Any, t: Any, when: Any) -> list[Any]:
    return [xp.ones_like(t), _sigmoid(xp, (t - when[0]) / 0.1)]


def _kink(xp: Any, t: Any, when: Any) -> list[Any]:
    return [xp.ones_like(t), t, xp.maximum(t - when[0], 0.0)]


def _two_steps(xp: Any, t: Any, when: Any) -> list[Any]:
    return [xp.ones_like(t), *(_sigmoid(xp, (t - one) / 0.1) for one in (when[0], when[1]))]


def _smooth(name: str, columns: Columns, changes: int, beta: Any, truth: Any, seed: int) -> BedProblem:
    """A regression whose columns depend on when something changed: a grid for that, algebra for the coefficients."""
    shape = np.stack(columns(np, T, np.atleast_1d(truth)), axis=1) @ np.asarray(beta)
    y = (shape + NOISE * np.random.default_rng(seed).standard_normal(len(T))).round(3)
    width = len(beta)

    def model(t: Any, y: Any) -> None:
        when = numpyro.sample("when", dist.Uniform(0.0, 8.0).expand([changes]).to_event(1))
        level = numpyro.sample("level", dist.Normal(0.0, PRIOR).expand([width]).to_event(1))
        numpyro.sample("y", dist.Normal(jnp.stack(columns(jnp, t, when), axis=-1) @ level, NOISE), obs=y)

    def given(when: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return log p(y | when), mean and precision of the coefficients; the first axis of `when` is its nodes."""
        t = np.broadcast_to(T, (len(when), len(T)))
        design = np.stack(columns(np, t, np.moveaxis(when, -1, 0)[..., None]), axis=-1)
        precision = np.swapaxes(design, 1, 2) @ design / NOISE**2 + np.eye(width) / PRIOR**2
        mean = np.linalg.solve(precision, (y @ design / NOISE**2)[..., None])[..., 0]
        fit = np.einsum("si,sij,sj->s", mean, precision, mean)
        return 0.5 * (fit - np.linalg.slogdet(precision)[1]), mean, precision

    nodes = 4_000 if changes == 1 else 600
    axis = (np.arange(nodes) + 0.5) * 8 / nodes

    def density(*when: np.ndarray) -> np.ndarray:
        flat = np.stack([one.ravel() for one in when], axis=-1)
        return np.concatenate([given(part)[0] for part in np.array_split(flat, 40)]).reshape(when[0].shape)

    cells = grids.cells(density, *[axis] * changes, closed=tuple(range(changes)))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        when = np.stack(cells(rng, count), axis=-1)
        level = np.empty((count, width))
        for part in np.array_split(np.arange(count), 1 + count // 20_000):
            _, mean, precision = given(when[part])
            upper = np.swapaxes(np.linalg.cholesky(precision), 1, 2)
            noise = np.linalg.solve(upper, rng.standard_normal((len(part), width, 1)))[..., 0]
            level[part] = mean + noise
        return {"when": when, "level": level}

    return made(KIND, name, model, {"t": T, "y": y}, sample=sample)


def _rates(name: str, *, latent: bool) -> BedProblem:
    """Yearly counts whose rate changed in some year: the year is summed out, by the model or by enumeration."""
    y = np.array([4, 5, 4, 0, 1, 4, 3, 4, 0, 6, 1, 2, 0, 1, 1, 0, 1, 0, 2, 1])

    def summed(y: Any) -> None:
        early = numpyro.sample("early", dist.Gamma(1.0, 0.5))
        late = numpyro.sample("late", dist.Gamma(1.0, 0.5))
        first, second = (dist.Poisson(rate).log_prob(y) for rate in (early, late))
        year = jnp.arange(len(y))
        split = jnp.where(year[None, :] < year[:, None], first, second).sum(axis=1)
        numpyro.factor("y", jax.nn.logsumexp(split))

    def enumerated(y: Any) -> None:
        early = numpyro.sample("early", dist.Gamma(1.0, 0.5))
        late = numpyro.sample("late", dist.Gamma(1.0, 0.5))
        when = numpyro.sample("when", dist.DiscreteUniform(0, len(y) - 1), infer={"enumerate": "parallel"})
        rate = jnp.where(jnp.arange(len(y)) < when[..., None], early, late)
        numpyro.sample("y", dist.Poisson(rate).to_event(1), obs=y)

    before = np.arange(len(y))
    shape = 1.0 + np.stack([np.cumsum(y) - y, y.sum() - np.cumsum(y) + y], axis=1)
    inverse = 0.5 + np.stack([before, len(y) - before], axis=1)
    share = grids.weights((gammaln(shape) - shape * np.log(inverse)).sum(axis=1))

    def sample(rng: np.random.Generator, count: int) -> Draws:
        when = rng.choice(len(y), size=count, p=share)
        early, late = rng.gamma(shape[when], 1 / inverse[when]).T
        return {"early": early, "late": late}

    moments = dict(
        zip(("early", "late"), zip(*grids.total(share, shape / inverse, shape / inverse**2), strict=True), strict=True)
    )
    return made(KIND, name, enumerated if latent else summed, {"y": y}, sample=sample, moments=lambda: moments)
