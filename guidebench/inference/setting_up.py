"""NumPyro's guides set themselves up when they are first called; what that takes of the model, and no more.

An autoguide looks at the model's sites, and then for a start at which density and gradient are finite.  It is given
such a start, so the second look finds what is known already.  It goes into every program that a fresh guide is traced
in all the same, the gradient within a loop, and is there traced and compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from numpyro.handlers import mask
from numpyro.infer.autoguide import AutoGuide, AutoGuideList


def set_up_cheaply(build: Callable[[Callable[..., Any]], Any], model: Callable[..., Any]) -> Any:
    """Return ``build(model)``, a guide that finds its start valid without computing the model's densities.

    From its second look at the model until it is set up, a guide is shown a model whose sites are all masked.  Guides
    that are no autoguide, or several, are shown the model itself.
    """
    guides: list[AutoGuide] = []
    looks = 0

    @wraps(model)
    def shown(*args: Any, **kwargs: Any) -> Any:
        nonlocal looks
        if not any(guide.prototype_trace is None for guide in guides):
            return model(*args, **kwargs)
        looks += 1
        if looks == 1:
            return model(*args, **kwargs)
        with mask(mask=False):
            return model(*args, **kwargs)

    guide = build(shown)
    if isinstance(guide, AutoGuide) and not isinstance(guide, AutoGuideList):
        guides.append(guide)
    return guide
