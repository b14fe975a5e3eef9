r"""The noise that a Gaussian guide is made of, given from outside, so that it can be the same in every evaluation.

A draw of a Gaussian guide is :math:`z = m + F \epsilon` with standard normal :math:`\epsilon`.  Here its sites take
their :math:`\epsilon` from one given vector, one after the other, in place of drawing it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Bool, Float, Float64
from numpyro.distributions.flows import BlockNeuralAutoregressiveTransform, InverseAutoregressiveTransform
from numpyro.primitives import Messenger

from guidebench.inference.wrappers import unwrapped

#: Pairs of draws per number of noise from which on their second moments can be made exact.
ENOUGH = 1.2

#: Transforms by a network, after which nothing is Gaussian; to find that out by its draws would compile the network.
FLOWS = BlockNeuralAutoregressiveTransform, InverseAutoregressiveTransform


@runtime_checkable
class Take(Protocol):
    """Where a site gets its noise from."""

    def __call__(self, shape: tuple[int, ...], *, mixed: bool = False) -> Float[Array, "..."]:
        """Return standard normal noise of a shape; where `mixed`, of the kind that a matrix mixes over coordinates."""


class Drawn(NamedTuple):
    """The value of a site, and the intermediate values by which NumPyro finds its density again."""

    value: Any
    intermediates: list[Any]


class Given(Messenger):  # type: ignore[misc]
    """Draw the sites of a guide from given noise.

    Parameters
    ----------
    guide : callable
        Its sites are Normal, MultivariateNormal or LowRankMultivariateNormal under transforms, or Delta.
    noise : array
        Shape ``(N,)``, as many as :class:`Counted` has counted.
    """

    def __init__(self, guide: Callable[..., Any], noise: Float[Array, " N"]) -> None:
        super().__init__(guide)
        self._noise, self._used = noise, 0

    def process_message(self, msg: dict[str, Any]) -> None:
        """Give a site its value."""
        if not _is_drawn(msg):
            return
        found = drawn(msg["fn"], self._take)
        if found is not None:
            msg["value"], msg["intermediates"] = found

    def _take(self, shape: tuple[int, ...], *, mixed: bool = False) -> Float[Array, "..."]:
        first, self._used = self._used, self._used + prod(shape)
        return self._noise[first : self._used].reshape(shape)


class Counted(Messenger):  # type: ignore[misc]
    """Count the noise that the sites of a guide take, and leave them as they are.

    Attributes
    ----------
    mixed : list of bool
        Of every standard normal number, whether the matrix of a multivariate normal mixes it over coordinates.
    complete : bool
        Whether this is all the noise there is: no site is drawn in another way.
    """

    def __init__(self, guide: Callable[..., Any]) -> None:
        super().__init__(guide)
        self.mixed: list[bool] = []
        self.complete = True

    def process_message(self, msg: dict[str, Any]) -> None:
        """Count what a site takes."""
        if _is_drawn(msg):
            self.complete &= drawn(msg["fn"], self._take) is not None

    def _take(self, shape: tuple[int, ...], *, mixed: bool = False) -> Float[Array, "..."]:
        self.mixed.extend([mixed] * prod(shape))
        return jnp.zeros(shape)


def _is_drawn(msg: Mapping[str, Any]) -> bool:
    """Return whether a message is about a site whose value is random and still to be drawn."""
    if msg["type"] != "sample" or msg["is_observed"] or msg["value"] is not None:
        return False
    return not isinstance(unwrapped(msg["fn"]), dist.Delta)


def drawn(fn: Any, take: Take) -> Drawn | None:
    """Return a draw of a distribution made of the noise it takes; ``None`` where it is a flow, or nothing Gaussian."""
    base = unwrapped(fn)
    if isinstance(base, dist.TransformedDistribution):
        if base.shape() != fn.shape():  # expanded: its own base has another shape than its draws need
            return None
        inner = drawn(base.base_dist, take)
        if inner is None or any(isinstance(transform, FLOWS) for transform in base.transforms):
            return None
        value, intermediates = inner.value, []
        for transform in base.transforms:
            before = value
            value, own = transform.call_with_intermediates(before)
            intermediates.append([before, own])
        return Drawn(value, intermediates if base is fn else [])
    shape = fn.shape()
    if isinstance(base, dist.Normal):
        return Drawn(base.loc + base.scale * take(shape), [])
    if isinstance(base, dist.MultivariateNormal):
        return Drawn(base.loc + _times(base.scale_tril, take(shape, mixed=True)), [])
    if isinstance(base, dist.LowRankMultivariateNormal):
        few = take((*shape[:-1], base.cov_factor.shape[-1]), mixed=True)
        return Drawn(base.loc + _times(base.cov_factor, few) + jnp.sqrt(base.cov_diag) * take(shape), [])
    return None


def _times(matrix: Float[Array, "..."], vector: Float[Array, "..."]) -> Float[Array, "..."]:
    product: Float[Array, "..."] = jnp.matmul(matrix, vector[..., None])[..., 0]
    return product


def antithetic(rng: np.random.Generator, count: int, size: int) -> Float64[np.ndarray, "S N"]:
    """Return standard normal noise in pairs of opposite sign, next to each other; `count` is even."""
    half = rng.standard_normal((count // 2, size))
    return _paired(half)


def balanced(
    rng: np.random.Generator, count: int, size: int, mixed: Bool[np.ndarray, " N"] | None = None
) -> Float64[np.ndarray, "S N"]:
    r"""Return antithetic noise with the second moments of the standard normal, as far as its draws reach.

    Where there are pairs enough the whole second moment is the identity, so that an ELBO under it is exact
    wherever the target is quadratic.  With fewer, but enough for what a matrix of parameters mixes over coordinates,
    these numbers are uncorrelated with each other and with all others: correlations that a sample only happens to have
    are then nothing that the matrix could be fitted to.  Each number has the second moment 1 in any case.  For noise
    that stays the same in all evaluations: single draws are no longer normal.

    Parameters
    ----------
    rng : numpy.random.Generator
        Makes it.
    count, size : int
        Its shape; `count` is even.
    mixed : ndarray, optional
        Which numbers a matrix mixes, shape ``(N,)``; none without.
    """
    half = rng.standard_normal((count // 2, size))
    some = np.zeros(size, bool) if mixed is None else mixed
    if len(half) >= ENOUGH * size:
        return _paired(_uncorrelated(half))
    if len(half) >= ENOUGH * np.sum(some):
        half[:, some] = _uncorrelated(half[:, some])
        half[:, ~some] -= half[:, some] @ (half[:, some].T @ half[:, ~some]) / len(half)
    return _paired(half / np.sqrt(np.mean(half**2, axis=0, keepdims=True)))


def _uncorrelated(half: Float64[np.ndarray, "H N"]) -> Float64[np.ndarray, "H N"]:
    """Return numbers with the identity for their second moment, as near to the given ones as can be."""
    values, vectors = np.linalg.eigh(half.T @ half / len(half))
    return np.asarray(half @ (vectors / np.sqrt(values)[None, :]) @ vectors.T)


def _paired(half: Float64[np.ndarray, "H N"]) -> Float64[np.ndarray, "S N"]:
    return np.stack([half, -half], axis=1).reshape(2 * len(half), half.shape[1])
