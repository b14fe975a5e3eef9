"""A posterior database in a folder: which one, and how to read it.

Its layout is that of the database's own repository, a part of it or a clone.  Files are JSON, zipped:
nothing that is read is ever executed.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guidebench import RequestError

#: The environment's name for the folder.
VARIABLE = "GUIDEBENCH_POSTERIORDB"

#: In the place of a folder: fetch the database.
DOWNLOAD = "download"

#: Where the database lies in a clone of its repository.
IN_CLONE = "posterior_database"

#: Uncompressed bytes of one file that are read at most: the largest of the database has a tenth of it.
LARGEST = 500_000_000


def locate(path: str | None) -> Database:
    """Return the database that the user points at.

    Parameters
    ----------
    path : str or None
        A folder; ``download`` for a pinned version from the network, kept in the user's cache; ``None``
        for what the environment says.

    Raises
    ------
    RequestError
        Where nothing is pointed at, or not at a database.
    """
    option = RequestError.opt("posteriordb")
    where = option if path is not None else VARIABLE
    given = path if path is not None else os.environ.get(VARIABLE)
    if not given:
        raise RequestError(
            "the posteriors need the posterior database (github.com/stan-dev/posteriordb): give its folder as "
            f"{option} PATH, as {VARIABLE} or as posteriordb in the configuration; {option} download fetches "
            "what is needed"
        )
    if given == DOWNLOAD:
        from guidebench_posteriordb.download import fetch

        return Database(folder=fetch())
    folder = Path(given).expanduser()
    for candidate in (folder, folder / IN_CLONE):
        if (candidate / "posteriors").is_dir() and (candidate / "data").is_dir():
            return Database(folder=candidate)
    what = "has no folders posteriors and data" if folder.is_dir() else "is no folder"
    raise RequestError(f"{where} {given}: it {what}; expected is a clone of github.com/stan-dev/posteriordb")


@dataclass(frozen=True)
class Database:
    """A folder with posteriors, their data and their reference draws."""

    folder: Path

    def posterior(self, name: str) -> dict[str, Any]:
        """Return what belongs together: the names of the data and of the reference draws."""
        return _mapping(self.folder / "posteriors" / f"{name}.json", self._read(f"posteriors/{name}.json"))

    def data(self, name: str) -> dict[str, Any]:
        """Return the data of a posterior by name."""
        data = self._part(name, "data_name")
        file = f"data/data/{data}.json.zip"
        return _mapping(self.folder / file, self._unzip(file))

    def draws(self, name: str) -> tuple[list[Mapping[str, Any]], int | None]:
        """Return the chains of the reference draws of a posterior, and how many transitions diverged."""
        reference = self._part(name, "reference_posterior_name")
        file = f"reference_posteriors/draws/draws/{reference}.json.zip"
        chains = self._unzip(file)
        if not isinstance(chains, list) or not chains or not all(isinstance(chain, dict) for chain in chains):
            raise RequestError(f"{self.folder / file}: expected is a list of chains")
        told = self.folder / f"reference_posteriors/draws/info/{reference}.info.json"
        info = _mapping(told, self._read(f"reference_posteriors/draws/info/{reference}.info.json"))
        diverged = (info.get("diagnostics") or {}).get("divergent_transitions")
        return chains, None if diverged is None else int(sum(diverged if isinstance(diverged, list) else [diverged]))

    def _part(self, name: str, key: str) -> str:
        part = self.posterior(name).get(key)
        if not isinstance(part, str) or "/" in part or "\\" in part:
            raise RequestError(f"{self.folder / 'posteriors' / name}.json: it has no {key}")
        return part

    def _read(self, file: str) -> Any:
        path = self.folder / file
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RequestError(f"{path}: there is no such file in the posterior database") from None
        except (OSError, ValueError, RecursionError) as error:
            raise RequestError(f"{path} cannot be read: {error}") from None

    def _unzip(self, file: str) -> Any:
        path = self.folder / file
        try:
            with zipfile.ZipFile(path) as archive:
                (member,) = archive.infolist()
                if member.file_size > LARGEST:
                    raise ValueError(f"it holds {member.file_size:,} bytes")
                return json.loads(archive.read(member))
        except FileNotFoundError:
            raise RequestError(f"{path}: there is no such file in the posterior database") from None
        except (OSError, ValueError, RecursionError, zipfile.BadZipFile, NotImplementedError) as error:
            raise RequestError(f"{path} cannot be read: {error}") from None


def _mapping(path: Path, found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise RequestError(f"{path}: expected is a table of values by name")
    return found
