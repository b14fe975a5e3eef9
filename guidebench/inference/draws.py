"""Drawing from a trained guide and scoring the draws.

Every guide goes through this one estimator, whatever it was trained with.  Densities are evaluated
on the device; what becomes of them (ELBO, weights) is reduced in float64 on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Key, Shaped

from guidebench.inference.again import Again, noise_of
from guidebench.inference.coordinates import Frame
from guidebench.inference.density import draw, draw_guide
from guidebench.inference.device.compiled import Soon, level_for, over_draws, soon, split, values_soon
from guidebench.inference.device.precision import as_double, chosen, double
from guidebench.inference.rescoring import PACKED, LogJoint
from guidebench.inference.rounding import PROBED, Rounding, rounding_of
from guidebench.inference.structure import ModelStructure
from guidebench.inference.subsampling import Whole
from guidebench.inference.train import MakeGuide, Params
from guidebench.results.work import NOTHING, Work, total


@dataclass(frozen=True, kw_only=True)
class Draws:
    """S draws from one guide.

    Attributes
    ----------
    log_p, log_q : ndarray
        log p(y, theta) and log q(theta) in nats, float64, shape ``(S,)``.
    latents : dict
        Values of the model's latent sites, each of shape ``(S, ...)``; no auxiliary sites.
    work : Work
        What it took to draw and score them; nothing of draws that are a part of others.
    """

    log_p: Float64[np.ndarray, " S"]
    log_q: Float64[np.ndarray, " S"]
    latents: dict[str, Shaped[np.ndarray, "S ..."]]
    work: Work = NOTHING

    @property
    def log_weights(self) -> Float64[np.ndarray, " S"]:
        """log p(y, theta) - log q(theta), shape ``(S,)``."""
        with np.errstate(invalid="ignore"):  # what is not finite is looked for where it matters
            return np.asarray(self.log_p - self.log_q)

    def head(self, count: int) -> Draws:
        """Return the first draws; where there are more, in arrays of their own, so that these can be let go of."""
        latents = {name: value[:count].copy() if len(value) > count else value for name, value in self.latents.items()}
        return Draws(log_p=self.log_p[:count], log_q=self.log_q[:count], latents=latents)

    @classmethod
    def concatenate(cls, batches: Sequence[Draws]) -> Draws:
        """Return the draws of all batches as one."""
        return cls(
            log_p=np.concatenate([one.log_p for one in batches]),
            log_q=np.concatenate([one.log_q for one in batches]),
            latents={name: np.concatenate([one.latents[name] for one in batches]) for name in batches[0].latents},
            work=total(one.work for one in batches),
        )

    def constant_sites(self) -> tuple[str, ...]:
        """Return the sites that are the same in every draw.

        Single components may be constant by construction: the zeros of a Cholesky factor.
        """
        return tuple(
            name for name, value in self.latents.items() if len(value) > 1 and value.size and np.all(value == value[:1])
        )


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How the densities of draws are found where the data are many, or shown in parts, and in which precision.

    Attributes
    ----------
    log_joint : callable, optional
        log p(y, theta) of draws in float64; the guide is then run without the model.
    whole : bool
        Show the guide all elements of every plate.
    x64 : bool
        Draw and score in float64, whatever precision is around it.
    exact : mapping, optional
        The traced arguments for float64, where more digits of them are known than those that were trained on hold.
    """

    log_joint: LogJoint | None = None
    whole: bool = False
    x64: bool = False
    exact: Mapping[str, Any] | None = None

    @property
    def alone(self) -> bool:
        """Whether the guide is run without the model."""
        return self.log_joint is not None


#: All of it by the one program that draws.
AT_ONCE = Scoring()


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """A program that draws from one guide, given parameters; a thread compiles it while Python goes on.

    `own` is what each call costs beside the densities of the draws; `again` returns the program that scores the first
    draws once more in float64, given parameters, keys and what was random in them, and is traced where it is asked for.
    """

    program: Soon
    again: Callable[[], Soon]
    exact: Mapping[str, Any]
    traced: Mapping[str, Any]
    start: Mapping[str, Any]
    sites: tuple[str, ...]
    count: int
    scoring: Scoring
    own: Work = NOTHING
    unpack: Callable[[np.ndarray], dict[str, np.ndarray]] | None = None

    def __call__(
        self, params: Params, key: Key[Array, ""], *, keep_latents: bool = True, most: int | None = None
    ) -> Draws:
        """Draw with the parameters of one restart, leaving the latents behind unless they are kept.

        Where each density costs much, only the first so many draws are returned.
        """
        with chosen(self.scoring.x64):
            given = _in_precision(self.scoring, params)
            found, _ = self.program(given, split(key, self.count), self.start, self.traced)
        draws = self._scored(found, most)
        return draws if keep_latents else replace(draws, latents={})

    def rounding(self, params: Params, key: Key[Array, ""]) -> Rounding:
        """Return what float32 costs the weights of the first draws with that key; nothing where it is not used."""
        if not jax.tree.leaves(self.program.shapes[1]):
            return Rounding(0.0, 0)
        again = self.again()
        found, noise = self.program(params, split(key, self.count), self.start, self.traced)
        few = jax.tree.map(lambda value: np.asarray(value)[:PROBED], found)
        single = self._scored(few, None).log_weights
        with double():
            keys = split(key, self.count)[:PROBED]
            found, _ = again(as_double(params), (keys, as_double(noise)), as_double(self.start), self.exact)
        return rounding_of(single, self._scored(found, None).log_weights)

    def _scored(self, found: Any, most: int | None) -> Draws:
        log_p, log_q, log_jacobian, latents = found
        values = latents if self.unpack is None else self.unpack(np.asarray(latents[PACKED]))
        # In the order of the model; JAX sorts by name.
        sites = {name: np.asarray(values[name])[: most if self.scoring.alone else None] for name in self.sites}
        # Both densities are over the model's own latents; their difference keeps all its bits.
        shift = np.asarray(log_jacobian, np.float64)
        own = np.asarray(log_q, np.float64) - shift
        if self.scoring.log_joint is not None:
            precise = self.scoring.log_joint(sites)
            work = self.own + Work(densities=self.scoring.log_joint.lanes(len(precise)))
            return Draws(log_p=precise, log_q=own[: len(precise)], latents=sites, work=work)
        work = self.own + Work(densities=len(own))
        return Draws(log_p=np.asarray(log_p, np.float64) - shift, log_q=own, latents=sites, work=work)


def _in_precision(scoring: Scoring, values: Any) -> Any:
    return as_double(values) if scoring.x64 else values


def _double_shape(one: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(one.shape, np.float64) if jnp.issubdtype(one.dtype, jnp.floating) else one


def guide_to_draw_from(
    guide: Callable[..., Any],
    params: Params,
    model: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    to_draw_from: Callable[[Any, Params], Any] | None,
) -> Callable[..., Any]:
    """Return a fresh guide, or what its declaration draws from instead of it."""
    if to_draw_from is None:
        return guide
    # A first run sets the guide up; its values do not matter.
    draw(jax.random.key(0), params, model, guide, args, kwargs)
    chosen: Callable[..., Any] = to_draw_from(guide, params)
    return chosen


def make_sampler(
    make_guide: MakeGuide,
    frame: Frame,
    structure: ModelStructure,
    *,
    params: Params,
    count: int,
    to_draw_from: Callable[[Any, Params], Any] | None = None,
    scoring: Scoring = AT_ONCE,
) -> Sampler:
    """Compile the drawing of `count` samples for parameters shaped like `params`.

    Parameters
    ----------
    make_guide : callable
        As for :func:`guidebench.inference.train.train`.
    frame : Frame
        The model as the guide is shown it, with a valid starting point for the shapes of a fresh guide.
    structure : ModelStructure
        Names the latent sites.
    params : dict
        Parameters of one restart.
    count : int
        Number of draws.
    to_draw_from : callable, optional
        ``to_draw_from(guide, params)`` returns the guide to draw from instead of the trained one.  It counts as a
        Hessian for each call, which is what Laplace's approximation takes.
    scoring : Scoring, optional
        How the densities of the draws are found.
    """
    program = _program(make_guide, frame, structure, to_draw_from, scoring)
    level = min(level_for(frame.arguments.size() + sum(map(np.size, jax.tree.leaves(params)))), 1)
    exact = dict(frame.arguments.arrays if scoring.exact is None else scoring.exact)
    with chosen(scoring.x64):
        traced = exact if scoring.x64 else dict(frame.arguments.arrays)
        start, given = _in_precision(scoring, frame.first()), _in_precision(scoring, params)
        first = values_soon(program, given, split(jax.random.key(0), count), start, traced, level=level)

    @cache
    def again() -> Soon:
        with double():
            keys = jax.ShapeDtypeStruct((min(PROBED, count),), jax.random.key(0).dtype)
            noise = jax.tree.map(_double_shape, first.shapes[1])
            given = as_double(params), (keys, noise), as_double(frame.first()), exact
            return soon(partial(program, repeated=True), *given, level=0)

    return Sampler(
        program=first,
        again=again,
        exact=exact,
        traced=traced,
        start=start,
        sites=tuple(site.name for site in structure.latents),
        count=count,
        scoring=scoring,
        unpack=None if frame.packing is None else frame.packing.unpack,
        own=Work() if to_draw_from is None else Work(gradients=structure.latent_dim, densities=1),
    )


def _program(
    make_guide: MakeGuide,
    frame: Frame,
    structure: ModelStructure,
    to_draw_from: Callable[[Any, Params], Any] | None,
    scoring: Scoring,
) -> Callable[..., Any]:
    """Return the program that draws and scores, with what was random in the first draws where it runs in float32."""
    packing = frame.packing
    model, arguments, alone = frame.model, frame.arguments, scoring.alone
    names = tuple(site.name for site in structure.latents)
    size = (0 if alone else arguments.size()) + structure.latent_dim

    def program(
        params: Params, draws: Any, start: Mapping[str, Any], traced: Mapping[str, Any], *, repeated: bool = False
    ) -> Any:
        args, kwargs = arguments.call(model, traced)
        guide = guide_to_draw_from(make_guide(start), params, model, args, kwargs, to_draw_from)
        if scoring.whole:
            guide = Whole(guide)

        def by_guide(given: Any) -> tuple[Float[Array, ""], Float[Array, ""], Mapping[str, Any], Mapping[str, Any]]:
            key, run = (given[0], Again(guide, given[1])) if repeated else (given, guide)
            if alone:
                log_q, sites = draw_guide(key, params, run, args, kwargs)
                return jnp.zeros(()), log_q, sites, sites
            result = draw(key, params, model, run, args, kwargs)
            return result.log_p, result.log_q, result.trace, result.guide_trace

        def one(given: Any) -> tuple[Any, dict[str, Any]]:
            log_p, log_q, sites, own = by_guide(given)
            noise = {} if jnp.zeros(()).dtype == jnp.float64 else noise_of(own)
            if packing is not None:
                values = {name: sites[name]["value"] for name in frame.starts}
                vector, log_jacobian = packing.pack(values, traced)
                return (log_p, log_q, log_jacobian, {PACKED: vector}), noise
            latents = {name: sites[name]["value"] for name in names}
            log_jacobian = jnp.zeros(())
            if frame.to_latents is not None:
                latents, log_jacobian = frame.to_latents(latents, traced)
            return (log_p, log_q, log_jacobian, latents), noise

        found, noise = over_draws(one, draws, size)
        return found, jax.tree.map(lambda value: value[:PROBED], noise)

    return program
