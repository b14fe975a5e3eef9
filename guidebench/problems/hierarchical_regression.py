"""Regression lines of eight groups: intercepts and slopes that vary about common ones.

Given the scales everything is Gaussian, so three scales on a grid give the exact posterior of all
twenty-one latents.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guidebench.contracts import Problem
from guidebench.problems import quadrature

GROUPS = 8
PER_GROUP = 6
HELDOUT_PER_GROUP = 25

#: Mean and sd over the groups of intercept and slope, and the sd of the noise.
MEAN, SCALE, NOISE = (1.0, -0.5), (0.8, 0.3), 0.6

MEAN_SD = 5.0

#: log p(y) in nats: mean and effects integrate out by algebra, the three scales by quadrature.
LOG_EVIDENCE = -68.50853

#: Nodes for both scales and the noise: beyond them lies less than 1e-7 of the posterior.
AXES = (quadrature.midpoints(4.5, 90), quadrature.midpoints(3.0, 100), quadrature.midpoints(1.5, 80, begin=0.3))


def model(x: Any, group: Any, y: Any = None) -> None:
    """y ~ N(effect[g, 0] + effect[g, 1] x, noise), effect[g] ~ N(mean, scale)."""
    import numpyro
    import numpyro.distributions as dist

    noise = numpyro.sample("noise", dist.HalfNormal(1))
    with numpyro.plate("coefficient", 2, dim=-1):
        mean = numpyro.sample("mean", dist.Normal(0, MEAN_SD))
        scale = numpyro.sample("scale", dist.HalfNormal(1))
        with numpyro.plate("groups", GROUPS, dim=-2):
            effect = numpyro.sample("effect", dist.Normal(mean, scale))
    with numpyro.plate("data", x.shape[0]):
        mu = numpyro.deterministic("mu", effect[group, 0] + effect[group, 1] * x)
        numpyro.sample("y", dist.Normal(mu, noise), obs=y)


def truth() -> dict[str, Any]:
    """Return the true values, those of the groups from NumPy's legacy generator, whose streams are frozen for good."""
    effect = np.asarray(MEAN) + np.asarray(SCALE) * np.random.RandomState(10).standard_normal((GROUPS, 2))
    return {"noise": NOISE, "mean": np.asarray(MEAN), "scale": np.asarray(SCALE), "effect": effect}


def simulate(seed: int, per_group: int) -> dict[str, np.ndarray]:
    """Return data of the same groups."""
    random, effect = np.random.RandomState(seed), truth()["effect"]
    group = np.repeat(np.arange(GROUPS), per_group)
    x = random.uniform(-2, 2, group.size)
    y = effect[group, 0] + effect[group, 1] * x + NOISE * random.standard_normal(group.size)
    return {"x": x.astype(np.float32), "group": group.astype(np.int32), "y": y.astype(np.float32)}


def least_squares() -> tuple[np.ndarray, np.ndarray, float]:
    """Return the line (2,) that fits each group best, its inverse Gram matrix, and the squares left over all groups."""
    data = simulate(11, PER_GROUP)
    x, y = (data[name].astype(float).reshape(GROUPS, PER_GROUP) for name in ("x", "y"))
    design = np.stack([np.ones_like(x), x], axis=-1)
    inverse = np.linalg.inv(np.swapaxes(design, 1, 2) @ design)
    line = np.einsum("gij,gnj,gn->gi", inverse, design, y)
    return line, inverse, float(np.sum((y - np.einsum("gnj,gj->gn", design, line)) ** 2))


def inverse_2x2(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return inverse and determinant of symmetric matrices stored as (3, ...): both diagonals, then the corner."""
    first, second, corner = matrix
    determinant = first * second - corner**2
    return np.stack([second, first, -corner]) / determinant, determinant


def apply_2x2(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Return the products of matrices stored as above with vectors stored as (2, ...)."""
    return np.stack([matrix[0] * vector[0] + matrix[2] * vector[1], matrix[2] * vector[0] + matrix[1] * vector[1]])


def given_scales(scale: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log p(y, scale, noise), and mean and covariance of ``mean``, for scales (2, ...) and noises (...).

    The best line of a group is distributed as N(mean, V), V being its own covariance plus that of the
    effects, and ``mean`` is conjugate to that.
    """
    line, gram, left = least_squares()
    precision = np.stack([np.full_like(noise, MEAN_SD**-2)] * 2 + [np.zeros_like(noise)])
    pull, spread = np.zeros((2, *noise.shape)), np.zeros_like(noise)
    for one, own in zip(line, _stored(gram), strict=True):
        at = one.reshape(2, *[1] * noise.ndim)
        weight, determinant = inverse_2x2(_covariance(own, scale, noise))
        pulled = apply_2x2(weight, at)
        precision += weight
        pull += pulled
        spread += np.log(determinant) + np.sum(pulled * at, axis=0)
    covariance, determinant = inverse_2x2(precision)
    mean = apply_2x2(covariance, pull)
    log_joint = (
        quadrature.log_half_normal(scale).sum(axis=0)
        + quadrature.log_half_normal(noise)
        - 0.5 * (spread - np.sum(pull * mean, axis=0) + np.log(determinant))
        - 2 * np.log(MEAN_SD)
        - (PER_GROUP - 2) * GROUPS * np.log(noise)
        - 0.5 * left / noise**2
        + 0.5 * np.linalg.slogdet(gram)[1].sum()
        - 0.5 * PER_GROUP * GROUPS * np.log(2 * np.pi)
    )
    return log_joint, mean, covariance


def _stored(matrices: np.ndarray) -> np.ndarray:
    """Return symmetric matrices (G, 2, 2) as (G, 3)."""
    return np.stack([matrices[:, 0, 0], matrices[:, 1, 1], matrices[:, 0, 1]], axis=-1)


def _covariance(gram: np.ndarray, scale: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the covariance of a group's best line about ``mean``."""
    own = noise**2
    return np.stack([scale[0] ** 2 + gram[0] * own, scale[1] ** 2 + gram[1] * own, gram[2] * own])


def _spread(covariance: np.ndarray, standard: np.ndarray) -> np.ndarray:
    """Return draws (2, ...) with that covariance from standard normal ones."""
    first = np.sqrt(covariance[0])
    along = covariance[2] / first
    return np.stack([first * standard[0], along * standard[0] + np.sqrt(covariance[1] - along**2) * standard[1]])


def reference(seed: int, count: int) -> dict[str, np.ndarray]:
    """Draw from the exact posterior: the scales and the noise, the mean given them, the effects given all."""
    rng = np.random.default_rng(seed)
    first, second, noise = np.meshgrid(*AXES, indexing="ij")
    density, _, _ = given_scales(np.stack([first, second]), noise)
    first, second, noise = quadrature.draw(density, AXES, rng, count)
    scale = np.stack([first, second])
    _, mean, covariance = given_scales(scale, noise)
    mean = mean + _spread(covariance, rng.standard_normal((2, count)))
    line, gram, _ = least_squares()
    effects = []
    for one, own in zip(line, _stored(gram), strict=True):
        weight, _ = inverse_2x2(_covariance(own, scale, noise))
        # Prior covariance times weight: how far the group's own line pulls its effect away from the mean.
        centre = mean + scale**2 * apply_2x2(weight, one[:, None] - mean)
        between = scale**2
        covariance = np.stack(
            [
                between[0] - between[0] ** 2 * weight[0],
                between[1] - between[1] ** 2 * weight[1],
                -between[0] * between[1] * weight[2],
            ]
        )
        effects.append(centre + _spread(covariance, rng.standard_normal((2, count))))
    return {"noise": noise, "mean": mean.T, "scale": scale.T, "effect": np.stack(effects).transpose(2, 0, 1)}


def problem() -> Problem:
    """Return the problem ``hierarchical-regression``."""
    return Problem(
        name="hierarchical-regression",
        model=model,
        kwargs=simulate(11, PER_GROUP),
        heldout=simulate(12, HELDOUT_PER_GROUP),
        truth=truth(),
        reference=reference,
        log_evidence=LOG_EVIDENCE,
        summary="Intercepts and slopes that vary over eight groups: scales with few groups to learn them from",
        cite="Gelman (2006), Prior distributions for variance parameters in hierarchical models, "
        "Bayesian Analysis 1(3), doi:10.1214/06-BA117A",
    )
