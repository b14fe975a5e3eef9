"""Performance profiles: on how many problems a guide is within a factor of the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Step functions, one per guide.

    Attributes
    ----------
    ratios : DataFrame
        Problem by guide: by which factor (or by how much) a guide is behind the best; infinite for a failure.
    kind : {"ratio", "difference"}
        Whether it is a factor, at best 1, or a difference, at best 0.
    left_out : tuple of str
        Guides for which the measure is not defined on any problem.
    failures : dict
        On how many of the problems each guide has no value, which counts as infinitely bad.
    """

    ratios: pd.DataFrame
    kind: Literal["ratio", "difference"]
    left_out: tuple[str, ...]
    failures: dict[str, int]

    @property
    def problems(self) -> int:
        """Number of problems."""
        return len(self.ratios)

    def at(self, tau: float) -> pd.Series:
        r"""Return the share of problems on which each guide is within `tau` of the best, :math:`\rho_g(\tau)`."""
        return (self.ratios <= tau).mean()

    def steps(self, guide: str) -> tuple[np.ndarray, np.ndarray]:
        """Return where the function of a guide jumps, and its values from there on."""
        finite = np.sort(self.ratios[guide].to_numpy(dtype=float))
        finite = finite[np.isfinite(finite)]
        points, counts = np.unique(finite, return_counts=True)
        return points, np.cumsum(counts) / max(self.problems, 1)


def profile(
    values: pd.DataFrame, errors: pd.DataFrame | None = None, kind: Literal["ratio", "difference"] = "ratio"
) -> Profile:
    r"""Return the performance profile of a measure of which lower is better.

    With :math:`t_{pg}` the value of guide g on problem p,

    .. math:: r_{pg} = \frac{t_{pg}}{\min_{g'} t_{pg'}}, \qquad
              \rho_g(\tau) = \frac{1}{N} \, \#\{p : r_{pg} \le \tau\}

    is the share of the N problems on which g is within a factor :math:`\tau` of the best;
    :math:`\rho_g(1)` is how often it is best.  A guide without a value where others have one counts
    as :math:`r = \infty`.  With ``kind="difference"``, for a measure that is zero at its best, r is
    :math:`t_{pg} - \min_{g'} t_{pg'}`.

    Parameters
    ----------
    values : DataFrame
        Problem by guide; negative values have no ratio.
    errors : DataFrame, optional
        Monte Carlo standard errors: a value below its own counts as that much, for what is smaller than
        noise is not twice as good as something else.
    kind : {"ratio", "difference"}
        See above.

    Notes
    -----
    With more than two guides a profile says who is best, and not who is second: take the best away and the
    order of the others may change (Gould & Scott 2016, doi:10.1145/2950048).

    References
    ----------
    Dolan & Moré (2002), Benchmarking optimization software with performance profiles, Math. Program. 91,
    doi:10.1007/s101070100263.
    """
    compared = values.loc[values.notna().any(axis=1), values.notna().any()]
    if kind == "ratio" and (compared < 0).to_numpy().any():
        raise ValueError("a negative value has no ratio to the best")
    numbers = compared.to_numpy(dtype=float)
    if errors is not None:
        noise = errors.loc[compared.index, compared.columns].to_numpy(dtype=float)
        numbers = np.where(np.isnan(numbers), np.nan, np.fmax(numbers, noise))
    filled = np.where(np.isnan(numbers), np.inf, numbers)
    best = filled.min(axis=1, keepdims=True) if filled.size else filled
    with np.errstate(all="ignore"):
        ratios = filled / best if kind == "ratio" else filled - best
    ratios = np.where(np.isinf(filled), np.inf, np.where(filled == best, 1.0 if kind == "ratio" else 0.0, ratios))
    return Profile(
        ratios=pd.DataFrame(ratios, index=compared.index, columns=compared.columns),
        kind=kind,
        left_out=tuple(str(guide) for guide in values.columns if guide not in compared.columns),
        failures={str(guide): int(count) for guide, count in compared.isna().sum().items() if count},
    )
