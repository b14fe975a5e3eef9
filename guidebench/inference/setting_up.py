"""NumPyro's guides set themselves up when they are first called; what that takes of the model, and no more.

An autoguide looks at the model's sites, and then for a start at which density and gradient are finite.  It is given
such a start, so the second look finds what is known already.  It goes into every program that a fresh guide is traced
in all the same, the gradient within a loop, and is there traced and compiled.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import wraps
from typing import Any

from numpyro.handlers import mask
from numpyro.infer.autoguide import AutoGuide, AutoGuideList


def set_up_cheaply(guide: Any) -> Any:
    """Let an autoguide find its start valid without computing the model's densities; return it.

    While it sets itself up, from its second look at the model until it has its prototype, all sites are masked.  Before
    and afterwards the model is what it was.  Other guides, and lists of several, are left as they are.
    """
    if not isinstance(guide, AutoGuide) or isinstance(guide, AutoGuideList):
        return guide
    model, set_up = guide.model, guide._setup_prototype
    looks: int | None = None

    @wraps(model)
    def shown(*args: Any, **kwargs: Any) -> Any:
        nonlocal looks
        if looks is None or guide.prototype_trace is not None:
            return model(*args, **kwargs)
        looks += 1
        with nullcontext() if looks == 1 else mask(mask=False):
            return model(*args, **kwargs)

    def setting_up(*args: Any, **kwargs: Any) -> None:
        nonlocal looks
        looks = 0
        try:
            set_up(*args, **kwargs)
        finally:
            looks = None

    guide.model, guide._setup_prototype = shown, setting_up
    return guide
