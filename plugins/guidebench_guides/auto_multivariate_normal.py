"""NumPyro's AutoMultivariateNormal: a full-rank Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guidebench import Guide
from guidebench_guides.limits import too_many


def build(model: Callable[..., Any], *, init_scale: float = 0.1) -> Any:
    """Return ``AutoMultivariateNormal(model, init_scale=init_scale)``."""
    from numpyro.infer.autoguide import AutoMultivariateNormal

    return AutoMultivariateNormal(model, init_scale=init_scale)


GUIDE = Guide(
    name="auto_multivariate_normal",
    build=build,
    supports=too_many,
    summary="AutoMultivariateNormal: a full-rank Gaussian in unconstrained space",
    family="affine",
    aliases=("AutoMultivariateNormal",),
    default=True,
    cite="Kucukelbir et al. (2017), Automatic Differentiation Variational Inference, JMLR 18(14), arXiv:1603.00788",
)
