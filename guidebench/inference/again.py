"""The same draw of a guide once more, in another precision: from the same random numbers, pushed forward anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpyro.distributions as dist
from numpyro.primitives import Messenger

from guidebench.inference.wrappers import unwrapped


def noise_of(trace: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was random in the trace of a guide, by sample site.

    Of a transformed distribution, as a flow is, that is the draw from its base; what is a function of other sites is
    left out.
    """
    found = {}
    for name, site in trace.items():
        if site["type"] != "sample" or site["is_observed"]:
            continue
        inner, between = unwrapped(site["fn"]), site.get("intermediates")
        if isinstance(inner, dist.Delta):
            continue
        pushed = isinstance(inner, dist.TransformedDistribution) and between
        found[name] = between[0][0] if pushed else site["value"]
    return found


class Again(Messenger):  # type: ignore[misc]
    """Run a guide from the random numbers of an earlier run, found by :func:`noise_of`.

    Parameters
    ----------
    guide : callable
        The guide.
    noise : mapping
        By sample site.
    """

    def __init__(self, guide: Any, noise: Mapping[str, Any]) -> None:
        self._noise = noise
        super().__init__(guide)

    def process_message(self, msg: dict[str, Any]) -> None:
        """Give a sample site its value, and what its density is computed from."""
        if msg["type"] != "sample" or msg["is_observed"] or msg["name"] not in self._noise:
            return
        value, inner, between = self._noise[msg["name"]], unwrapped(msg["fn"]), []
        if isinstance(inner, dist.TransformedDistribution):
            for transform in inner.transforms:
                before = value
                value, found = transform.call_with_intermediates(before)
                between.append([before, found])
        msg["value"], msg["intermediates"] = value, between
