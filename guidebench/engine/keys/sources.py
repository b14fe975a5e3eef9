"""Where code comes from, and a digest of what it says: guidebench's own, installed packages, the user's files.

A version number stands for an installed package together with what it requires.  guidebench's own sources
are read, because those of a development install change under one version, and so are the user's.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module, metadata
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path, PurePath
from types import ModuleType
from typing import Literal

from guidebench.engine.keys.environment import PACKAGES

#: Python itself; what every result says the version of; another installed package; code of the user's.
Origin = Literal["python", "base", "installed", "user"]

#: Import packages whose sources :func:`own` reads.
OWN = ("guidebench", "guidebench_guides")

#: Parts of guidebench that only show, keep or check numbers, and may change without changing any.
_ONLY_SHOWN = tuple(map(PurePath, ("cli", "engine/progress", "report", "testing")))

_SITE = {"site-packages", "dist-packages"}


def origin(name: str) -> Origin:
    """Return where the module called `name` comes from."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return "python"
    if top in (*OWN, *PACKAGES):
        return "base"
    file = _file(name)
    return "installed" if file is not None and _SITE.intersection(file.parts) else "user"


@cache
def own() -> str:
    """Return a digest of all sources of guidebench's that numbers can depend on."""
    digest = hashlib.sha256()
    for top in OWN:
        folder = _folder(top)
        for file in () if folder is None else sorted(folder.rglob("*.py")):
            place = file.relative_to(folder)  # type: ignore[arg-type]
            if not any(place.is_relative_to(one) for one in _ONLY_SHOWN):
                digest.update(f"\n{top}/{place.as_posix()}\n".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def installed(name: str) -> str:
    """Return what stands for the installed package that the module called `name` is in, and for what it requires."""
    top = name.partition(".")[0]
    found: dict[str, str] = {}
    for distribution in _distributions(top):
        _collect(distribution, found)
    return f"{top}: {', '.join(f'{one} {version}' for one, version in sorted(found.items()))}"


def written(name: str) -> str:
    """Return a digest of the files of the user's module called `name`: its own, or all of the package it is in."""
    top = name.partition(".")[0]
    folder = _folder(top)
    file = _file(name)
    digest = hashlib.sha256()
    for one in sorted(folder.rglob("*.py")) if folder is not None else (file,):
        if one is not None and one.is_file():
            digest.update(f"\n{one.name if folder is None else one.relative_to(folder).as_posix()}\n".encode())
            digest.update(one.read_bytes())
    return digest.hexdigest()


def loaded(name: str) -> ModuleType | None:
    """Return a module: one of the user's is imported if it is not yet, for the code that names it will do so, too."""
    if name not in sys.modules and origin(name) == "user":
        with suppress(Exception):
            return import_module(name)
    return sys.modules.get(name)


def _folder(top: str) -> Path | None:
    """Return the folder of a package, or ``None`` for a module in one file."""
    found = sys.modules.get(top)
    paths = getattr(found, "__path__", None)
    if found is None:
        spec = _spec(top)
        paths = None if spec is None else spec.submodule_search_locations
    first = next(iter(paths or ()), None)
    return None if first is None else Path(first)


def _file(name: str) -> Path | None:
    found = sys.modules.get(name) or sys.modules.get(name.partition(".")[0])
    file = getattr(found, "__file__", None)
    if found is None:  # a package that is not loaded is only looked for: to import it may take long
        spec = _spec(name.partition(".")[0])
        file = None if spec is None or not spec.has_location else spec.origin
    return Path(file).resolve() if isinstance(file, str) else None


def _spec(top: str) -> ModuleSpec | None:
    try:
        return find_spec(top)
    except (ImportError, ValueError):
        return None


def _distributions(top: str) -> Iterable[str]:
    try:
        metadata.distribution(top)
    except metadata.PackageNotFoundError:
        return _by_package().get(top, ())
    return (top,)


@cache
def _by_package() -> dict[str, list[str]]:
    return {name: list(found) for name, found in metadata.packages_distributions().items()}


def _collect(name: str, found: dict[str, str]) -> None:
    """Add the version of a distribution, and those of all that it requires, as far as they are installed."""
    normal = re.sub(r"[-_.]+", "-", name).lower()
    if normal in found or normal in PACKAGES:
        return
    try:
        one = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return
    # The list of files with their hashes tells apart two builds of one version.
    files = hashlib.sha256((one.read_text("RECORD") or "").encode()).hexdigest()[:16]
    found[normal] = f"{one.version} {files}"
    for required in _required(one):
        _collect(required, found)


def _required(one: metadata.Distribution) -> Iterator[str]:
    for text in one.requires or ():
        if re.search(r";.*\bextra\b", text):
            continue
        name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", text)
        if name is not None:
            yield name[0]
