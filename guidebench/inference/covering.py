"""What a mixture stands at: Student t densities over what a search has found, or over draws of chains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from guidebench.inference.component import Component, log_mixture
from guidebench.inference.modes import Landscape

#: Degrees of freedom, and the scales at which every place is covered.
FREEDOM = 3.0
SCALES = (1.0, 3.0)

#: Share of the Gaussians along the paths of the search, which are there for what no mode covers.
ALONG_PATHS = 0.3

#: Shares and degrees of freedom about draws, at their scale and at twice that.  The rest is what covers all that the
#: search found: chains from one mode alone must not hide the others.
ABOUT_DRAWS = ((0.65, 7.0, 1.0), (0.25, 3.0, 2.0))

#: Quantiles of a distance, to take a mean over it.
QUANTILES = 2_000


def covering(landscape: Landscape) -> tuple[Component, ...]:
    """Return the components of the first mixture.

    They stand at every mode, however light, at the best Gaussian, and at local ones along the paths of the search: a
    funnel has no mode in its neck, nor anywhere else.
    """
    main = [(one.location, one.factor) for one in (*landscape.modes, *landscape.minor)]
    if landscape.best is not None:
        main.append((landscape.best.mean, landscape.best.factor))
    kept = [(one.mean, one.factor) for one in landscape.kept]
    shared = ALONG_PATHS if main and kept else 0.0
    return (*_standing(main, 1 - shared), *_standing(kept, shared or 1.0))


def _standing(places: Sequence[tuple[Any, Any]], share: float) -> Iterator[Component]:
    """Yield Student t densities at places, at every scale, which get that share together."""
    for location, factor in places:
        for scale in SCALES:
            part = share / len(places) / len(SCALES)
            yield Component(location=location, factor=scale * factor, freedom=FREEDOM, share=part)


def about(draws: Float64[np.ndarray, "S D"], first: Sequence[Component] = ()) -> tuple[Component, ...] | None:
    """Return the components about draws, or ``None`` where these have no covariance.

    Parameters
    ----------
    draws : ndarray
        Shape ``(S, D)``.
    first : sequence of Component
        What covers all that the search found, and gets what is left of the shares.
    """
    mean = draws.mean(axis=0)
    covariance = np.atleast_2d(np.cov(draws.T))
    if not np.isfinite(covariance).all():
        return None
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return None
    rest = 1 - sum(share for share, _, _ in ABOUT_DRAWS) if first else 0.0
    near = [
        # A t has more variance than its scale says.
        Component(
            location=mean,
            factor=scale * np.sqrt((freedom - 2) / freedom) * factor,
            freedom=freedom,
            share=share / sum(share for share, _, _ in ABOUT_DRAWS) * (1 - rest),
        )
        for share, freedom, scale in ABOUT_DRAWS
    ]
    return (*near, *(replace(one, share=one.share * rest) for one in first))


def worth_of_a_gaussian(dim: int) -> float:
    r"""Return what the weights would be worth were the posterior a Gaussian at which all of the mixture stands.

    As a share of the points: :math:`1 / \mathrm{E}_p[p / q]`, where p is the standard normal of so many coordinates and
    q the components about it, by the quantiles of :math:`\chi^2_D`, for both depend on the distance alone.
    """
    from scipy.stats import chi2

    at = np.sqrt(chi2.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES, dim))
    points = np.concatenate([at[:, None], np.zeros((QUANTILES, dim - 1))], axis=1)
    around = tuple(_standing([(np.zeros(dim), np.eye(dim))], 1.0))
    normal = -dim / 2 * np.log(2 * np.pi) - at**2 / 2
    return 1 / float(np.mean(np.exp(normal - log_mixture(around, points))))
