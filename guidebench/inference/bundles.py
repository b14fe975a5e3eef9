"""Many latent sites that are alike, computed together: one operation for all of them in the place of one for each.

A model with three hundred statements ``numpyro.sample(f"b{i}", dist.Normal(0, 1))`` is a program of fifty operations
for each, which takes minutes to compile and a hundred times as long to run as the same in a plate.  Sites of one shape
and support are constrained together, and priors of one class have their densities computed together, each with
parameters of its own, and so are observations: the function is the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions.transforms import biject_to
from numpyro.handlers import block, seed, substitute, trace

#: Latent sites beyond which those that are alike are computed together.
MANY = 32


class Bundle(NamedTuple):
    """Latent sites that are alike.

    Attributes
    ----------
    names : tuple of str
        G of them.
    free, own : ndarray
        Where the coordinates of each are among the unconstrained ones, and where its values are among those of all
        sites, shape ``(G, size)``.
    shape, own_shape : tuple of int
        Of the unconstrained value of one, and of its own value.
    support : Constraint
        The support of each.
    """

    names: tuple[str, ...]
    free: np.ndarray
    own: np.ndarray
    shape: tuple[int, ...]
    own_shape: tuple[int, ...]
    support: Any


def bundles(
    shapes: Mapping[str, tuple[int, ...]], own: Mapping[str, tuple[int, ...]], supports: Mapping[str, Any]
) -> list[Bundle]:
    """Return the bundles of sites, in the order of their first ones.

    Parameters
    ----------
    shapes, own : mapping of str to tuple
        Unconstrained shape of every latent site, in the order of the model, and the shape of its own value.
    supports : mapping
        The support of each.
    """
    found: dict[Hashable, list[str]] = {}
    for name, shape in shapes.items():
        leaves, structure = jax.tree.flatten(supports[name])
        found.setdefault((shape, own[name], structure, *map(_same, leaves)), []).append(name)
    free_places, own_places = _places(shapes), _places(own)
    return [
        Bundle(
            tuple(names),
            np.stack([free_places[name] for name in names]),
            np.stack([own_places[name] for name in names]),
            shapes[names[0]],
            own[names[0]],
            supports[names[0]],
        )
        for names in found.values()
    ]


def _places(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return where the numbers of each site are in a vector of all of them."""
    places, begin = {}, 0
    for name, shape in shapes.items():
        places[name] = np.arange(begin, begin + prod(shape))
        begin += prod(shape)
    return places


def _same(leaf: Any) -> Hashable:
    """Return what two parameters that are one and the same have in common."""
    if isinstance(leaf, (int, float)):
        return float(leaf)
    return id(leaf)


def _taken(vector: Array, places: np.ndarray, shape: tuple[int, ...]) -> Array:
    """Return the numbers of one vector at places ``(G, size)``, in the shape ``(G, *shape)``."""
    at = places.ravel()
    in_a_row = len(at) > 0 and np.array_equal(at, np.arange(at[0], at[0] + len(at)))
    part = vector[int(at[0]) : int(at[0]) + len(at)] if in_a_row else vector[at]
    return jnp.reshape(part, (len(places), *shape))


def _joined(parts: list[Array], places: list[np.ndarray]) -> Array:
    """Return the vector of which parts are at places."""
    order = np.concatenate([one.ravel() for one in places])
    vector = jnp.concatenate([jnp.ravel(part) for part in parts])
    return vector if np.array_equal(order, np.arange(len(order))) else vector[np.argsort(order)]


def packed(known: list[Bundle], flat: Float[Array, " D"]) -> tuple[Float[Array, " N"], Float[Array, ""]]:
    """Return the values of all sites in one vector at a point of unconstrained coordinates, and the log Jacobian."""
    log_jacobian, parts = jnp.zeros((), flat.dtype), []
    for one in known:
        free, transform = _taken(flat, one.free, one.shape), biject_to(one.support)
        parts.append(transform(free))
        log_jacobian += jnp.sum(transform.log_abs_det_jacobian(free, parts[-1]))
    return _joined(parts, [one.own for one in known]), log_jacobian


def unpacked(known: list[Bundle], vector: Float[Array, " N"]) -> dict[str, Array]:
    """Return values of all sites by name from one vector."""
    sites: dict[str, Array] = {}
    for one in known:
        sites.update(zip(one.names, jnp.unstack(_taken(vector, one.own, one.own_shape)), strict=True))
    return sites


def unconstrained(known: list[Bundle], vector: Float[Array, " N"]) -> Float[Array, " D"]:
    """Return the unconstrained coordinates of values of all sites in one vector: the inverse of :func:`packed`."""
    parts = [biject_to(one.support).inv(_taken(vector, one.own, one.own_shape)) for one in known]
    return _joined(parts, [one.free for one in known])


def log_joint(
    model: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], sites: Mapping[str, Any]
) -> Float[Array, ""]:
    """Return log p(y, theta) of a model at values of its latent sites, in nats.

    Parameters
    ----------
    model : callable
        Without control flow, subsampling or discrete latent sites.
    args, kwargs
        Its arguments.
    sites : mapping
        The values by name.
    """
    with block():  # whoever calls this from inside a NumPyro program must not see these sites
        found = trace(substitute(seed(model, jax.random.key(0)), dict(sites))).get_trace(*args, **kwargs)
    alike: dict[Hashable, list[Any]] = {}
    for name, site in found.items():
        if site["type"] == "sample":
            leaves, structure = jax.tree.flatten(site["fn"])
            shapes = [(jnp.shape(leaf), str(jnp.result_type(leaf))) for leaf in (*leaves, site["value"])]
            # Of one with a scale or intermediate values the density is its own.
            own = name if site["scale"] is not None or site["intermediates"] else ""
            alike.setdefault((own, structure, *shapes), []).append(site)
    return sum((_density(sites) for sites in alike.values()), start=jnp.zeros(()))


def _density(sites: list[Any]) -> Float[Array, ""]:
    """Return the log density of sites that are alike."""
    first = sites[0]
    if len(sites) > 1:
        return _together([site["fn"] for site in sites], [site["value"] for site in sites])
    given = (first["intermediates"],) if first["intermediates"] else ()
    density = first["fn"].log_prob(first["value"], *given)
    return jnp.sum(density if first["scale"] is None else first["scale"] * density)


def _together(priors: list[Any], values: list[Any]) -> Float[Array, ""]:
    """Return the sum of the log densities of distributions of one kind, each at its own value."""
    structure = jax.tree.structure(priors[0])
    columns = list(zip(*(jax.tree.leaves(prior) for prior in priors), strict=True))
    shared = [len({_same(leaf) for leaf in column}) == 1 for column in columns]
    leaves = [column[0] if one else _column(column) for column, one in zip(columns, shared, strict=True)]

    def one(parameters: list[Any], value: Any) -> Float[Array, ""]:
        return jnp.sum(jax.tree.unflatten(structure, parameters).log_prob(value))

    axes = [None if same else 0 for same in shared]
    return jnp.sum(jax.vmap(one, in_axes=(axes, 0))(leaves, _column(values)))


def _column(leaves: Iterable[Any]) -> Any:
    """Return numbers or arrays in one array; what is known already is no operation of the program."""
    known = list(leaves)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in known):
        return jnp.stack([jnp.asarray(leaf) for leaf in known])
    return jnp.asarray(np.stack([np.asarray(leaf) for leaf in known]))


def supports(
    model: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    """Return the support of every latent site; none may depend on another latent site.

    Parameters
    ----------
    model, args, kwargs
        The model and its arguments.
    shapes : mapping of str to tuple
        The shape of every latent site's own values, which are drawn from nothing.
    """
    placeholders = {name: jnp.ones(shape) for name, shape in shapes.items()}
    with block():
        sites = trace(substitute(seed(model, jax.random.key(0)), placeholders)).get_trace(*args, **kwargs)
    return {name: sites[name]["fn"].support for name in shapes}
