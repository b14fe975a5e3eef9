r"""Standardised coordinates: the same posterior in coordinates in which its location is 0 and its scale 1.

Coefficients of size 1e4 or correlations of 0.999 defeat an optimiser that knows nothing of them.  So
a guide whose family an affine map leaves unchanged is trained in :math:`z` with

.. math:: u = m + F z

where u are the model's unconstrained coordinates.  It is shown a model with the same sites, each of
its unconstrained shape, whose log density over z is that of the posterior, the Jacobians included.
Every log weight is unchanged, and draws are mapped back.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float, Float64, PRNGKeyArray, Shaped
from numpyro.distributions.transforms import biject_to

from guidebench.contracts import Family
from guidebench.inference.arguments import Arguments
from guidebench.inference.gaussians import Gaussian
from guidebench.inference.target import Target

#: ``to_latents(sites, arrays)`` returns values of the model's own latents and the log Jacobian of the map.
ToLatents = Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[dict[str, Any], Any]]


@dataclass(frozen=True, kw_only=True)
class Affine:
    """The map u = center + factor z.

    Attributes
    ----------
    center : ndarray
        Shape ``(D,)``, float64.
    factor : ndarray
        Shape ``(D,)`` (coordinate-wise) or ``(D, D)``, lower triangular; float64.
    """

    center: Float64[np.ndarray, " D"]
    factor: Float64[np.ndarray, " D"] | Float64[np.ndarray, "D D"]

    @classmethod
    def for_family(cls, family: Family, gaussian: Gaussian | None, dim: int) -> Affine:
        """Return the standardisation that a family allows; the identity without a Gaussian."""
        if gaussian is None:
            return cls(center=np.zeros(dim), factor=np.ones(dim))
        # The scale of each coordinate given the others is the one that independent Normals end up with.
        factor = gaussian.factor if family == "affine" else gaussian.conditional_sds()
        return cls(center=gaussian.mean, factor=factor)

    def inverse(self, points: Float[np.ndarray, "S D"]) -> Float64[np.ndarray, "S D"]:
        """Return z of rows u, in float64."""
        centred = np.asarray(points, np.float64) - self.center[None]
        return centred / self.factor[None] if self.factor.ndim == 1 else np.linalg.solve(self.factor, centred.T).T


def apply(
    center: Float[Array, " D"], factor: Float[Array, " D"] | Float[Array, "D D"], flat: Float[Array, " D"]
) -> tuple[Float[Array, " D"], Float[Array, ""]]:
    """Return u of one z, and log |du/dz|."""
    if jnp.ndim(factor) == 1:
        return center + factor * flat, jnp.sum(jnp.log(factor))
    return center + factor @ flat, jnp.sum(jnp.log(jnp.diagonal(factor)))


class Packing(NamedTuple):
    """How the values of many latent sites leave a program: in one vector, taken apart by site on the host.

    ``pack(sites, arrays)`` returns the vector and the log Jacobian of the map, ``unpack(rows)`` the values by site.
    """

    pack: Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[Any, Any]]
    unpack: Callable[[np.ndarray], dict[str, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A model as a guide is shown it.

    Attributes
    ----------
    model, arguments
        What is trained on: the problem's own, or the same posterior in standardised coordinates.
    starts : mapping of str to ndarray
        Starting values of its latent sites, leading axis R.
    to_latents : callable or None
        Maps values of its sites to those of the problem's; ``None`` where they are the same.
    packing : Packing or None
        The same for many sites at once.
    axes : pytree
        Which traced arguments have a leading axis R, where every restart has its own data.
    kind : {"own", "unconstrained", "diagonal", "affine"}
        How it was standardised.
    stochastic : (callable, Arguments) or None
        Model and arguments to train on in the place of `model`, where training sees random parts of the
        data: the same sites and, in expectation, the same density.
    """

    model: Callable[..., Any]
    arguments: Arguments
    starts: Mapping[str, Shaped[np.ndarray, "R ..."]]
    to_latents: ToLatents | None = None
    packing: Packing | None = None
    axes: Any = None
    kind: Literal["own", "unconstrained", "diagonal", "affine"] = "own"
    stochastic: tuple[Callable[..., Any], Arguments] | None = None

    @property
    def data_size(self) -> int:
        """How many numbers a density is computed from, without the map of the coordinates."""
        arrays = self.arguments.arrays
        return self.arguments.size() if self.kind == "own" else Arguments(arrays=arrays["data"], static={}).size()

    def in_training(self) -> Frame:
        """Return the frame with the model that training sees in the place of its own."""
        if self.stochastic is None:
            return self
        model, arguments = self.stochastic
        return replace(self, model=model, arguments=arguments, stochastic=None)

    def first(self) -> dict[str, Any]:
        """Return the first of the starting points."""
        return {name: value[0] for name, value in self.starts.items()}


@dataclass(frozen=True, kw_only=True)
class Expansion:
    r"""The target on all data near one point, to second order.

    .. math:: T(u) = v + g^T (u - c) + (u - c)^T H (u - c) / 2

    Attributes
    ----------
    center, value, gradient, hessian : ndarray
        c, v, g and H, in float64.
    """

    center: Float64[np.ndarray, " D"]
    value: Float64[np.ndarray | np.float64, ""]
    gradient: Float64[np.ndarray, " D"]
    hessian: Float64[np.ndarray, "D D"]

    def arrays(self) -> dict[str, Float64[np.ndarray | np.float64, "..."]]:
        """Return the parts by name."""
        return {name: getattr(self, name) for name in ("center", "value", "gradient", "hessian")}


def controlled(
    target: Target,
    flat: Float[Array, " D"],
    traced: Mapping[str, Any],
    key: PRNGKeyArray,
    expansion: Mapping[str, Any] | None,
) -> Float[Array, ""]:
    r"""Return an estimate of the target from a random part of the data, with little noise near the expansion.

    With :math:`\hat\pi` the log density of the part scaled up and :math:`\hat T` its own expansion at c,

    .. math:: \hat\pi(u) - \hat T(u) + T(u)

    has the expectation of :math:`\hat\pi(u)`, and where the target is close to quadratic hardly any of its
    variance.

    References
    ----------
    Baker, Fearnhead, Fox & Nemeth (2019), Statistics and Computing 29, doi:10.1007/s11222-018-9826-2,
    for control variates at the mode, of gradients.
    """
    if expansion is None:
        plain: Float[Array, ""] = target.estimate(flat, traced, key)
        return plain
    step = flat - expansion["center"]

    def along(share: Float[Array, ""]) -> Float[Array, ""]:
        return target.estimate(expansion["center"] + share * step, traced, key)

    def slope(share: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        return jax.jvp(along, (share,), (jnp.ones_like(share),))

    zero = jnp.zeros((), flat.dtype)
    (value, first), (_, second) = jax.jvp(slope, (zero,), (jnp.ones_like(zero),))
    whole = expansion["value"] + expansion["gradient"] @ step + step @ expansion["hessian"] @ step / 2
    estimate: Float[Array, ""] = target.estimate(flat, traced, key) - (value + first + second / 2) + whole
    return estimate


def standardised(
    target: Target, affine: Affine, starts: Float[np.ndarray, "R D"], expansion: Expansion | None = None
) -> Frame:
    """Return the posterior in standardised coordinates.

    Parameters
    ----------
    target : Target
        The posterior over the unconstrained coordinates u.
    affine : Affine
        From z to u.
    starts : ndarray
        Starting points u, shape ``(R, D)``.
    expansion : Expansion, optional
        Of a target with minibatches.
    """
    kind: Literal["unconstrained", "diagonal", "affine"] = "affine" if affine.factor.ndim == 2 else "diagonal"
    if kind == "diagonal" and np.all(affine.factor == 1) and not affine.center.any():
        kind = "unconstrained"
    arrays = {"data": dict(target.arguments.arrays), "center": affine.center, "factor": affine.factor}
    stochastic = None
    if target.minibatches is not None:
        more = {} if expansion is None else {"expansion": expansion.arrays()}
        stochastic = model_of(target, estimated=True), Arguments(arrays={**arrays, **more})
    return Frame(
        model=model_of(target),
        arguments=Arguments(arrays=arrays),
        stochastic=stochastic,
        starts=split(target, affine.inverse(starts)),
        to_latents=lambda sites, traced: to_latents(target, sites, traced),
        packing=Packing(lambda sites, traced: _packed(target, sites, traced), target.unpack) if target.many else None,
        kind=kind,
    )


#: The one site that stands for many.
TOGETHER = "latents"


def shown(target: Target) -> Mapping[str, tuple[int, ...]]:
    """Return the sites of the target in standardised coordinates: its own, or one vector in the place of many."""
    return {TOGETHER: (target.dim,)} if target.many else target.shapes


def split(target: Target, flat: Any) -> dict[str, Any]:
    """Return flat vectors, the last axis D, by the sites that are shown."""
    return {TOGETHER: flat} if target.many else target.split(flat)


def model_of(target: Target, *, estimated: bool = False) -> Callable[..., Any]:
    """Return the target over z as a NumPyro model, with a real site for every latent site, or one for many of them.

    An `estimated` one looks at a random part of the data each time.
    """

    def standardised_model(
        data: Mapping[str, Any],
        center: Float[Array | np.ndarray, " D"],
        factor: Float[Array | np.ndarray, " D"] | Float[Array | np.ndarray, "D D"],
        expansion: Mapping[str, Any] | None = None,
    ) -> None:
        sites = [
            # Samples like a standard normal where a guide asks for a prior draw, but adds no density.
            numpyro.sample(name, dist.Normal(0, 1).expand(shape).to_event(len(shape)).mask(False))
            for name, shape in shown(target).items()
        ]
        flat = jnp.concatenate([jnp.ravel(site) for site in sites])
        point, log_jacobian = apply(jnp.asarray(center), jnp.asarray(factor), flat)
        if estimated:
            density = controlled(target, point, data, _fresh_key(), expansion)
        else:
            density = target.log_density(point, data)
        numpyro.factor("log_density", density + log_jacobian)

    return standardised_model


def _fresh_key() -> PRNGKeyArray:
    """Return a key of the program that runs; any will do where a model is only looked at."""
    key = numpyro.prng_key()
    return jax.random.key(0) if key is None else key


def own_coordinates(target: Target, expansion: Expansion | None = None) -> Callable[..., Any]:
    """Return the target as a model with the sites and arguments of the problem's, in their own coordinates.

    For guides that must not be standardised, where the model itself cannot be trained on as it is.
    Minibatches must have no latent sites of their own.
    """
    signature = inspect.signature(target.model)
    known = None if expansion is None else expansion.arrays()

    @wraps(target.model)
    def model_in_own_coordinates(*args: Any, **kwargs: Any) -> None:
        given = signature.bind(*args, **kwargs).arguments
        for one in signature.parameters.values():
            if one.kind is inspect.Parameter.VAR_KEYWORD:
                given |= given.pop(one.name, {})
        data = {name: given[name] for name in target.arguments.arrays}
        parts, log_jacobian = [], jnp.zeros(())
        for name, support in target.supports(data).items():
            transform = biject_to(support)
            shape = target.shapes[name]
            base = dist.Normal(0, 1).expand(shape).to_event(len(shape))
            value = numpyro.sample(name, dist.TransformedDistribution(base, transform).mask(False))
            free = transform.inv(value)
            parts.append(jnp.ravel(free))
            log_jacobian += jnp.sum(transform.log_abs_det_jacobian(free, value))
        flat = jnp.concatenate(parts)
        if target.minibatches is not None:
            density = controlled(target, flat, data, _fresh_key(), known)
        else:
            density = target.log_density(flat, data)
        numpyro.factor("log_density", density - log_jacobian)

    return model_in_own_coordinates


def to_latents(target: Target, sites: Mapping[str, Any], traced: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return the problem's latents at standardised sites, and the log Jacobian of the map."""
    point, log_scale = _point(target, sites, traced)
    values, log_jacobian = target.constrain(point, traced["data"])
    return values, log_scale + log_jacobian


def _packed(target: Target, sites: Mapping[str, Any], traced: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the same in one vector."""
    point, log_scale = _point(target, sites, traced)
    vector, log_jacobian = target.packed(point, traced["data"])
    return vector, log_scale + log_jacobian


def _point(target: Target, sites: Mapping[str, Any], traced: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the unconstrained point at standardised sites, and the log Jacobian of the map."""
    flat = jnp.concatenate([jnp.ravel(sites[name]) for name in shown(target)])
    return apply(jnp.asarray(traced["center"]), jnp.asarray(traced["factor"]), flat)
