"""NumPyro's AutoNormal: an independent Normal per latent site."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guidebench import Guide


def build(model: Callable[..., Any], *, init_scale: float = 0.1) -> Any:
    """Return ``AutoNormal(model, init_scale=init_scale)``."""
    from numpyro.infer.autoguide import AutoNormal

    return AutoNormal(model, init_scale=init_scale)


GUIDE = Guide(
    name="auto_normal",
    build=build,
    summary="AutoNormal: independent Normals in unconstrained space",
    family="diagonal",
    aliases=("AutoNormal",),
    default=True,
    cite="Kucukelbir et al. (2017), Automatic Differentiation Variational Inference, JMLR 18(14), arXiv:1603.00788",
)
