"""Toy problems whose posteriors are known in closed form: what the checks measure guides against.

They are conjugate: of the Gaussian ones mean, covariance and evidence are known, of the constrained one
mean, standard deviations and evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
from scipy.special import betaln, gammaln
from scipy.stats import multivariate_normal

from guidebench.contracts import Problem

#: By how much shares that sum to one may miss it in float32.
ROUNDING = 1e-4


@dataclass(frozen=True, kw_only=True)
class Toy:
    """A problem and what is known of its posterior.

    Attributes
    ----------
    problem : Problem
        With its exact log evidence.
    mean, mode, sd : mapping of str to ndarray
        By latent site; the mode is that of the joint density in the model's own coordinates.
    covariance : ndarray or None
        Over the coordinates of all sites in the order of the model, where the posterior is Gaussian.
    inside : mapping of str to callable
        Whether draws of a site, shape ``(S, ...)``, lie in its support, for sites that are not real.
    """

    problem: Problem
    mean: Mapping[str, np.ndarray]
    mode: Mapping[str, np.ndarray]
    sd: Mapping[str, np.ndarray]
    covariance: np.ndarray | None = None
    inside: Mapping[str, Callable[[np.ndarray], np.ndarray]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the problem is called."""
        return self.problem.name

    @property
    def log_evidence(self) -> float:
        """The exact log p(y) in nats."""
        assert self.problem.log_evidence is not None
        return self.problem.log_evidence


def _gaussian(
    name: str,
    summary: str,
    model: Callable[..., None],
    kwargs: Mapping[str, np.ndarray],
    *,
    sites: Mapping[str, tuple[int, ...]],
    prior: np.ndarray,
    design: np.ndarray,
    noise: np.ndarray,
) -> Toy:
    """Return the toy with y = design @ theta + noise, theta ~ N(0, prior): everything about it is Gaussian."""
    y = kwargs["y"]
    covariance = np.linalg.inv(np.linalg.inv(prior) + design.T @ (design / noise[:, None] ** 2))
    evidence = multivariate_normal(np.zeros(len(y)), design @ prior @ design.T + np.diag(noise**2))
    mean = covariance @ design.T @ (y / noise**2)
    by_site = _split(mean, sites)
    return Toy(
        problem=Problem(name=name, summary=summary, model=model, kwargs=kwargs, log_evidence=float(evidence.logpdf(y))),
        mean=by_site,
        mode=by_site,
        sd=_split(np.sqrt(np.diag(covariance)), sites),
        covariance=covariance,
    )


def _split(flat: np.ndarray, sites: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    ends = np.cumsum([int(np.prod(shape)) for shape in sites.values()])
    parts = np.split(flat, ends[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(sites.items(), parts, strict=True)}


def one_dimensional() -> Toy:
    """The mean of five readings: a single scalar latent, which some families cannot have."""

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
        with numpyro.plate("readings", y.shape[0]):
            numpyro.sample("y", dist.Normal(mu, 1.5), obs=y)

    return _gaussian(
        "one-dimensional",
        "The mean of five readings",
        model,
        {"y": np.array([1.2, -0.4, 0.8, 2.1, 0.3])},
        sites={"mu": ()},
        prior=np.array([[4.0]]),
        design=np.ones((5, 1)),
        noise=np.full(5, 1.5),
    )


def independent() -> Toy:
    """Two quantities, each measured once: a Gaussian posterior without correlations, on two scales."""
    sd, noise = np.array([1.0, 20.0]), np.array([0.5, 4.0])

    def model(y: Any) -> None:
        theta = numpyro.sample("theta", dist.Normal(0.0, sd).to_event(1))
        numpyro.sample("y", dist.Normal(theta, noise).to_event(1), obs=y)

    return _gaussian(
        "independent",
        "Two quantities, each measured once",
        model,
        {"y": np.array([0.4, -13.0])},
        sites={"theta": (2,)},
        prior=np.diag(sd**2),
        design=np.eye(2),
        noise=noise,
    )


def correlated() -> Toy:
    """A straight line far from the origin: intercept and slope have a correlation of about -0.9."""
    x = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0])

    def model(x: Any, y: Any) -> None:
        intercept = numpyro.sample("intercept", dist.Normal(0.0, 3.0))
        slope = numpyro.sample("slope", dist.Normal(0.0, 3.0))
        with numpyro.plate("rows", x.shape[0]):
            numpyro.sample("y", dist.Normal(intercept + slope * x, 0.8), obs=y)

    return _gaussian(
        "correlated",
        "A straight line far from the origin",
        model,
        {"x": x, "y": np.array([1.1, 0.9, 1.6, 1.2, 2.3, 1.9])},
        sites={"intercept": (), "slope": ()},
        prior=9.0 * np.eye(2),
        design=np.stack([np.ones(6), x], axis=1),
        noise=np.full(6, 0.8),
    )


def hierarchical() -> Toy:
    """Four groups around a common mean: a latent site inside a plate, and one above it."""

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
        with numpyro.plate("groups", y.shape[0]):
            theta = numpyro.sample("theta", dist.Normal(mu, 1.5))
            numpyro.sample("y", dist.Normal(theta, 0.7), obs=y)

    prior = np.full((5, 5), 4.0)
    prior[1:, 1:] += 1.5**2 * np.eye(4)
    return _gaussian(
        "hierarchical",
        "Four groups around a common mean",
        model,
        {"y": np.array([0.3, 1.9, -0.6, 2.4])},
        sites={"mu": (), "theta": (4,)},
        prior=prior,
        design=np.eye(5)[1:],
        noise=np.full(4, 0.7),
    )


def constrained() -> Toy:
    """A rate, a probability and shares: latent sites on the half line, the unit interval and the simplex."""
    # The rate is about 1,000, so that the Jacobians of the three sites, of either sign, do not cancel.
    waits = np.array([11.0, 4.0, 23.0, 9.0, 2.0, 16.0, 7.0, 5.0]) * 1e-4
    wins = np.array([1, 0, 1, 1, 0, 1, 1, 0, 1, 0])
    kinds = np.repeat([0, 1, 2], [5, 9, 4])
    shape, rate, a, b, alpha = 3.0, 2e-3, 2.0, 2.0, np.full(3, 2.0)

    def model(waits: Any, wins: Any, kinds: Any) -> None:
        level = numpyro.sample("level", dist.Gamma(shape, rate))
        share = numpyro.sample("share", dist.Beta(a, b))
        weights = numpyro.sample("weights", dist.Dirichlet(alpha))
        with numpyro.plate("arrivals", waits.shape[0]):
            numpyro.sample("waits", dist.Exponential(level), obs=waits)
        with numpyro.plate("games", wins.shape[0]):
            numpyro.sample("wins", dist.Bernoulli(share), obs=wins)
        with numpyro.plate("items", kinds.shape[0]):
            numpyro.sample("kinds", dist.Categorical(weights), obs=kinds)

    level_shape, level_rate = shape + len(waits), rate + waits.sum()
    share_a, share_b = a + wins.sum(), b + len(wins) - wins.sum()
    weight = alpha + np.bincount(kinds)
    evidence = (
        (shape * np.log(rate) - gammaln(shape) + gammaln(level_shape) - level_shape * np.log(level_rate))
        + (betaln(share_a, share_b) - betaln(a, b))
        + (gammaln(weight).sum() - gammaln(weight.sum()) - gammaln(alpha).sum() + gammaln(alpha.sum()))
    )
    share, weights = share_a / (share_a + share_b), weight / weight.sum()
    return Toy(
        problem=Problem(
            name="constrained",
            summary="A rate, a probability and shares",
            model=model,
            kwargs={"waits": waits, "wins": wins, "kinds": kinds},
            log_evidence=float(evidence),
        ),
        mean={"level": np.array(level_shape / level_rate), "share": np.array(share), "weights": weights},
        mode={
            "level": np.array((level_shape - 1) / level_rate),
            "share": np.array((share_a - 1) / (share_a + share_b - 2)),
            "weights": (weight - 1) / (weight.sum() - len(weight)),
        },
        sd={
            "level": np.array(np.sqrt(level_shape) / level_rate),
            "share": np.array(np.sqrt(share * (1 - share) / (share_a + share_b + 1))),
            "weights": np.sqrt(weights * (1 - weights) / (weight.sum() + 1)),
        },
        inside={
            "level": lambda draws: draws > 0,
            "share": lambda draws: (draws >= 0) & (draws <= 1),
            "weights": lambda draws: (draws.min(-1) >= 0) & (abs(draws.sum(-1) - 1) < ROUNDING),
        },
    )


#: What makes the toy problems, in their order.
MAKERS = (one_dimensional, independent, correlated, hierarchical, constrained)


@cache
def toys() -> Mapping[str, Toy]:
    """Return every toy problem by name."""
    made = (maker() for maker in MAKERS)
    return {toy.name: toy for toy in made}


def twin(name: str) -> Toy:
    """Return a toy problem whose arrays nobody else has.

    A trace that ends in an exception is never let go by JAX 0.10, and with it the image in float32 of every constant of
    the model; the same array is then given that image in float64, too.  So who looks at a guide that may raise does so
    on a twin.
    """
    return next(toy for maker in MAKERS if (toy := maker()).name == name)
