"""The guide ``pathfinder``: the best Gaussian along the path of a quasi-Newton search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guidebench import Guide, Solution, Task

#: A covariance of this size squared, times four starts, takes 16 MB in single precision.
MOST_DIMENSIONS = 1_000


def build(model: Callable[..., Any]) -> Any:
    """Return a full-rank Gaussian in unconstrained space, whose mean and factor :func:`fit` finds."""
    from numpyro.infer.autoguide import AutoMultivariateNormal

    return AutoMultivariateNormal(model)


def fit(
    task: Task,
    *,
    maxiter: int = 100,
    maxcor: int = 10,
    num_samples: int = 200,
    ftol: float = 1e-5,
    gtol: float = 1e-8,
) -> Solution:
    r"""L-BFGS climbs the posterior, and of the Gaussians along its path the one with the best ELBO is kept.

    At a point :math:`\theta` of the path, with :math:`f = -\log \pi` and the inverse Hessian H that L-BFGS
    estimates in factors, the Gaussian is

    .. math:: N(\theta + H \nabla f(\theta), \; H), \qquad H = \mathrm{diag}(\alpha) + \beta \gamma \beta^T

    Parameters
    ----------
    task : Task
        The posterior and the start.
    maxiter, maxcor : int
        Steps of L-BFGS at most, and how many of them H remembers.
    num_samples : int
        Draws for the ELBO of each point.
    ftol, gtol : float
        Relative decrease of f, and norm of its gradient, at which L-BFGS stops.

    References
    ----------
    Zhang, Carpenter, Gelman & Vehtari (2022), Pathfinder: Parallel Quasi-Newton Variational Inference,
    JMLR 23(306), arXiv:2108.03782.
    """
    import jax
    import numpy as np
    from blackjax.vi import pathfinder
    from jax.flatten_util import ravel_pytree

    for name, value in (("maxiter", maxiter), ("maxcor", maxcor), ("num_samples", num_samples)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    static = ("logdensity_fn", "num_samples", "maxiter", "maxcor")
    # All starts share one density, so that this is compiled for the first of them alone.
    run = jax.jit(pathfinder.approximate, static_argnames=static)
    best, info = run(
        task.key,
        logdensity_fn=task.log_density,
        initial_position=dict(task.start),
        num_samples=num_samples,
        maxiter=maxiter,
        maxcor=maxcor,
        ftol=ftol,
        gtol=gtol,
    )
    # In the order of the sites' names, which is that of the guide's vector.
    position, gradient = (ravel_pytree(one)[0] for one in (best.position, best.grad_position))
    loc, scale_tril = gaussian(*map(np.asarray, (position, gradient, best.alpha, best.beta, best.gamma)))
    steps = taken(np.asarray(jax.vmap(lambda point: ravel_pytree(point)[0])(info.path.position)))
    elbos = np.asarray(info.path.elbo, np.float64)[: steps + 1]  # the first is that of the start
    message = f"of {steps} steps of L-BFGS, the best ELBO is that after step {int(np.argmax(elbos))}"
    if not np.isfinite(elbos).any():
        message = f"none of {steps} steps of L-BFGS has a finite ELBO"
    elif not np.isfinite(scale_tril).all():
        message += "; its covariance is not positive definite"
    return Solution(
        params={"auto_loc": loc, "auto_scale_tril": scale_tril},
        converged=steps < maxiter,
        message=message,
        losses=np.where(np.isfinite(elbos), -elbos, np.nan)[1:],
        steps=steps,
    )


def gaussian(position: Any, gradient: Any, alpha: Any, beta: Any, gamma: Any) -> tuple[Any, Any]:
    """Return mean and lower factor of the Gaussian at a point of the path, as BlackJAX draws from it.

    The factor is not a number where the covariance is not positive definite.
    """
    import numpy as np

    position, gradient, alpha, beta, gamma = (
        np.asarray(one, np.float64) for one in (position, gradient, alpha, beta, gamma)
    )
    covariance = np.diag(alpha) + beta @ gamma @ beta.T
    mean = position + covariance @ gradient
    try:
        return mean, np.linalg.cholesky((covariance + covariance.T) / 2)
    except np.linalg.LinAlgError:
        return mean, np.full_like(covariance, np.nan)


def taken(positions: Any) -> int:
    """Return how many steps were taken: after the last one the path stays where it is."""
    moved = (positions[1:] != positions[:-1]).any(axis=1)
    return int(moved.nonzero()[0].max()) + 1 if moved.any() else 0


def supports(structure: Any) -> str | None:
    """Refuse posteriors whose full covariance is out of reach."""
    if structure.latent_dim <= MOST_DIMENSIONS:
        return None
    return f"{structure.latent_dim:,} latent dimensions are too many for a full covariance; at most {MOST_DIMENSIONS:,}"


GUIDE = Guide(
    name="pathfinder",
    build=build,
    fit=fit,
    supports=supports,
    summary="Pathfinder (BlackJAX): the best Gaussian along the path of L-BFGS",
    # Any affine map leaves Gaussians Gaussian.  But the one that standardises fully is a Gaussian found by a search,
    # and would hand Pathfinder the correlations that it is there to find; the scales of the coordinates it is given,
    # for without them single precision is not enough.
    family="diagonal",
    cite="Zhang, Carpenter, Gelman & Vehtari (2022), Pathfinder: Parallel Quasi-Newton Variational Inference, "
    "JMLR 23(306), arXiv:2108.03782",
)
