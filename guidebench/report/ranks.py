"""Ranks of true values among a guide's draws, over data sets drawn from the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from guidebench.metrics.simulated import band, probabilities
from guidebench.report.draws import Array

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """The simulated fits of one guide.

    Attributes
    ----------
    positions : mapping
        Where the true value lies among the draws, from 0 to 1, per component: shape ``(N,)``.
    broken, unsettled : int
        Fits that broke down, which have no positions, and fits that did not settle.
    draws, steps : int
        Draws per fit, and optimiser steps of it.
    """

    positions: Mapping[str, Array]
    broken: int
    unsettled: int
    draws: int
    steps: int

    @property
    def count(self) -> int:
        """Number of fits that have draws."""
        return next((len(values) for values in self.positions.values()), 0)


def ranked(dataset: xr.Dataset | None) -> Ranked | None:
    """Return what the group ``simulations`` of one guide holds, or ``None`` where there is none."""
    if dataset is None or "rank" not in dataset or "component" not in dataset.coords:
        return None
    draws = int(dataset.attrs.get("draws", 0))
    ranks = dataset["rank"].transpose("simulation", "component").values
    positions = probabilities(ranks, draws)
    converged = dataset["converged"].values if "converged" in dataset else np.ones(len(ranks), bool)
    return Ranked(
        positions={str(name): positions[:, at] for at, name in enumerate(dataset["component"].values)},
        broken=int(dataset.attrs.get("broken", 0)),
        unsettled=int(np.sum(~np.asarray(converged, bool))),
        draws=draws,
        steps=int(dataset.attrs.get("steps", 0)),
    )


def above(positions: Array) -> tuple[Array, Array]:
    """Return points z and F(z) - z, with F the share of positions up to z."""
    z = np.arange(1, 101) / 101
    return z, np.searchsorted(np.sort(positions), z, side="right") / len(positions) - z


@lru_cache(maxsize=8)
def limits(count: int) -> Array:
    """Return the band of :func:`guidebench.metrics.simulated.band`, which takes most of a second."""
    return band(count)
