"""Reference draws of the user's own, from files and arrays: read strictly, for they are taken for the truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from guidebench.config.errors import RequestError, opt
from guidebench.inference.structure import Site
from guidebench.plugins.isolation.failures import said
from guidebench.results import inference_data as idata

#: Draws that a reference needs at least, in all and in each chain.
LEAST_DRAWS = 100
LEAST_LENGTH = 4


class Given(NamedTuple):
    """Draws by site, shape ``(chain, draw, ...)``, and how many transitions diverged where that is known.

    They may be of some of the sites only.
    """

    chains: dict[str, np.ndarray]
    divergences: int | None = None


def read(file: Path, sites: Sequence[Site]) -> Given:
    """Read draws of these sites, or of some of them, from a file; what else it holds is ignored.

    Parameters
    ----------
    file : Path
        InferenceData (``.nc``, the group ``posterior``); ``.npz`` with an array per site, its first axis
        the draws (or chains, then draws); or ``.csv`` with a column per scalar component, named ``w``,
        ``beta[0]`` or ``theta[1,2]``.
    sites : sequence of Site
        The latent sites, and the deterministic ones.

    Raises
    ------
    RequestError
        With one line that names the file, the site, and what was expected.
    """
    where = f"{opt('reference')} {file}"
    readers = {".nc": _from_netcdf, ".npz": _from_npz, ".csv": _from_csv}
    if not file.is_file():
        raise RequestError(f"{where}: there is no such file")
    return readers[file.suffix.lower()](file, sites, where)


def arrange(
    values: Mapping[str, Any],
    sites: Sequence[Site],
    where: str,
    *,
    partly: bool = False,
    given: Iterable[Any] | None = None,
) -> dict[str, np.ndarray]:
    """Return arrays of draws by site in float64, checked, each of shape ``(chain, draw, ...)``.

    Parameters
    ----------
    values : mapping
        An array per site, of shape ``(draws, ...)`` or ``(chains, draws, ...)``.
    sites : sequence of Site
        The sites that it may tell of.
    where : str
        Begins the messages.
    partly : bool
        Whether some of the sites do.
    given : iterable, optional
        The names of all that there was beside `values`.
    """
    if not sites:
        raise RequestError(f"{where}: the model has no latent sites that it could tell of")
    told = ", ".join(map(str, values if given is None else given)) or "nothing"
    if partly and not any(site.name in values for site in sites):
        raise RequestError(f"{where}: it lacks every site; expected are draws of {_names(sites)}, given is {told}")
    found: dict[str, np.ndarray] = {}
    for site in sites:
        if site.name not in values:
            if partly:
                continue
            raise RequestError(
                f"{where}: it lacks the site {site.name}; expected are draws of {_names(sites)}, given is {told}"
            )
        array = _numbers(values[site.name], f"{where}: site {site.name}")
        after = "".join(f", {size}" for size in site.shape)
        if array.shape[1:] == site.shape and array.ndim:
            array = array[None]
        if array.ndim != 2 + len(site.shape) or array.shape[2:] != site.shape:
            raise RequestError(
                f"{where}: site {site.name} has shape {array.shape}; "
                f"expected is (draws{after or ','}) or (chains, draws{after})"
            )
        if not array.size:
            raise RequestError(f"{where}: site {site.name} has no draws")
        if not np.isfinite(array).all():
            raise RequestError(
                f"{where}: site {site.name} has {np.sum(~np.isfinite(array)):,} values that are no finite numbers"
            )
        found[site.name] = array
    sizes = {name: array.shape[:2] for name, array in found.items()}
    first = next(iter(sizes))
    for name, (chains, draws) in sizes.items():
        if (chains, draws) != sizes[first]:
            raise RequestError(
                f"{where}: site {name} has {chains} x {draws} draws; expected are "
                f"{sizes[first][0]} x {sizes[first][1]}, as of {first}"
            )
    total = sizes[first][0] * sizes[first][1]
    if total < LEAST_DRAWS or sizes[first][1] < LEAST_LENGTH:
        raise RequestError(
            f"{where}: {sizes[first][0]} chain(s) of {sizes[first][1]} draws are too few to measure anything against; "
            f"at least {LEAST_DRAWS} draws are needed"
        )
    return found


def _names(sites: Sequence[Site]) -> str:
    return ", ".join(site.name for site in sites)


def _numbers(value: Any, where: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise RequestError(f"{where} holds no numbers")
    return array.astype(np.float64)


def _unreadable(where: str, error: Exception) -> RequestError:
    return RequestError(f"{where} cannot be read: {said(error, 200)}")


def _from_netcdf(file: Path, sites: Sequence[Site], where: str) -> Given:
    try:
        data = idata.load(file)
    except Exception as error:  # noqa: BLE001 - what a broken NetCDF file makes h5py and xarray raise is not documented
        raise _unreadable(where, error) from None
    posterior, stats = idata.group(data, "posterior"), idata.group(data, "sample_stats")
    if posterior is None:
        raise RequestError(f"{where}: it has no group posterior; expected is InferenceData")
    values = {}
    for site in sites:
        if site.name in posterior:
            dims = posterior[site.name].dims
            if not {"chain", "draw"} <= set(dims):
                raise RequestError(
                    f"{where}: site {site.name} has the dims {dims}; expected are chain, draw and its own"
                )
            values[site.name] = posterior[site.name].transpose("chain", "draw", ...).to_numpy()
    diverging = None if stats is None or "diverging" not in stats else int(stats["diverging"].sum())
    return Given(arrange(values, sites, where, partly=True, given=posterior), diverging)


def _from_npz(file: Path, sites: Sequence[Site], where: str) -> Given:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            values = {site.name: arrays[site.name] for site in sites if site.name in arrays}
            given = list(arrays)
    except (OSError, ValueError, EOFError, BadZipFile, AttributeError, TypeError) as error:
        raise _unreadable(where, error) from None
    return Given(arrange(values, sites, where, partly=True, given=given))


def _from_csv(file: Path, sites: Sequence[Site], where: str) -> Given:
    import pandas as pd

    try:
        table = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise _unreadable(where, error) from None
    values = {}
    for site in sites:
        names = [
            f"{site.name}[{','.join(map(str, index))}]" if index else site.name for index in np.ndindex(site.shape)
        ]
        lacking = [name for name in names if name not in table]
        if len(lacking) == len(names):
            continue
        if lacking:
            raise RequestError(f"{where}: it lacks the column {lacking[0]!r} of site {site.name}")
        columns = [_numbers(table[name], f"{where}: column {name!r} of site {site.name}") for name in names]
        values[site.name] = np.stack(columns, axis=1).reshape(len(table), *site.shape)
    return Given(arrange(values, sites, where, partly=True, given=table))
