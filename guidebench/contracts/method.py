"""What a guide that finds its parameters itself is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from guidebench.config.errors import PluginError


@dataclass(frozen=True, kw_only=True)
class Task:
    r"""What a guide that finds its parameters itself is given: one posterior, from one starting point.

    The latent sites are shown as the guide is shown them, in unconstrained coordinates z: a real array per
    site, in a dict.  For a family that may be standardised, z is standardised; otherwise it is NumPyro's
    unconstrained image of the model's own sites.

    Parameters
    ----------
    log_density : callable
        ``log_density(sites)`` returns the log density of the posterior over z, up to the evidence, in nats:

        .. math:: \log \pi(z) = \log p(y, \theta(z)) + \log |d\theta / dz|

        It is pure JAX: it can be differentiated, compiled and mapped.  All starts of a fit share one function.
    log_weight : callable
        ``log_weight(params, key)`` returns :math:`\log \pi(z) - \log q(z)` of one draw of the guide with
        these parameters; its mean over keys is the ELBO.  It is pure JAX and shared, too.
    start : mapping of str to array
        The starting point z, by site.
    params : mapping
        The parameters with which the guide begins, by name, in their constrained space.  A
        :class:`Solution` has the same names and shapes.  A flat vector of an
        :class:`~numpyro.infer.autoguide.AutoContinuous` holds the sites in the order of their names, as
        :func:`jax.flatten_util.ravel_pytree` lays out `start`.
    key : PRNG key
        For whatever is random, one per start.
    """

    log_density: Callable[[Mapping[str, Any]], Any]
    log_weight: Callable[[Mapping[str, Any], Any], Any]
    start: Mapping[str, Any]
    params: Mapping[str, Any]
    key: Any


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The parameters that a guide has found for itself.

    Parameters
    ----------
    params : mapping
        Those of the guide that ``build`` returns, with the names and shapes of :attr:`Task.params`, in their
        constrained space.
    converged : bool
        Whether the method counts itself as finished; where not, no word of the report calls it converged.
    message : str
        What a reader should know of how it went.
    losses : array, optional
        The negative ELBO after each step, in nats, where the method knows it: a curve for the report.
    steps : int, optional
        Steps taken; the length of `losses` by default.
    gradients : int, optional
        Gradients of the log density that the method took, a Hessian as D of them, where it counts them: what the
        guide costs, in the tables.
    """

    params: Mapping[str, Any]
    converged: bool
    message: str = ""
    losses: Any = None
    steps: int | None = None
    gradients: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.params, Mapping):
            raise PluginError(f"solution: params must be a mapping by name, not {type(self.params).__name__}")
        if not isinstance(self.message, str):
            raise PluginError(f"solution: message must be text, not {type(self.message).__name__}")
