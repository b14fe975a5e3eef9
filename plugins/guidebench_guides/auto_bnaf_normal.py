"""NumPyro's AutoBNAFNormal: a block neural autoregressive flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guidebench import Guide
from guidebench_guides.limits import MOST_LAYERS, MOST_UNITS, counted, too_many_for_a_flow


def build(model: Callable[..., Any], *, num_flows: int = 1, hidden_factor: int = 8, hidden_layers: int = 2) -> Any:
    """Return ``AutoBNAFNormal(model, ...)``.

    Parameters
    ----------
    model : callable
        A NumPyro model with at least two latent dimensions.
    num_flows : int
        Number of flows, the order of the coordinates reversed between them.
    hidden_factor : int
        Hidden units per latent dimension in each hidden layer.
    hidden_layers : int
        Number of hidden layers of each flow.
    """
    from numpyro.infer.autoguide import AutoBNAFNormal

    counted(MOST_LAYERS, num_flows=num_flows, hidden_layers=hidden_layers)
    counted(MOST_UNITS, hidden_factor=hidden_factor)
    return AutoBNAFNormal(model, num_flows=num_flows, hidden_factors=[hidden_factor] * hidden_layers)


GUIDE = Guide(
    name="auto_bnaf_normal",
    build=build,
    supports=too_many_for_a_flow,
    summary="AutoBNAFNormal: block neural autoregressive flows from a standard Gaussian",
    # The layers of such a network are block lower triangular with a positive diagonal, which a lower triangle is, too:
    # standardising by it puts one more linear layer, fixed, behind the trained ones.
    family="affine",
    aliases=("AutoBNAFNormal",),
    cite="De Cao, Titov & Aziz (2019), Block Neural Autoregressive Flow, UAI, arXiv:1904.04676",
)
