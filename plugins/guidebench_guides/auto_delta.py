"""NumPyro's AutoDelta: the maximum a posteriori point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guidebench import Guide


def build(model: Callable[..., Any]) -> Any:
    """Return ``AutoDelta(model)``."""
    from numpyro.infer.autoguide import AutoDelta

    return AutoDelta(model)


GUIDE = Guide(
    name="auto_delta",
    build=build,
    summary="AutoDelta: a point estimate, the mode of the joint density in the model's own coordinates",
    family="none",
    bound="none",
    aliases=("AutoDelta",),
    default=True,
)
