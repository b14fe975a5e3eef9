"""Whose code an exception comes from, told by where it passed."""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress
from pathlib import Path

#: Guidebench and what it stands on: an exception there is of whoever called it.
_OURS = {
    *("guidebench", "arviz", "arviz_base", "arviz_stats", "beartype", "click", "cloudpickle", "contourpy", "dask"),
    *("dateutil", "distributed", "funsor", "h5netcdf", "h5py", "jax", "jaxlib", "jaxtyping", "jinja2", "markupsafe"),
    *("matplotlib", "multipledispatch", "numpy", "numpyro", "optax", "pandas", "PIL", "pluggy", "pydantic"),
    *("pydantic_core", "rich", "scipy", "seaborn", "threadpoolctl", "tornado", "typer", "xarray", "xarray_einstats"),
}


_TAG = "_guidebench_place"


def note(error: BaseException) -> None:
    """Note on an exception whose code it comes from: it may go to another process, where nothing tells any more."""
    with suppress(Exception):  # one that takes no notes
        error.__dict__.setdefault(_TAG, _place(error))


def whose(error: BaseException) -> str:
    """Return the last place of somebody's own code that an exception passed, as `` in FILE, line N,``, or nothing."""
    return str(error.__dict__.get(_TAG) or _place(error))


def _place(error: BaseException) -> str:
    place = ""
    for frame, number in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if module and module not in _OURS and module not in sys.stdlib_module_names:
            place = f" in {Path(frame.f_code.co_filename).name}, line {number},"
    return place
