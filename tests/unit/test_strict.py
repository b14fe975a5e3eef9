"""The test run is strict: an array of another shape than the one that is written down, or ranks that are mixed."""

from __future__ import annotations

from types import FunctionType

import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from guidebench.inference.derivatives import covariance_of
from guidebench.inference.gaussians import Gaussian
from guidebench.metrics.evidence import Evidence
from guidebench.metrics.predictive import covered
from tests.strict import PACKAGES


def product(matrix: object, row: object) -> object:
    return matrix * row  # type: ignore[operator]


def test_a_shape_that_is_not_the_one_written_down_is_an_error() -> None:
    with pytest.raises(TypeCheckError, match="hessian"):
        covariance_of(np.ones((2, 3)))
    with pytest.raises(TypeCheckError, match="draws"):
        covered(np.zeros(3), np.zeros((10, 4)), 0.9)


def test_the_parts_of_a_record_have_to_go_together() -> None:
    with pytest.raises(TypeCheckError, match="factor"):
        Gaussian(mean=np.zeros(3), factor=np.eye(2), elbo=0.0)
    with pytest.raises(TypeCheckError, match="log_weights"):
        Evidence(latents={"w": np.zeros(5)}, log_weights=np.zeros(4))


@pytest.mark.parametrize("module", [f"{package}.own" for package in PACKAGES])
def test_guidebenchs_own_arithmetic_mixes_no_ranks(module: str) -> None:
    own = FunctionType(product.__code__, {"__name__": module})
    with pytest.raises(ValueError, match="rank_promotion"):
        own(jnp.ones((5, 3)), jnp.ones(3))
    assert own(jnp.ones((5, 3)), jnp.ones((1, 3))).shape == (5, 3)


@pytest.mark.parametrize("module", ["numpyro.distributions", "guidebench.problems.own", "a_users_model"])
def test_models_and_numpyro_may_mix_them(module: str) -> None:
    theirs = FunctionType(product.__code__, {"__name__": module})
    assert theirs(jnp.ones((7, 3)), jnp.ones(3)).shape == (7, 3)
