"""Writing the project from its templates."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from tempfile import mkdtemp

from guidebench import __version__
from guidebench.cli.new.names import check_name
from guidebench.config.errors import RequestError

#: The file that each template becomes.
FILES: Mapping[str, str] = {
    "pyproject.toml.txt": "pyproject.toml",
    "module.py.txt": "{module}.py",
    "test_module.py.txt": "tests/test_{module}.py",
    "README.md.txt": "README.md",
    "ci.yml.txt": ".github/workflows/ci.yml",
    "gitignore.txt": ".gitignore",
}

#: Licences by SPDX identifier.
LICENCES = ("Apache-2.0", "MIT", "BSD-3-Clause")


def create(name: str, parent: Path, *, licence: str = "Apache-2.0", author: str | None = None) -> Path:
    """Write a guide plugin into a new folder and return it.

    Parameters
    ----------
    name : str
        Of the folder and the distribution; the module and the guide have ``_`` in the place of ``-``.
    parent : Path
        Where the folder is made.
    licence : str
        SPDX identifier: one of `LICENCES`.
    author : str, optional
        Who holds the copyright.

    Raises
    ------
    RequestError
        Where the name or the licence will not do, or the folder cannot be made; nothing is written then.
    """
    module = check_name(name)
    if licence not in LICENCES:
        raise RequestError(f"choose one of {', '.join(LICENCES)}", option="license", value=licence)
    author = f"The authors of {name}" if author is None else " ".join(author.split())
    if not author:
        raise RequestError("should be a name", option="author")
    folder = parent / name
    if folder.exists() or folder.is_symlink():
        raise RequestError(f"new {name}: {name} is there already; choose another name, or move it away")
    words = {
        "name": name,
        "module": module,
        "licence": licence,
        "author": author,
        "version": ".".join(__version__.split(".")[:2]),
        "year": str(datetime.now(UTC).year),
    }
    try:
        _write(folder, words)
    except OSError as error:
        raise RequestError(f"new {name}: {folder} cannot be written: {error.strerror}") from None
    return folder


def _write(folder: Path, words: Mapping[str, str]) -> None:
    """Fill a folder beside the one that is asked for, then move it there in one step."""
    beside = Path(mkdtemp(prefix=".new-", dir=folder.parent))
    partial = beside / folder.name
    try:
        for template, target in FILES.items():
            path = partial / target.format(**words)
            path.parent.mkdir(parents=True, exist_ok=True)
            quoted = {**words, "author": json.dumps(words["author"], ensure_ascii=False)[1:-1]}
            path.write_text(_read(template).format(**quoted), encoding="utf-8")
        (partial / "LICENSE").write_text(_licence(words), encoding="utf-8")
        partial.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _licence(words: Mapping[str, str]) -> str:
    text = _read(f"{words['licence']}.txt")
    # The Apache licence has placeholders of its own, and is left as it is.
    return text if words["licence"] == "Apache-2.0" else text.format(**words)


def _read(template: str) -> str:
    return (files("guidebench.cli.new") / "templates" / template).read_text(encoding="utf-8")
