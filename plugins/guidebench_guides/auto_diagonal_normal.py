"""NumPyro's AutoDiagonalNormal: independent Normals over one flat vector of all latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guidebench import Guide


def build(model: Callable[..., Any], *, init_scale: float = 0.1) -> Any:
    """Return ``AutoDiagonalNormal(model, init_scale=init_scale)``."""
    from numpyro.infer.autoguide import AutoDiagonalNormal

    return AutoDiagonalNormal(model, init_scale=init_scale)


GUIDE = Guide(
    name="auto_diagonal_normal",
    build=build,
    summary="AutoDiagonalNormal: a diagonal Gaussian over the flat vector of all unconstrained latents",
    family="diagonal",
    aliases=("AutoDiagonalNormal",),
    cite="Kucukelbir et al. (2017), Automatic Differentiation Variational Inference, JMLR 18(14), arXiv:1603.00788",
)
