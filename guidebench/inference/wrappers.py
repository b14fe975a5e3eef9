"""Distributions without what only says how their axes are counted."""

from __future__ import annotations

from typing import Any

import numpyro.distributions as dist


def masked(fn: Any) -> bool:
    """Return whether a mask is on a distribution, or on one that it is an expansion or a reinterpretation of."""
    while fn is not None and not isinstance(fn, dist.MaskedDistribution):
        fn = getattr(fn, "base_dist", None)
    return fn is not None


def unwrapped(fn: Any) -> Any:
    """Return the distribution under reinterpreted dimensions, an expansion or a mask."""
    while isinstance(fn, (dist.Independent, dist.ExpandedDistribution, dist.MaskedDistribution)):
        fn = fn.base_dist
    return fn
