r"""The ELBO of a guide under given noise, with its gradient: a smooth function, the same whenever it is asked.

.. math:: L(\theta) = \frac1M \sum_{m=1}^M \log q_\theta(z_\theta(\epsilon_m)) - \log p(y, z_\theta(\epsilon_m))

with the same :math:`\epsilon_1, \dots, \epsilon_M` in every evaluation (Giordano, Ingram & Broderick 2024, JMLR
25(18), arXiv:2304.05527; Burroni, Domke & Sheldon 2023, arXiv:2304.06803).  One program serves for every
:math:`M`: it computes a few draws at a time.  In a standardised frame it can leave the model out and look at a
standard normal in its place, so that a guide can be fitted to the Gaussian of the search at no cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Float64, Key
from numpyro.handlers import seed, trace
from numpyro.infer import SVI
from numpyro.infer.util import log_density

from guidebench.inference.arguments import Arguments
from guidebench.inference.coordinates import Frame
from guidebench.inference.density import TraceELBO, check_sites, draw_guide
from guidebench.inference.device.compiled import CACHED_VALUES, compile_for, level_for, once
from guidebench.inference.training.noise import Counted, Given
from guidebench.inference.training.results import MakeGuide, Params

#: Draws that one call of the program computes: at least, and at most, for a guide with many parameters to a coordinate.
AT_ONCE, MOST_AT_ONCE = 8, 64

#: A guide is Gaussian where its draws bend no more than this as their noise grows, relative to their spread.
STRAIGHT = 1e-5


class Base(NamedTuple):
    """The noise a guide is made of: which of its numbers a matrix mixes over coordinates, and whether these are all."""

    mixed: Bool[np.ndarray, " N"]
    complete: bool


class Evaluated(NamedTuple):
    """The loss at some draws: its mean, the gradient of this, minus the loss of each draw, and the parameters."""

    loss: Float[Array, ""]
    gradient: Float[Array, " K"]
    log_weights: Float[Array, " P"]
    params: Params


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """One guide on one model.

    Attributes
    ----------
    make_guide : callable
        Returns a fresh guide for a starting point.
    model, arguments
        What it is trained on.
    standard : bool
        Whether the latent sites are all real, and standardised.
    mixed : ndarray
        Of every standard normal number that a draw takes, whether a matrix of parameters mixes it over coordinates,
        shape ``(N,)``.
    """

    make_guide: MakeGuide
    model: Callable[..., Any]
    arguments: Arguments
    standard: bool
    mixed: Bool[np.ndarray, " N"]

    @property
    def size(self) -> int:
        """Standard normal numbers that a draw takes."""
        return len(self.mixed)

    def init(
        self, key: Key[Array, ""], start: Mapping[str, Any], noise: Float[Array, " N"], traced: Mapping[str, Any]
    ) -> tuple[Params, Float[Array, ""]]:
        """Return the first unconstrained parameters, and how much draws bend as their noise grows."""
        svi, params, args, kwargs = self._svi(key, start, traced)
        if not self.size:
            return params, jnp.zeros(())

        def at(times: Float[Array, ""]) -> Float[Array, " D"]:
            _, sites = draw_guide(key, svi.constrain_fn(params), Given(svi.guide, times * noise), args, kwargs)
            return jnp.concatenate([jnp.ravel(sites[name]["value"]) for name in start])

        none, once_, twice = jax.vmap(at)(jnp.arange(3.0))
        bend = jnp.max(jnp.abs(twice - 2 * once_ + none))
        return params, bend / jnp.max(jnp.abs(once_ - none))

    def evaluate(
        self,
        theta: Float[Array, " K"],
        noise: Float[Array, "P N"],
        plain: Bool[Array, ""],
        given: tuple[Key[Array, ""], Mapping[str, Any], Mapping[str, Any]],
    ) -> Evaluated:
        """Evaluate the loss at flat unconstrained parameters; where `plain`, against a standard normal."""
        key, start, traced = given
        svi, params, args, kwargs = self._svi(key, start, traced)
        _, unravel = ravel_pytree(params)

        def loss(theta: Float[Array, " K"]) -> tuple[Float[Array, ""], tuple[Float[Array, " P"], Params]]:
            constrained = svi.constrain_fn(unravel(theta))

            def log_weight(one: Float[Array, " N"]) -> Float[Array, ""]:
                return self._log_weight(one, plain, key, constrained, svi.guide, args, kwargs)

            weights = jax.vmap(log_weight)(noise)
            return -jnp.mean(weights), (weights, constrained)

        (value, (weights, constrained)), gradient = jax.value_and_grad(loss, has_aux=True)(theta)
        return Evaluated(value, gradient, weights, constrained)

    def _log_weight(
        self,
        noise: Float[Array, " N"],
        plain: Bool[Array, ""],
        key: Key[Array, ""],
        params: Params,
        guide: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Float[Array, ""]:
        log_q, guide_trace = draw_guide(key, params, Given(guide, noise), args, kwargs)
        sites = {name: site["value"] for name, site in guide_trace.items() if site["type"] == "sample"}

        def posterior(sites: Mapping[str, Any]) -> Float[Array, ""]:
            log_p, model_trace = log_density(seed(self.model, key), args, dict(kwargs), dict(sites))
            check_sites(model_trace, guide_trace)
            return jnp.asarray(log_p, log_q.dtype)

        def normal(sites: Mapping[str, Any]) -> Float[Array, ""]:
            own = [value for name, value in sites.items() if not guide_trace[name]["infer"].get("is_auxiliary")]
            return jnp.asarray(-sum(jnp.sum(value**2) for value in own) / 2, log_q.dtype)

        if not (self.standard and self.size):
            return posterior(sites) - log_q
        log_p: Float[Array, ""] = jax.lax.cond(plain, normal, posterior, sites)
        return log_p - log_q

    def _svi(
        self, key: Key[Array, ""], start: Mapping[str, Any], traced: Mapping[str, Any]
    ) -> tuple[SVI, Params, tuple[Any, ...], dict[str, Any]]:
        """Return a fresh SVI, the first unconstrained parameters, and the arguments of the model."""
        svi = SVI(self.model, self.make_guide(start), optax.sgd(1.0), TraceELBO())
        args, kwargs = self.arguments.call(self.model, traced)
        state = svi.init(key, *args, **kwargs)
        return svi, svi.optim.get_params(state.optim_state), args, kwargs


class Started(NamedTuple):
    """A guide before its first step.

    Attributes
    ----------
    evaluate : callable
        The compiled :meth:`Fixed.evaluate`, but for its last argument.
    points : ndarray
        The first parameters of every start, flat, shape ``(R, K)``.
    at_once : int
        Draws that a call takes.
    fixed : Fixed
        What was compiled.
    """

    evaluate: Callable[[Any, Any, Any], Evaluated]
    points: Float64[np.ndarray, "R K"]
    at_once: int
    fixed: Fixed


def base_noise(make_guide: MakeGuide, frame: Frame, key: Key[Array, ""]) -> Base:
    """Return the noise that a guide takes, found by tracing it."""
    found: list[Base] = []

    def look(start: Mapping[str, Any], traced: Mapping[str, Any]) -> None:
        args, kwargs = frame.arguments.call(frame.model, traced)
        counted = Counted(make_guide(start))
        trace(seed(counted, key)).get_trace(*args, **kwargs)
        found.append(Base(np.array(counted.mixed, bool), counted.complete))

    jax.eval_shape(look, frame.first(), dict(frame.arguments.arrays))
    return found[-1]


def start(make_guide: MakeGuide, frame: Frame, keys: Key[Array, " R"]) -> Started | None:
    """Initialise every restart and compile what evaluates any; ``None`` of a guide neither Gaussian nor a point.

    To be called in double precision.

    Parameters
    ----------
    make_guide : callable
        Returns a fresh guide for a starting point.
    frame : Frame
        What it is trained on, with its starting points.
    keys : array of PRNG keys
        One per restart, shape ``(R,)``.
    """
    base = base_noise(make_guide, frame, keys[0])
    standard, size = frame.kind != "own", len(base.mixed)
    if not base.complete or (size and not standard):
        return None
    fixed = Fixed(
        make_guide=make_guide, model=frame.model, arguments=frame.arguments, standard=standard, mixed=base.mixed
    )
    traced = dict(frame.arguments.arrays)
    noise = np.random.default_rng(0).standard_normal(size)
    params, bent = jax.device_get(
        once(jax.vmap(fixed.init, in_axes=(0, 0, None, None)), keys, frame.starts, noise, traced)
    )
    if not np.all(bent < STRAIGHT):
        return None
    points = _flat(params)
    at_once = draws_at_once(points.shape[1], size, frame.data_size)
    given = keys[0], frame.first(), traced
    program = compile_for(
        fixed.evaluate,
        points[0],
        np.zeros((at_once, size)),
        np.bool_(False),
        given,
        level=level_for(frame.arguments.size() + points.shape[1]),
    )
    return Started(lambda theta, noise, plain: program(theta, noise, plain, given), points, at_once, fixed)


def draws_at_once(parameters: int, size: int, data: int = 0) -> int:
    """Return how many draws a call computes: a power of two; one of a guide that is a point.

    Each call computes with every parameter once, whatever its draws, as with the D (D + 1) / 2 numbers of a matrix.  So
    it takes as many draws as have up to as many numbers as there are parameters, but for those that the data do not
    allow.

    Parameters
    ----------
    parameters : int
        Of the guide, K.
    size : int
        Numbers of a draw.
    data : int, optional
        Numbers of the data, with which every draw computes.
    """
    if not size:
        return 1
    most = min(parameters / size, CACHED_VALUES / max(data, 1), MOST_AT_ONCE)
    return int(max(2 ** int(np.log2(max(most, 1))), AT_ONCE))


def _flat(params: Params) -> Float64[np.ndarray, "R K"]:
    """Return parameters with leading axis R as rows, in the order of :func:`ravel_pytree`."""
    leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(params)]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)
