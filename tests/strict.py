"""What the test run is strict about in guidebench's own arithmetic: the shapes of arrays, and their ranks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType

import jax
from beartype import BeartypeConf, beartype
from jax._src.numpy import util
from jaxtyping import install_import_hook

#: Where every array has its shape in its annotation, and no array is given more axes than it has without saying so.
PACKAGES = ("guidebench.inference", "guidebench.metrics")

#: What checks a call.  As for a static checker, a whole number is a number.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def shapes() -> None:
    """Check the annotations of these packages whenever one of their functions is called; before they are imported."""
    install_import_hook(list(PACKAGES), f"{__name__}.checked")


def ranks() -> None:
    """Make it an error where these packages combine arrays of different ranks.

    JAX's own switch knows no packages: it would forbid the same to a user's model, where it is the usual way of
    writing, and to NumPyro's distributions, which do it wherever a vector of means meets a matrix of draws.  So
    the switch is on, and JAX is asked to object only where the innermost frame outside of JAX is one of these.
    What JAX has traced before, for the same operation and shapes, it does not look at again.
    """
    objects = util._rank_promotion_warning_or_error

    def object_to_ours(name: str, given: Sequence[tuple[int, ...]]) -> None:
        if _asking().startswith(PACKAGES):
            objects(name, given)

    jax.config.update("jax_numpy_rank_promotion", "raise")
    util._rank_promotion_warning_or_error = object_to_ours


def _asking() -> str:
    """Return the module of the innermost frame outside of JAX, whose check calls the caller."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and _module(frame).partition(".")[0] == "jax":
        frame = frame.f_back
    # Where the record of a model is replayed, the model asks.
    return "" if frame is None or frame.f_code.co_name == "_replayed" else _module(frame)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
