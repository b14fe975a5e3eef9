r"""Models that see a random part of the data at a time: their parts, and the whole.

A plate with a ``subsample_size`` shows the model B of its N elements and scales their log densities by
N / B.  Training draws such parts; everything else needs all elements, at once (:class:`Whole`) or block
by block (:func:`in_blocks`), so that memory is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray
from numpyro.distributions.transforms import biject_to
from numpyro.distributions.util import sum_rightmost
from numpyro.handlers import block, seed, trace
from numpyro.primitives import Messenger

from guidebench.inference.arguments import Arguments

#: Elements of a plate that are evaluated at a time where all of them would take too much memory.
BLOCK = 20_000

#: Numbers of the data beyond which they are evaluated block by block.
AT_ONCE = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Minibatches:
    """How a model subsamples.

    Attributes
    ----------
    model : callable
        The model as it was given.
    arguments : Arguments
        Its arguments in training.
    plates : mapping of str to (int, int)
        Size and subsample size of every plate that shows a part of its elements.
    local : tuple of str
        Latent sites inside of these plates.
    """

    model: Callable[..., Any]
    arguments: Arguments
    plates: Mapping[str, tuple[int, int]]
    local: tuple[str, ...] = ()

    @property
    def main(self) -> str:
        """The plate with the most elements."""
        return max(self.plates, key=lambda name: self.plates[name][0])

    def values_per_element(self) -> float:
        """Return how many numbers of the data there are for one element of the main plate."""
        return self.arguments.size() / self.plates[self.main][0]


def stratified(size: int, count: int, rng_key: PRNGKeyArray | None = None) -> Integer[Array, " {count}"]:
    r"""Draw `count` distinct elements out of `size`, each with the same probability, in O(count).

    One element is drawn from each of `count` strata of adjacent elements, which start at a random place
    of the circle of all elements: over these places each element is in the sample with probability
    count / size, so a sum scaled by size / count is unbiased.  NumPyro's own subsampling shuffles
    all elements for every draw.

    Parameters
    ----------
    size, count : int
        N and B, with B <= N.
    rng_key : array
        A PRNG key.
    """
    assert rng_key is not None
    edges = np.arange(count + 1, dtype=np.int64) * size // count
    within, shift = jax.random.split(rng_key)
    widths = jnp.asarray(np.diff(edges), jnp.int32)
    drawn = jnp.asarray(edges[:-1], jnp.int32) + jax.random.randint(within, (count,), 0, widths)
    # Kept below `size` before it is added: the sum of two 32-bit numbers must not overflow.
    room = size - jax.random.randint(shift, (), 0, size, dtype=jnp.int32)
    return jnp.where(drawn >= room, drawn - room, drawn + (size - room))


class Stratified(Messenger):  # type: ignore[misc]
    """Draw the elements of subsampled plates by :func:`stratified`."""

    def process_message(self, msg: dict[str, Any]) -> None:
        """Replace how a plate draws its elements."""
        if msg["type"] == "plate":
            msg["fn"] = stratified


class Whole(Messenger):  # type: ignore[misc]
    """Show a model all elements of every plate."""

    def process_message(self, msg: dict[str, Any]) -> None:
        """Give a plate all of its elements."""
        if msg["type"] == "plate":
            size = msg["args"][0]
            msg["args"], msg["value"] = (size, size), jnp.arange(size)


class Given(Messenger):  # type: ignore[misc]
    """Run a model at given values of all latent elements, on some elements of its plates.

    Parameters
    ----------
    model : callable
        The model.
    values : mapping
        Values by latent site, of all elements of every plate.
    indices : mapping
        Elements by plate; other plates show all of theirs.
    constrained : bool
        Whether the values are those of the sites themselves, or unconstrained ones.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        values: Mapping[str, Any],
        indices: Mapping[str, Any],
        *,
        constrained: bool = False,
    ) -> None:
        super().__init__(model)
        self.values, self.indices, self.constrained = values, indices, constrained
        self.log_jacobians: dict[str, jax.Array] = {}

    def process_message(self, msg: dict[str, Any]) -> None:
        """Choose the elements of a plate, and the values of a latent site at them."""
        if msg["type"] == "plate":
            size = msg["args"][0]
            chosen = self.indices.get(msg["name"])
            msg["value"] = jnp.arange(size) if chosen is None else chosen
            msg["args"] = (size, msg["value"].shape[0])
        elif msg["type"] == "sample" and not msg["is_observed"] and msg["name"] in self.values:
            value, axes = self.values[msg["name"]], len(msg["fn"].batch_shape)
            for frame in msg["cond_indep_stack"]:
                if frame.name in self.indices:
                    value = jnp.take(value, self.indices[frame.name], axis=axes + frame.dim)
            if self.constrained:
                msg["value"] = value
                return
            transform = biject_to(msg["fn"].support)
            msg["value"] = transform(value)
            log_jacobian = transform.log_abs_det_jacobian(value, msg["value"])
            self.log_jacobians[msg["name"]] = sum_rightmost(log_jacobian, jnp.ndim(log_jacobian) - axes)


def log_densities(
    minibatches: Minibatches,
    values: Mapping[str, Any],
    traced: Mapping[str, Any],
    indices: Mapping[str, Any],
    *,
    valid: Bool[Array, " B"] | None = None,
    plate: str = "",
    constrained: bool = False,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""Return the log density over latent values in two parts: of the sites outside of a plate, and of those inside.

    The scale N / B of a plate in `indices` is in both, unless it is `plate` itself: inside of that one the
    elements that are `valid` count once each.

    Parameters
    ----------
    minibatches : Minibatches
        The model and its arguments.
    traced : mapping
        What takes the place of the arguments that are traced.
    values, indices, constrained
        As for :class:`Given`.
    valid : array of bool, optional
        Which elements of `plate` count, shape ``(B,)``.
    plate : str
        The plate that is told apart.
    """
    args, kwargs = minibatches.arguments.call(minibatches.model, traced)
    given = Given(minibatches.model, values, indices, constrained=constrained)
    with block():  # whoever calls this from inside a NumPyro program must not see these sites
        sites = trace(seed(given, jax.random.key(0))).get_trace(*args, **kwargs)
    outside = inside = jnp.zeros(())
    for name, site in sites.items():
        if site["type"] != "sample":
            continue
        extra = (site["intermediates"],) if site["intermediates"] else ()
        density = site["fn"].log_prob(site["value"], *extra) + given.log_jacobians.get(name, 0.0)
        scale = 1.0 if site["scale"] is None else site["scale"]
        frames = [frame for frame in site["cond_indep_stack"] if frame.name == plate]
        if not frames:
            outside += jnp.sum(scale * density)
            continue
        axes = jnp.ndim(density)
        if valid is not None:
            shape = [1] * axes
            shape[frames[0].dim] = valid.shape[0]
            density = jnp.where(valid.reshape(shape), density, 0.0)
        inside += jnp.sum(density * (scale * (indices[plate].shape[0] / _size(sites, plate))))
    return outside, inside


def _size(sites: Mapping[str, Any], plate: str) -> int:
    return int(sites[plate]["args"][0])


def in_blocks(
    minibatches: Minibatches,
    values: Mapping[str, Any],
    traced: Mapping[str, Any],
    rows: int,
    *,
    constrained: bool = False,
) -> Float[Array, ""]:
    """Return the log density over latent values on all data, `rows` elements of the main plate at a time.

    Its gradient takes no more memory: what a block needs is computed again on the way back.
    """
    plate = minibatches.main
    size = minibatches.plates[plate][0]

    @jax.checkpoint
    def one(first: Integer[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        elements = first + jnp.arange(rows)
        chosen = {plate: jnp.minimum(elements, size - 1)}
        valid = elements < size
        return log_densities(minibatches, values, traced, chosen, valid=valid, plate=plate, constrained=constrained)

    def step(total: Float[Array, ""], first: Integer[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        outside, inside = one(first)
        return total + inside, outside

    total, outside = jax.lax.scan(step, jnp.zeros(()), jnp.arange(0, size, rows))
    return total + outside[0]


def on_a_part(
    minibatches: Minibatches, values: Mapping[str, Any], traced: Mapping[str, Any], key: PRNGKeyArray
) -> Float[Array, ""]:
    """Return an unbiased estimate of the log density over unconstrained values, from parts drawn by `key`."""
    keys = jax.random.split(key, len(minibatches.plates))
    indices = {
        name: stratified(size, count, one)
        for one, (name, (size, count)) in zip(keys, minibatches.plates.items(), strict=True)
    }
    outside, _ = log_densities(minibatches, values, traced, indices)
    return outside


def on_some(
    minibatches: Minibatches, values: Mapping[str, Any], traced: Mapping[str, Any], count: int
) -> Float[Array, ""]:
    """Return the log density over unconstrained values with `count` elements of the main plate for all of them."""
    plate = minibatches.main
    chosen = stratified(minibatches.plates[plate][0], count, jax.random.key(0))
    outside, _ = log_densities(minibatches, values, traced, {plate: chosen})
    return outside


def block_size(minibatches: Minibatches, values: Mapping[str, Any]) -> int:
    """Return how many elements of the main plate can be shown to the model at a time; 0 if it must be all.

    Most models show any number of elements; one that uses its subsample size in another place shows just that.
    """

    def takes(rows: int) -> bool:
        try:
            jax.eval_shape(lambda traced: in_blocks(minibatches, values, traced, rows), dict(arrays))
        except Exception:  # noqa: BLE001 - the question is whether the model takes it, not why not
            return False
        return True

    arrays = minibatches.arguments.arrays
    size, own = minibatches.plates[minibatches.main]
    return next((rows for rows in (min(BLOCK, size), own) if takes(rows)), 0)
