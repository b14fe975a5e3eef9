"""A guide that is set up cheaply is the guide that it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.handlers import seed, trace
from numpyro.infer import autoguide
from numpyro.infer.initialization import init_to_value
from numpyro.infer.util import log_density

from guidebench.inference.setting_up import set_up_cheaply

START = {"scale": jnp.asarray(0.7), "effect": jnp.asarray([0.1, -0.2, 0.3])}
READINGS = jnp.asarray([0.4, -0.3, 0.9])


def model(y: Any = READINGS) -> None:
    scale = numpyro.sample("scale", dist.HalfNormal(1.0))
    with numpyro.plate("groups", 3):
        effect = numpyro.sample("effect", dist.Normal(0.0, scale))
        numpyro.sample("y", dist.Normal(effect, 1.0), obs=y)


def made(kind: Callable[..., Any], model: Callable[..., Any] = model) -> Any:
    guide = kind(model)
    guide.init_loc_fn = init_to_value(values=START)
    return guide


KINDS = [
    autoguide.AutoNormal,
    autoguide.AutoDelta,
    autoguide.AutoMultivariateNormal,
    autoguide.AutoLaplaceApproximation,
    autoguide.AutoIAFNormal,
    autoguide.AutoDAIS,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_it_draws_and_scores_as_before(kind: Callable[..., Any]) -> None:
    """Same sites, same values, same densities, of guide and model, under jit as everywhere here."""

    def run(guide: Any) -> Any:
        def program(key: Any) -> Any:
            log_q, sites = log_density(seed(guide, key), (), {}, {})
            values = {name: site["value"] for name, site in sites.items() if site["type"] in ("sample", "param")}
            log_p, _ = log_density(guide.model, (), {}, START)
            return log_q, log_p, values

        return jax.jit(program)(jax.random.key(1))

    jax.tree.map(np.testing.assert_array_equal, run(made(kind)), run(set_up_cheaply(made(kind))))


def test_the_densities_are_computed_once_it_is_set_up_and_not_before() -> None:
    """Only the first look at the sites is at the model as it is; no mask is left on it afterwards."""
    masked: list[bool] = []

    def noted() -> None:
        model()
        masked.append(numpyro.get_mask() is False)

    guide = set_up_cheaply(made(autoguide.AutoNormal, noted))
    trace(seed(guide, jax.random.key(0))).get_trace()
    assert masked[0] is False
    assert all(masked[1:])
    assert len(masked) > 1
    masked.clear()
    trace(seed(guide, jax.random.key(0))).get_trace()
    log_density(guide.model, (), {}, START)
    assert not any(masked)
    assert all(
        site["type"] != "sample" or type(site["fn"]) is not dist.MaskedDistribution
        for site in guide.prototype_trace.values()
    )


def test_a_set_up_that_fails_leaves_no_mask() -> None:
    """The next attempt sees the model as it is."""
    broken = [True]

    def fragile() -> None:
        model()
        if broken:
            raise ValueError("not yet")

    guide = set_up_cheaply(made(autoguide.AutoNormal, fragile))
    with pytest.raises(ValueError, match="not yet"):
        trace(seed(guide, jax.random.key(0))).get_trace()
    broken.clear()
    trace(seed(guide, jax.random.key(0))).get_trace()
    assert not any(
        type(site["fn"]) is dist.MaskedDistribution
        for site in guide.prototype_trace.values()
        if site["type"] == "sample"
    )


def test_lists_and_functions_are_left_as_they_are() -> None:
    several = autoguide.AutoGuideList(model)
    before = several.model
    assert set_up_cheaply(several).model is before
    assert set_up_cheaply(model) is model
