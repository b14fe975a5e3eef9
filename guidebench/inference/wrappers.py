"""Distributions without what only says how their axes are counted."""

from __future__ import annotations

from typing import Any

import numpyro.distributions as dist


def unwrapped(fn: Any) -> Any:
    """Return the distribution under reinterpreted dimensions, an expansion or a mask."""
    while isinstance(fn, (dist.Independent, dist.ExpandedDistribution, dist.MaskedDistribution)):
        fn = fn.base_dist
    return fn
