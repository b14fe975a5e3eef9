"""Priors that NumPyro has no name for."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist


def flat(*shape: int) -> dist.Distribution:
    """Return the improper uniform distribution over the reals."""
    return dist.ImproperUniform(dist.constraints.real, (), shape)


def flat_positive() -> dist.Distribution:
    """Return the improper uniform distribution over the positive numbers."""
    return dist.ImproperUniform(dist.constraints.positive, (), ())


class Restricted(dist.ImproperUniform):  # type: ignore[misc]
    """A distribution over a part of its support, its density up to a constant.

    Parameters
    ----------
    base : Distribution
        The distribution.
    support : Constraint
        The part, of the event shape of `base`.
    """

    pytree_data_fields = ("base",)

    def __init__(self, base: dist.Distribution, support: Any, *, validate_args: bool | None = None) -> None:
        self.base = base
        super().__init__(support, base.batch_shape, base.event_shape, validate_args=validate_args)

    def log_prob(self, value: Any) -> Any:
        """Return the log density of the whole distribution."""
        return self.base.log_prob(value)


def ordered(loc: Any, scale: Any) -> dist.Distribution:
    """Return independent normals restricted to increasing vectors."""
    return Restricted(dist.Normal(jnp.asarray(loc), jnp.asarray(scale)).to_event(1), dist.constraints.ordered_vector)


def positive_ordered(loc: Any, scale: Any) -> dist.Distribution:
    """Return independent normals restricted to increasing vectors of positive numbers."""
    support = dist.constraints.positive_ordered_vector
    return Restricted(dist.Normal(jnp.asarray(loc), jnp.asarray(scale)).to_event(1), support)
