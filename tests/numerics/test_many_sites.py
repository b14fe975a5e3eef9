"""Latent sites by the hundred: the same posterior as one by one, in a program that does not grow with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from jax.extend.core import jaxpr_as_fun
from numpyro.handlers import seed
from numpyro.infer.util import constrain_fn, log_density, potential_energy

import guidebench as gb
from guidebench.inference import bundles, lanes
from guidebench.inference.arguments import Arguments
from guidebench.inference.coordinates import Affine, standardised
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target
from guidebench.inference.unconstrained import Unconstrain

SITES = bundles.MANY + 4


def alike(s: Any, y: Any) -> None:
    sites = [numpyro.sample(f"b{at}", dist.Normal(0.0, 1.0)) for at in range(len(s))]
    with numpyro.plate("n", len(s)):
        numpyro.sample("y", dist.Normal(jnp.stack(sites), s), obs=y)


def mixed(s: Any, y: Any) -> None:
    """Sites of several kinds and shapes, of which some have parameters of their own, or depend on others."""
    tau = numpyro.sample("tau", dist.HalfNormal(2.0))
    total = jnp.zeros(())
    for at in range(SITES // 4):
        a = numpyro.sample(f"a{at}", dist.Normal(0.1 * at, tau))
        rate = numpyro.sample(f"rate{at}", dist.Gamma(1.0 + at, 2.0))
        share = numpyro.sample(f"share{at}", dist.Dirichlet(jnp.array([1.0, 2.0, 1.0 + at])))
        total += a * rate + share[1]
        numpyro.sample(f"seen{at}", dist.Normal(a, s[at]), obs=y[at])
    with numpyro.handlers.scale(scale=2.0):
        c = numpyro.sample("c", dist.Normal(-1.0, 3.0))
    d = [numpyro.sample(f"d{at}", dist.Uniform(-1.0, 3.0)) for at in range(3)]
    numpyro.sample("e", dist.LogNormal(0.0, 1.0).expand([2]).to_event(1))
    numpyro.sample("z", dist.Normal(total + c + jnp.stack(d[::-1]).sum(), 1.0), obs=0.3)


def target_of(model: Callable[..., Any], count: int = SITES) -> Target:
    rng = np.random.default_rng(3)
    values = {"s": rng.uniform(0.2, 2, count).astype(np.float32), "y": rng.normal(size=count).astype(np.float32)}
    arguments = Arguments.split(model, values)
    return Target.of(model, arguments, inspect_model(model, arguments))


@pytest.mark.parametrize("model", [alike, mixed])
def test_density_gradient_and_values_are_those_of_numpyro(model: Callable[..., Any]) -> None:
    target = target_of(model)
    assert target.many
    traced = dict(target.arguments.arrays)
    args, kwargs = target.arguments.call(model, traced)
    point = jnp.asarray(0.7 * np.random.default_rng(0).standard_normal(target.dim), jnp.float32)

    def plain(flat: Any) -> Any:
        return -potential_energy(seed(model, 0), args, kwargs, target.split(flat))

    value, gradient = jax.value_and_grad(target.log_density)(point, traced)
    true, true_gradient = jax.value_and_grad(plain)(point)
    np.testing.assert_allclose(value, true, rtol=2e-6)
    np.testing.assert_allclose(gradient, true_gradient, rtol=2e-4, atol=2e-4)

    sites, log_jacobian = target.constrain(point, traced)
    expected = constrain_fn(seed(model, 0), args, kwargs, target.split(point))
    assert sites.keys() == target.shapes.keys()
    for name, one in sites.items():
        np.testing.assert_allclose(one, expected[name], rtol=1e-5)
    joint = log_density(seed(model, 0), args, kwargs, sites)[0]
    np.testing.assert_allclose(target.joint(sites, traced), joint, rtol=2e-6)
    np.testing.assert_allclose(log_jacobian, true - joint, rtol=1e-4, atol=1e-4)


def test_values_leave_in_one_vector_and_come_back() -> None:
    target = target_of(mixed)
    traced = dict(target.arguments.arrays)
    points = 0.7 * np.random.default_rng(1).standard_normal((5, target.dim)).astype(np.float32)
    rows = np.asarray(jax.vmap(lambda point: target.packed(point, traced)[0])(points))
    sites = target.unpack(rows)
    by_name = jax.vmap(lambda point: target.constrain(point, traced)[0])(points)
    for name in target.shapes:
        np.testing.assert_allclose(sites[name], by_name[name], rtol=1e-6)
    np.testing.assert_array_equal(target.pack(sites), rows)
    np.testing.assert_allclose(Unconstrain(target)(sites), points, rtol=1e-3, atol=1e-3)


def test_the_program_of_a_gradient_does_not_grow_with_sites_that_are_alike() -> None:
    def steps(count: int) -> int:
        target = target_of(alike, count)
        gradient = jax.make_jaxpr(jax.grad(target.log_density))(jnp.zeros(count), dict(target.arguments.arrays))
        return len(gradient.jaxpr.eqns)

    assert steps(2 * SITES) == steps(SITES) < 60


def test_guides_are_shown_one_site_in_the_place_of_many() -> None:
    target = target_of(mixed)
    affine = Affine(center=np.full(target.dim, 0.2), factor=np.full(target.dim, 0.5))
    frame = standardised(target, affine, np.zeros((2, target.dim)))
    assert {name: value.shape for name, value in frame.starts.items()} == {"latents": (2, target.dim)}
    assert frame.to_latents is not None
    assert frame.packing is not None
    shown = {"latents": jnp.linspace(-1, 1, target.dim)}
    traced = dict(frame.arguments.arrays)
    sites, log_jacobian = frame.to_latents(shown, traced)
    vector, the_same = frame.packing.pack(shown, traced)
    np.testing.assert_allclose(log_jacobian, the_same, rtol=1e-6)
    for name, one in frame.packing.unpack(np.asarray(vector)[None]).items():
        np.testing.assert_allclose(one[0], sites[name], rtol=1e-6)


def test_few_sites_are_left_as_they_are() -> None:
    assert not target_of(alike, bundles.MANY).many


def test_rows_that_are_stacked_in_their_order_are_a_part_of_their_array() -> None:
    def run(x: Any) -> tuple[Any, ...]:
        rows = jnp.unstack(x)
        picked = [x[at] for at in range(1, 4)]
        return (
            jnp.stack(rows),
            jnp.array(rows[2:5]),
            jnp.stack(picked),
            jnp.stack(rows[::-1]),
            jnp.stack([rows[0], 2 * rows[1]]),
            rows[3],
        )

    x = jnp.arange(6.0) ** 2
    closed = jax.make_jaxpr(run)(x)
    whole = lanes.whole(closed)
    names = [step.primitive.name for step in whole.jaxpr.eqns]
    assert len(names) < len(closed.jaxpr.eqns)
    assert sum(name in ("stack", "concatenate") for name in names) == 2  # those in another order, or changed
    for found, expected in zip(jaxpr_as_fun(whole)(x), run(x), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_sites_one_by_one_end_where_the_exact_posterior_is() -> None:
    rng = np.random.default_rng(5)
    s, y = rng.uniform(0.3, 2, SITES).astype(np.float32), rng.normal(size=SITES).astype(np.float32)
    with pytest.warns(UserWarning, match="one in a plate"):
        compared = gb.compare(alike, s, y=y, guides=["auto_normal", "mean_field"], reference="none", steps=1000)
    sd = (1 + s**-2.0) ** -0.5
    for fit in compared.fits:
        assert fit.verdict == "trust"
        for at in range(SITES):
            assert fit.value("mean", f"b{at}") == pytest.approx(y[at] / s[at] ** 2 * sd[at] ** 2, abs=0.1 * sd[at])
            assert fit.value("sd", f"b{at}") == pytest.approx(sd[at], rel=0.1)
