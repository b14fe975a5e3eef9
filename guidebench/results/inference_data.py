"""ArviZ InferenceData, in either generation of ArviZ.

ArviZ 0.x has an ``InferenceData`` class; ArviZ 1.x uses :class:`xarray.DataTree` with the same
groups.  No other module knows the difference: they all hand over and receive
:class:`xarray.Dataset` objects by group name.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import xarray as xr
from xarray.backends import H5NetCDFStore

#: ``arviz.InferenceData`` (ArviZ 0.x) or ``xarray.DataTree`` (ArviZ 1.x).
InferenceData: TypeAlias = Any

#: The NetCDF engine: HDF5 files that both generations and other languages read.
ENGINE: Literal["h5netcdf"] = "h5netcdf"


#: What stands in a file, and in a DataTree, for the slash of a scoped site name, which neither allows.
_SLASH = "%2F"


@cache
def arviz_generation() -> int:
    """Return the major version of the installed ArviZ: 0 or 1 (and up)."""
    return int(version("arviz").split(".")[0])


@cache
def arviz() -> Any:
    """Return ArviZ, imported.

    ArviZ 0.23 notes every day in a file of the user's cache that it has told of its new version, and cannot be imported
    where that cannot be written: then it is given another folder for that.
    """
    try:
        import arviz as az
    except OSError:
        import platformdirs

        usual = platformdirs.user_cache_dir
        with TemporaryDirectory() as folder:
            platformdirs.user_cache_dir = lambda *_, **__: folder
            try:
                import arviz as az
            finally:
                platformdirs.user_cache_dir = usual
    return az


def arviz_meanwhile() -> None:
    """Import ArviZ in a thread, for whoever needs it soon: XLA, which holds no lock of Python's, compiles meanwhile."""

    def run() -> None:
        with suppress(Exception):  # whoever needs it will say so
            arviz()

    if "arviz" not in sys.modules:
        Thread(target=run, daemon=True).start()


def from_groups(groups: Mapping[str, xr.Dataset]) -> InferenceData:
    """Return InferenceData with one group per entry; empty datasets are left out.

    Parameters
    ----------
    groups : mapping of str to xarray.Dataset
        Group names of the InferenceData scheme (``posterior``, ``log_likelihood``, ...) or others.
    """
    kept = {name: dataset for name, dataset in groups.items() if dataset.data_vars}
    if arviz_generation() == 0:
        return arviz().InferenceData(**kept)
    return xr.DataTree.from_dict({f"/{name}": _renamed(dataset, "/", _SLASH) for name, dataset in kept.items()})


def group(inference_data: InferenceData | None, name: str) -> xr.Dataset | None:
    """Return one group as a Dataset, or ``None`` where there is no such group."""
    if inference_data is None or name not in group_names(inference_data):
        return None
    found = inference_data[name]
    return _renamed(found.to_dataset(), _SLASH, "/") if isinstance(found, xr.DataTree) else found


def group_names(inference_data: InferenceData) -> tuple[str, ...]:
    """Return the names of the groups, in order."""
    if isinstance(inference_data, xr.DataTree):
        return tuple(inference_data.children)
    return tuple(inference_data.groups())


def read_only(inference_data: InferenceData | None) -> InferenceData | None:
    """Return the same groups, in arrays that cannot be written to; nothing is copied."""
    if inference_data is None:
        return None
    groups = {name: group(inference_data, name) for name in group_names(inference_data)}
    return from_groups({name: _locked(dataset) for name, dataset in groups.items() if dataset is not None})


def _locked(dataset: xr.Dataset) -> xr.Dataset:
    def view(array: xr.DataArray) -> xr.DataArray:
        values = array.to_numpy().view()
        values.flags.writeable = False
        return array.copy(data=values)

    return dataset.map(view, keep_attrs=True)


def to_bytes(inference_data: InferenceData) -> bytes:
    """Return NetCDF that :func:`arviz.from_netcdf` opens under both generations.

    It is made in memory: HDF5 that runs into the end of a disk takes the process with it.
    """
    import h5netcdf  # not needed to read results without draws

    whole = BytesIO()
    with h5netcdf.File(whole, "w") as file:
        for name in group_names(inference_data):
            dataset = group(inference_data, name)
            assert dataset is not None
            _renamed(dataset, "/", _SLASH).dump_to_store(H5NetCDFStore(file, group=name, mode="a"))
    return whole.getvalue()


def save(inference_data: InferenceData, path: Path) -> None:
    """Write the content of :func:`to_bytes` into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_bytes(inference_data))


def from_bytes(content: bytes) -> InferenceData:
    """Return what :func:`to_bytes` (or ArviZ) made a file of."""
    return _loaded(BytesIO(content))


def load(path: Path) -> InferenceData:
    """Read a file with the content of :func:`to_bytes` (or by ArviZ) into memory and close it."""
    return _loaded(path)


def opened(source: Path | BytesIO) -> xr.DataTree:
    """Open a NetCDF file with all its groups; it is to be closed.

    Raises
    ------
    Exception
        Of some kind, where the file is none or is damaged.
    """
    import h5py

    with h5py.File(source, "r") as file:  # a file of h5netcdf's that it fails at here complains when it is thrown away
        file.attrs.get("_nc3_strict")
    found: xr.DataTree = xr.open_datatree(source, engine=ENGINE)
    return found


def _loaded(source: Path | BytesIO) -> InferenceData:
    with opened(source) as tree:
        found = {name: child.to_dataset().load() for name, child in tree.children.items()}
    return from_groups({name: _renamed(dataset, _SLASH, "/") for name, dataset in found.items()})


def _renamed(dataset: xr.Dataset, old: str, new: str) -> xr.Dataset:
    names = [str(name) for name in (*dataset.variables, *dataset.dims) if old in str(name)]
    return dataset.rename({name: name.replace(old, new) for name in names})


def pareto_smooth(log_weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Smooth the largest importance weights and return the shape of their tail, by ArviZ's PSIS.

    Parameters
    ----------
    log_weights : ndarray
        Unnormalised log weights in float64, shape ``(S,)``.

    Returns
    -------
    smoothed : ndarray
        Normalised log weights, shape ``(S,)``.
    khat : float
        Shape of the generalised Pareto tail; infinite where a weight is not finite, 0 where all are equal.
    """
    values = np.asarray(log_weights, np.float64)
    if not np.isfinite(values).all():
        return values, float("inf")
    values = values - values.max()
    if np.ptp(values) < 1e-4:
        # Equal up to rounding: there is no tail to fit a shape to, and ArviZ would call it infinite.
        return values - np.log(len(values)), 0.0
    if arviz_generation() == 0:
        # Profile points far out in the tail overflow on the way to a weight of zero.
        with np.errstate(over="ignore"):
            smoothed, khat = arviz().psislw(values)
    else:
        from arviz_stats.base import array_stats

        # ArviZ 1.x takes log likelihoods as in leave-one-out and negates them itself.
        with np.errstate(over="ignore"):
            smoothed, khat = array_stats.psislw(-values)
    return np.asarray(smoothed), float(khat)


def log_mean_of_smoothed(log_weights: np.ndarray, smoothed: np.ndarray) -> float:
    """Return the log of the mean of the weights after smoothing: the log evidence, in nats; NaN without finite ones.

    Parameters
    ----------
    log_weights : ndarray
        Unnormalised, shape ``(S,)``.
    smoothed : ndarray
        The same smoothed and normalised, by :func:`pareto_smooth`.
    """
    if not (np.isfinite(log_weights).all() and np.isfinite(smoothed).all()):
        return float("nan")
    # PSIS smooths the min(S / 5, 3 sqrt(S)) largest; the next below tells what all were divided by.  The least would,
    # too, but for rounding: in narrow necks it is 1e17 nats below.
    count = len(log_weights)
    below = max(count - int(np.ceil(min(count / 5, 3 * np.sqrt(count)))) - 2, 0)
    at = int(np.argpartition(log_weights, below)[below])
    return float(log_weights[at] - smoothed[at] - np.log(count))


class Mixing(NamedTuple):
    """How well chains of one scalar mixed; a number that cannot be computed is NaN."""

    rhat: float
    ess_bulk: float
    ess_tail: float


def mixing(chains: np.ndarray) -> Mixing:
    """Return rank-normalised split R-hat and the effective sample sizes of bulk and tails, by ArviZ.

    Parameters
    ----------
    chains : ndarray
        Draws of one scalar, shape ``(chain, draw)``; R-hat of a single chain is NaN.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), Bayesian Analysis 16(2), doi:10.1214/20-BA1221.
    """
    values = np.ascontiguousarray(chains, np.float64)
    if values.shape[1] < 4:
        return Mixing(*[float("nan")] * 3)
    several = len(values) > 1
    with np.errstate(all="ignore"):  # a chain that is stuck has no variance to divide by
        if arviz_generation() == 0:
            rhat, ess = arviz().rhat, arviz().ess
            found = (rhat(values) if several else np.nan, ess(values), ess(values, method="tail"))
        else:
            from arviz_stats.base import array_stats

            # ArviZ 1.x asks for the probabilities that 0.x takes for granted.
            tail = array_stats.ess(values, method="tail", prob=(0.05, 0.95))
            found = (array_stats.rhat(values) if several else np.nan, array_stats.ess(values), tail)
    return Mixing(*map(float, found))
