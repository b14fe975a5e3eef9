"""NumPyro's AutoIAFNormal: an inverse autoregressive flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guidebench import Guide
from guidebench_guides.limits import MOST_LAYERS, MOST_UNITS, counted, too_many_for_a_flow


def build(model: Callable[..., Any], *, num_flows: int = 3, hidden_size: int | None = None) -> Any:
    """Return ``AutoIAFNormal(model, ...)``.

    Parameters
    ----------
    model : callable
        A NumPyro model with at least two latent dimensions.
    num_flows : int
        Number of autoregressive layers.
    hidden_size : int, optional
        Width of the two hidden layers of each network; the latent dimension by default.
    """
    from numpyro.infer.autoguide import AutoIAFNormal

    counted(MOST_LAYERS, num_flows=num_flows)
    counted(MOST_UNITS, hidden_size=hidden_size)
    hidden_dims = None if hidden_size is None else [hidden_size, hidden_size]
    return AutoIAFNormal(model, num_flows=num_flows, hidden_dims=hidden_dims)


GUIDE = Guide(
    name="auto_iaf_normal",
    build=build,
    supports=too_many_for_a_flow,
    summary="AutoIAFNormal: inverse autoregressive flows from a diagonal Gaussian",
    # A lower-triangular linear map is itself an autoregressive layer, if one with constant networks: standardising by
    # it adds such a layer, fixed, in front of the trained ones.
    family="affine",
    aliases=("AutoIAFNormal",),
    default=True,
    cite="Kingma et al. (2016), Improving Variational Inference with Inverse Autoregressive Flow, arXiv:1606.04934",
)
