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
from pathlib import Path
from types import ModuleType
from typing import Literal

from guidebench.engine.keys.environment import PACKAGES
from guidebench.plugins.hookspecs import PROJECT

#: Python itself; what every result says the version of; another installed package; code of the user's.
Origin = Literal["python", "base", "installed", "user"]

#: Import packages whose sources :func:`own` reads.
OWN = ("guidebench", "guidebench_guides")

#: The imports of a module, and the block of those that are for a type checker only.
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|.*)|import[ \t]+([\w., \t]+))", re.MULTILINE
)
_FOR_TYPES = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t]+.*\n|\n)+", re.MULTILINE)

#: The hooks whose declarations have a part in numbers.
_COMPUTING = ("def guidebench_guides(", "def guidebench_problems(", "def guidebench_metrics(")

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
def own(*roots: str) -> str:
    """Return a digest of all sources of guidebench's that numbers can depend on.

    These are the modules called `roots`, those that declare its own guides, problems and metrics with all beside
    them, and whatever any of them imports.  It is made of what they say, not of where they are.

    Parameters
    ----------
    *roots : str
        Names of modules in which everything that computes is reached.
    """
    left = [*roots, *_declaring()]
    found: dict[str, str] = {}
    while left:
        name = left.pop()
        if name not in found and (text := _text(name)) is not None:
            found[name] = hashlib.sha256(text.encode()).hexdigest()
            left.extend(_imported(text))
    return hashlib.sha256("\n".join(sorted(found.values())).encode()).hexdigest()


def _declaring() -> Iterator[str]:
    """Yield the modules that declare guidebench's own guides, problems and metrics, and all in the same packages."""
    for point in metadata.entry_points(group=PROJECT):
        text = _text(point.module) if point.module.partition(".")[0] in OWN else None
        if text is None or not any(hook in text for hook in _COMPUTING):
            continue
        path = _path(point.module)
        package, folder = (point.module, path) if path.is_dir() else (point.module.rpartition(".")[0], path.parent)
        yield package
        yield from (f"{package}.{file.stem}" for file in folder.glob("*.py"))


def _imported(text: str) -> Iterator[str]:
    """Yield the modules of guidebench's that a source imports, wherever in it; what is no module is among them."""
    for source, names, plain in _IMPORT.findall(_FOR_TYPES.sub("", text)):
        for one in [source] if source else re.split(r"[,\s]+", plain):
            if one.partition(".")[0] in OWN:
                yield one
                yield from (f"{one}.{name}" for name in re.findall(r"\w+", names))


def _path(name: str) -> Path:
    """Return where a module of guidebench's is: the folder of a package, and otherwise its file without the suffix."""
    top, *parts = name.split(".")
    return (_folder(top) or Path(top)).joinpath(*parts)


def _text(name: str) -> str | None:
    """Return what a module of guidebench's says, or ``None`` where there is no such module."""
    path = _path(name)
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file.read_text(encoding="utf-8") if file.is_file() else None


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
