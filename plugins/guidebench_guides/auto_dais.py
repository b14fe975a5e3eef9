"""NumPyro's AutoDAIS: annealed importance sampling whose every step can be differentiated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from guidebench import Guide
from guidebench_guides.limits import MOST_LAYERS, counted


def build(
    model: Callable[..., Any],
    *,
    K: int = 4,  # noqa: N803 - as NumPyro and the paper call it
    base_dist: Literal["diagonal", "cholesky"] = "diagonal",
    eta_init: float = 0.1,
    eta_max: float = 1.0,
    gamma_init: float = 0.9,
    init_scale: float = 0.1,
) -> Any:
    r"""Return ``AutoDAIS(model, ...)``.

    A draw begins at a Gaussian and takes K leapfrog steps towards the posterior.  Its density over the
    latents alone is not known; that of the whole path, with momenta v, gives a bound,

    .. math:: E_q\Big[\log p(y, z_K) - \log q(z_0)
              + \sum_{k=1}^{K} \log \frac{N(\hat v_k)}{N(v_{k-1})}\Big] \le \log p(y)

    Parameters
    ----------
    model : callable
        A NumPyro model.
    K : int
        Number of leapfrog steps.
    base_dist : {"diagonal", "cholesky"}
        Covariance of the Gaussian at which a draw begins.
    eta_init, eta_max : float
        Initial and largest step size.  NumPyro's own are a tenth of these, in whatever unit the model has;
        here the unit is a standard deviation of the posterior, as far as a search has found it.
    gamma_init : float
        Initial share of the momentum that is kept after a step.
    init_scale : float
        Initial standard deviation of every unconstrained coordinate.
    """
    from numpyro.infer.autoguide import AutoDAIS

    counted(MOST_LAYERS, K=K)
    return AutoDAIS(
        model,
        K=K,
        base_dist=base_dist,
        eta_init=eta_init,
        eta_max=eta_max,
        gamma_init=gamma_init,
        init_scale=init_scale,
    )


GUIDE = Guide(
    name="auto_dais",
    build=build,
    summary="AutoDAIS: a diagonal Gaussian followed by leapfrog steps of annealed importance sampling",
    # Scaling the coordinates leaves the Gaussian in its family and is a fixed diagonal preconditioner of the leapfrog
    # steps, all of one bounded size: without it a coordinate with an sd of 1e4 would never move.  A triangle would
    # make the Gaussian a correlated one, which is another guide.
    family="diagonal",
    bound="augmented",
    aliases=("AutoDAIS",),
    cite="Geffner & Domke (2021), MCMC Variational Inference via Uncorrected Hamiltonian Annealing, NeurIPS, "
    "arXiv:2107.04150",
)
