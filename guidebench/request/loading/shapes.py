"""Sites that have no density, and observations that do not fit theirs: found before anything is computed.

A density broadcasts its distribution and its value against each other, so observations of shape
``(n, 1)`` under a distribution of shape ``(n,)`` would count n times each, and no one would know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from numpyro.handlers import trace

from guidebench.config.errors import RequestError
from guidebench.inference.arguments import Arguments, runnable
from guidebench.inference.structure import is_factor
from guidebench.plugins.isolation.failures import reason


def check_sites(model: Callable[..., Any], arguments: Arguments, who: str) -> None:
    """Refuse sites without a density, and observations that do not have the shape of their site.

    Raises
    ------
    RequestError
        With the error, or both shapes.
    """
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def run(traced: Mapping[str, Any]) -> None:
        args, kwargs = arguments.call(model, traced)
        for name, site in trace(runnable(model)).get_trace(*args, **kwargs).items():
            if site["type"] != "sample" or is_factor(site):
                continue
            if site["is_observed"]:
                shapes[name] = tuple(site["fn"].shape()), tuple(np.shape(site["value"]))
            if name not in shapes or _fits(*shapes[name]):
                _density(name, site, who)

    jax.eval_shape(run, dict(arguments.arrays))
    for name, (expected, given) in shapes.items():
        if not _fits(expected, given):
            raise RequestError(
                f"{who}: the observations at site {name} have shape {given}, and their distribution has {expected}"
            )


def _fits(expected: tuple[int, ...], given: tuple[int, ...]) -> bool:
    """Return whether one of two shapes is what both are broadcast to."""
    try:
        return np.broadcast_shapes(expected, given) in (expected, given)
    except ValueError:
        return False


def _density(name: str, site: Mapping[str, Any], who: str) -> None:
    try:
        site["fn"].log_prob(site["value"])
    except (Exception, SystemExit) as error:
        raise RequestError(f"{who}: site {name} has no density: {reason(error, 200)}") from error
