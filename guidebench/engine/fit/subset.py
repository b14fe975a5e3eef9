"""The draws that are kept, shown and predicted with are those that were judged, or the first of them, and say so."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

#: What the attribute ``subset`` of draws says.
ALL, FIRST = "all that were judged", "the first of those that were judged"


def marked(kept: xr.Dataset, judged: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Return draws with what part they are of those that were judged in their attributes.

    Parameters
    ----------
    kept : Dataset
        Draws with dims ``(chain, draw, ...)`` of one chain.
    judged : mapping
        Those that were judged by latent site, shape ``(S, ...)``.

    Raises
    ------
    ValueError
        Where these are not the first of those.
    """
    if not judged:
        return kept
    count, total = kept.sizes["draw"], len(next(iter(judged.values())))
    for name, value in judged.items():
        if name not in kept or not np.array_equal(kept[name].values[0], value[:count], equal_nan=True):
            raise ValueError(f"the draws of {name} that are kept are not the first of those that were judged")
    return kept.assign_attrs(draws_judged=total, draws_kept=count, subset=ALL if count == total else FIRST)
