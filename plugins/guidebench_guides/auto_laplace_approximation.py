"""NumPyro's AutoLaplaceApproximation: a Gaussian at the unconstrained mode."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from guidebench import Guide
from guidebench_guides.limits import too_many


def build(model: Callable[..., Any]) -> Any:
    """Return ``AutoLaplaceApproximation(model)``."""
    from numpyro.infer.autoguide import AutoLaplaceApproximation

    return AutoLaplaceApproximation(model)


def draw(guide: Any, params: Mapping[str, Any]) -> Any:
    """Return `guide` with its Gaussian in the place of the point it was trained with.

    The Gaussian has the trained mode as mean and the inverse Hessian of the negative log joint
    there as covariance; the guide's own code then adds the Jacobian of the constraining transform.
    """
    posterior = guide.get_posterior(dict(params))
    gaussian = copy.copy(guide)
    gaussian._get_posterior = lambda *args, **kwargs: posterior
    return gaussian


GUIDE = Guide(
    name="auto_laplace_approximation",
    build=build,
    supports=too_many,
    draw=draw,
    summary="AutoLaplaceApproximation: a Gaussian at the unconstrained mode, covariance from the Hessian",
    family="affine",
    aliases=("AutoLaplaceApproximation",),
    default=True,
    cite="Tierney & Kadane (1986), JASA 81(393), doi:10.1080/01621459.1986.10478240",
)
