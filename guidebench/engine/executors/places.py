"""Where a module of the user's is, so that another process can import the very same."""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from guidebench.config.errors import GuidebenchError, RequestError
from guidebench.engine.keys.sources import origin
from guidebench.request.loading.objects import PREFIX, importable, load_module


class TravelError(GuidebenchError):
    """Something cannot go to another process, or cannot be had there."""


class Place(NamedTuple):
    """A module of the user's.

    `file` is where it is written down, `folder` what has to be on the path to import it by its name (nothing for a
    file that is imported by itself), and `digest` what the file says.
    """

    module: str
    file: str
    folder: str
    digest: str


def place_of(module: ModuleType | None) -> Place | None:
    """Return where a module is, or ``None`` where another process finds it without being told."""
    file = getattr(module, "__file__", None)
    if module is None or not isinstance(file, str) or module.__name__ == "__main__":
        return None
    name, path = module.__name__, Path(_file(module))
    if name.startswith(PREFIX):
        return Place(name, str(path), "", name.rpartition("_")[2])
    if origin(name) != "user":
        return None
    root = path.parent
    for _ in range(name.count(".") + (path.name == "__init__.py")):
        root = root.parent
    return Place(name, str(path), str(root), _digest(module))


#: What files said when somebody first asked, by module and by how that was imported: to reload it is to import anew.
_said: dict[str, tuple[object, str]] = {}


def _digest(module: ModuleType) -> str:
    """Return what the file of a module says, as it was when somebody first asked: soon after it was imported."""
    spec, digest = _said.get(module.__name__, (None, ""))
    if spec is None or spec is not module.__spec__:
        digest = hashlib.sha256(Path(_file(module)).read_bytes()).hexdigest()
        _said[module.__name__] = module.__spec__, digest
    return digest


def settle(place: Place) -> None:
    """Import a module from its place, unless it is there already.

    Raises
    ------
    TravelError
        Where it cannot be had, or says something else here.
    """
    try:
        found = sys.modules.get(place.module) or _imported(place)
        # The name of a file that is imported by itself has the digest in it.
        same = found.__name__ == place.module and (not place.folder or _digest(found) == place.digest)
    except (RequestError, ImportError, OSError) as error:
        raise TravelError(f"{place.file} cannot be imported by the process that ran the task: {error}") from error
    if not same:
        raise TravelError(f"{place.file} has changed since the run began, or is another file where the task ran")


def _imported(place: Place) -> ModuleType:
    if not place.folder:
        return load_module(place.file)
    with importable(Path(place.folder)):
        return importlib.import_module(place.module)


def _file(module: ModuleType) -> str:
    return str(Path(module.__file__ or "").resolve())
