"""Starting points: the same one for every guide, one per restart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, Shaped
from numpyro.distributions.transforms import biject_to
from numpyro.handlers import block, seed, substitute, trace
from numpyro.infer import initialization
from numpyro.infer.util import initialize_model

from guidebench.config.errors import RequestError, opt
from guidebench.inference.arguments import Arguments
from guidebench.inference.device.compiled import once, soon
from guidebench.inference.rescoring import PACKED
from guidebench.inference.structure import ModelStructure
from guidebench.inference.target import Target

#: How often a starting point is drawn, at most, as NumPyro has it; and one of many sites by another strategy.
TRIES, TRIES_OF_MANY = 100, 20

#: Half of the width of uniform starting points, in unconstrained coordinates.
RADIUS = 2.0

STRATEGIES = ("uniform", "median", "feasible", "mean", "sample")


def strategy(text: str, structure: ModelStructure) -> Callable[..., Any]:
    """Return the NumPyro initialisation strategy that `text` names.

    Parameters
    ----------
    text : str
        ``uniform``, ``median``, ``feasible``, ``mean``, ``sample``, or ``value:SITE=X,SITE=X``.
        Values are those of the model's own (constrained) sites; a site that is not named starts
        uniformly.
    structure : ModelStructure
        Names the sites there are.

    Raises
    ------
    RequestError
        Where the strategy or a site is unknown or a value is not a number.
    """
    name, _, values = text.partition(":")
    if name in STRATEGIES and not values:
        return partial(getattr(initialization, f"init_to_{name}"))
    if name != "value" or not values:
        raise RequestError(
            f"{opt('init')} {text!r} is not known; choose one of {', '.join(STRATEGIES)}, value:SITE=X,SITE=X"
        )
    shapes = {site.name: site.shape for site in structure.latents}
    found = {}
    for pair in values.split(","):
        site, equals, number = pair.partition("=")
        if site not in shapes:
            raise RequestError(
                f"the model has no latent site {site!r}; its sites are {', '.join(shapes)}", option="init"
            )
        try:
            found[site] = jnp.broadcast_to(jnp.asarray(float(number)), shapes[site])
        except ValueError:
            raise RequestError(f"{pair!r} is not SITE=NUMBER{'' if equals else ' (no =)'}", option="init") from None
    return partial(initialization.init_to_value, values=found)


def starting_at(values: Mapping[str, Any]) -> Callable[..., Any]:
    """Return the strategy that starts at values of all elements, or at the first of them where a plate shows some.

    Parameters
    ----------
    values : mapping
        By latent site.
    """
    return partial(_of_shown, values=dict(values))  # NumPyro looks into the partial


def _of_shown(site: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    value = initialization.init_to_value(site, values=dict(values))
    if site["type"] != "sample" or value is None:
        return value
    for frame in site["cond_indep_stack"]:
        value = jnp.take(value, jnp.arange(frame.size), axis=len(site["fn"].batch_shape) + frame.dim)
    return value


def starting_points(
    keys: Key[Array, " R"],
    model: Callable[..., Any],
    arguments: Arguments,
    init: Callable[..., Any],
) -> StartingPoints:
    """Return one starting point of a strategy per key.

    NumPyro tries up to 100 draws of it until the log joint density and its gradient are finite; how many it tried, it
    does not say, and one of each is counted.
    """

    def find(key: Key[Array, ""], traced: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], Bool[Array, ""]]:
        args, kwargs = arguments.call(model, traced)
        found = initialize_model(key, model, init_strategy=init, model_args=args, model_kwargs=kwargs)
        start = found.param_info
        values = found.postprocess_fn(start.z)
        finite = jnp.isfinite(start.potential_energy)
        for gradient in jax.tree.leaves(start.z_grad):
            finite &= jnp.all(jnp.isfinite(gradient))
        return {name: values[name] for name in start.z}, dict(start.z), finite

    values, unconstrained, valid = jax.device_get(once(jax.vmap(find, in_axes=(0, None)), keys, dict(arguments.arrays)))
    return StartingPoints(values, unconstrained, valid, len(keys))


def starting_points_of_many(
    keys: Key[Array, " R"],
    finite_at: FiniteAt,
    model: Callable[..., Any],
    arguments: Arguments,
    init: Callable[..., Any],
) -> StartingPoints:
    """Return what :func:`starting_points` does where latent sites are so many that NumPyro's own search takes minutes.

    A point that is not valid is drawn anew, :data:`TRIES_OF_MANY` times at most.
    """
    target = finite_at.target

    def find(key: Key[Array, ""], traced: Mapping[str, Any]) -> dict[str, Array]:
        args, kwargs = arguments.call(model, traced)
        with block():
            sites = trace(substitute(seed(model, key), substitute_fn=init)).get_trace(*args, **kwargs)
        return {name: biject_to(sites[name]["fn"].support).inv(sites[name]["value"]) for name in target.shapes}

    def draw(attempt: int) -> np.ndarray:
        fresh = jax.vmap(lambda key: jax.random.fold_in(key, attempt))(keys)
        return target.flatten(jax.device_get(jax.vmap(find, in_axes=(0, None))(fresh, dict(arguments.arrays))))

    return _drawn_until_valid(draw, TRIES_OF_MANY, finite_at)


def prior_points(
    keys: Key[Array, " R"], target: Target, model: Callable[..., Any], arguments: Arguments
) -> Float[np.ndarray, "_ D"]:
    """Return one draw from the prior per key in unconstrained coordinates, those that are finite.

    An improper site is drawn as ``init_to_uniform`` draws it.  Nothing is asked of the density there.

    Parameters
    ----------
    keys : array
        Shape ``(R,)``.
    target : Target
        Names the latent sites.
    model, arguments
        What is drawn from.
    """

    def find(key: Key[Array, ""], traced: Mapping[str, Any]) -> dict[str, Array]:
        args, kwargs = arguments.call(model, traced)
        drawn = substitute(seed(model, key), substitute_fn=initialization.init_to_sample)
        with block():
            sites = trace(drawn).get_trace(*args, **kwargs)
        return {name: biject_to(sites[name]["fn"].support).inv(sites[name]["value"]) for name in target.shapes}

    run = jax.vmap(find, in_axes=(0, None))
    given = keys, dict(arguments.arrays)
    # Operation by operation where sites are many: each is compiled once for all of them.
    points = target.flatten(jax.device_get(run(*given) if target.many else once(run, *given)))
    return np.asarray(points[np.isfinite(points).all(axis=1)])


class FiniteAt:
    """Says of points whether target and gradient are finite there; one compiled program for so many at a time.

    `computed` counts the gradients so far, those that only fill a batch up among them.

    Parameters
    ----------
    target : Target
        The posterior.
    count : int
        Points at a time.
    """

    def __init__(self, target: Target, count: int) -> None:
        self.target, self.count, self.computed = target, count, 0
        self._arrays = dict(target.arguments.arrays)
        like = jax.ShapeDtypeStruct((count, target.dim), jnp.result_type(float))
        self._program = soon(jax.vmap(self._at, in_axes=(0, None)), like, self._arrays, level=0)

    def __call__(
        self, points: Float[np.ndarray, "R D"]
    ) -> tuple[dict[str, Shaped[np.ndarray, "R ..."]], Bool[np.ndarray, " R"]]:
        """Return the latent sites at unconstrained points, shape ``(R, D)``, and where both are finite."""
        asked = np.asarray(points, jnp.result_type(float))
        filled = np.concatenate([asked, np.repeat(asked[-1:], -len(asked) % self.count, axis=0)])
        parts = [
            jax.device_get(self._program(filled[first : first + self.count], self._arrays))
            for first in range(0, len(filled), self.count)
        ]
        self.computed += len(filled)
        values, finite = jax.tree.map(lambda *each: np.concatenate(each)[: len(asked)], *parts)
        return self.target.unpack(values[PACKED]) if self.target.many else values, finite

    def _at(self, flat: Float[Array, " D"], traced: Mapping[str, Any]) -> tuple[dict[str, Any], Bool[Array, ""]]:
        target = self.target
        value, gradient = jax.value_and_grad(target.log_density)(flat, traced)
        values = {PACKED: target.packed(flat, traced)[0]} if target.many else target.constrain(flat, traced)[0]
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
        for latent in values.values():
            finite &= jnp.all(jnp.isfinite(latent))
        return values, finite


class StartingPoints(NamedTuple):
    """One starting point per restart.

    Attributes
    ----------
    values : dict of str to array
        Per latent site in the model's own coordinates, leading axis R.
    unconstrained : dict of str to array
        The same in unconstrained coordinates.
    valid : array of bool
        Whether the density and its gradient are finite there, shape ``(R,)``.
    gradients : int
        How many were computed, as far as that is known.
    """

    values: dict[str, Shaped[np.ndarray, "R ..."]]
    unconstrained: dict[str, Shaped[np.ndarray, "R ..."]]
    valid: Bool[np.ndarray, " R"]
    gradients: int


def uniform_points(seeds: Sequence[int], finite_at: FiniteAt) -> StartingPoints:
    """Return points that are uniform(-2, 2) in unconstrained coordinates, as NumPyro's ``init_to_uniform`` draws them.

    A point that is not valid is drawn anew, :data:`TRIES` times at most.

    Parameters
    ----------
    seeds : sequence of int
        One per restart.
    finite_at : FiniteAt
        Says what is valid.
    """
    streams = [np.random.default_rng(seed) for seed in seeds]

    def draw(_: int) -> np.ndarray:
        drawn = [stream.uniform(-RADIUS, RADIUS, finite_at.target.dim) for stream in streams]
        return np.asarray(drawn, jnp.result_type(float))

    return _drawn_until_valid(draw, TRIES, finite_at)


def _drawn_until_valid(
    draw: Callable[[int], Float[np.ndarray, "R D"]], tries: int, finite_at: FiniteAt
) -> StartingPoints:
    """Return points in unconstrained coordinates, each of the first attempt at which it is valid, or of the last."""
    before, points = finite_at.computed, draw(0)
    values, valid = finite_at(points)
    for attempt in range(1, tries):
        if valid.all():
            break
        points = np.where(valid[:, None], points, draw(attempt))
        values, valid = finite_at(points)
    return StartingPoints(values, finite_at.target.split(points), valid, finite_at.computed - before)
