"""NumPyro's AutoLowRankMultivariateNormal: a Gaussian whose covariance is diagonal plus low rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guidebench import Guide
from guidebench_guides.limits import MOST_UNITS, counted


def build(model: Callable[..., Any], *, rank: int | None = None, init_scale: float = 0.1) -> Any:
    r"""Return ``AutoLowRankMultivariateNormal(model, rank=rank, init_scale=init_scale)``.

    Its covariance is :math:`D^2 + D W W^T D`, with D diagonal and W of `rank` columns.

    Parameters
    ----------
    model : callable
        A NumPyro model.
    rank : int, optional
        Columns of W; the square root of the latent dimension, rounded, by default.
    init_scale : float
        Initial standard deviation of every unconstrained coordinate.
    """
    from numpyro.infer.autoguide import AutoLowRankMultivariateNormal

    counted(MOST_UNITS, rank=rank)
    return AutoLowRankMultivariateNormal(model, rank=rank, init_scale=init_scale)


GUIDE = Guide(
    name="auto_low_rank_multivariate_normal",
    build=build,
    summary="AutoLowRankMultivariateNormal: a Gaussian with a covariance that is diagonal plus low rank",
    # F (D + W W') F' is again diagonal plus low rank where F is diagonal.  With any other F, F D F' is a full matrix.
    family="diagonal",
    aliases=("AutoLowRankMultivariateNormal",),
    cite="Ong, Nott & Smith (2018), J. Comput. Graph. Stat. 27(3), doi:10.1080/10618600.2017.1390472",
)
