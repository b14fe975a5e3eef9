"""Whether the report in the folder of a run is the one that would be written again: then it stands as it is.

That is so where every fit is kept from earlier runs, the results are to the last digit those that lie there, no file of
them has changed, and what draws the report is what drew that one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import guidebench
from guidebench.config.sealed import unsealed
from guidebench.plugins.isolation.failures import OWN
from guidebench.plugins.registry import Registered
from guidebench.results import Comparison
from guidebench.results.asjson import plain
from guidebench.results.files import digest_of, put
from guidebench.results.store import FILES, KEPT, RESULTS

#: Says what drew the report, in the folder of what a run keeps.
STAMP = "report"

#: What draws beside guidebench itself.
_DRAWING = ("matplotlib", "seaborn", "jinja2", "pandas", "numpy", "arviz")

#: What is said of a run that changes from one to the next though the results are the same.
_PASSING = ("kept", "failures")


def stamped(folder: Path) -> bool:
    """Return whether there is a report that may stand."""
    return (folder / KEPT / STAMP).is_file()


def stamp(folder: Path, sections: Sequence[Registered[Any]]) -> None:
    """Note what drew the report in a folder, where it is all guidebench's own; a folder that is full has no note."""
    with suppress(OSError):
        if all(one.distribution == OWN for one in sections):
            put(folder / KEPT / STAMP, _drawn_by().encode("ascii"))
        else:
            (folder / KEPT / STAMP).unlink(missing_ok=True)


def stands(comparison: Comparison, folder: Path) -> bool:
    """Return whether the results and the report in a folder are those of a comparison.

    Parameters
    ----------
    comparison : Comparison
        What a run has come to.
    folder : Path
        Of its results.
    """
    if comparison.interrupted or not 0 < len(comparison) == comparison.kept or not stamped(folder):
        return False
    with suppress(OSError, ValueError, KeyError, TypeError):  # whatever is wrong there, it is written anew
        if (folder / KEPT / STAMP).read_text(encoding="ascii") != _drawn_by():
            return False
        there = unsealed((folder / RESULTS).read_bytes(), always=True)
        now = json.loads(json.dumps(plain(comparison)))
        same = all(there[name] == value for name, value in now.items() if name not in _PASSING)
        whole = all(digest_of(folder / name) == digest for name, digest in there[FILES].items())
        return same and whole and "report.html" in there[FILES] and there["failures"] == now["failures"]
    return False


def _drawn_by() -> str:
    """Return a digest of guidebench's sources, and of the versions of what it draws with."""
    found = hashlib.sha256()
    root = Path(guidebench.__file__).parent
    for file in sorted(root.rglob("*")):
        if file.is_file() and file.suffix != ".pyc":
            found.update(f"{file.relative_to(root)}\0".encode())
            found.update(file.read_bytes())
    for name in _DRAWING:
        found.update(f"{name} {version(name)}\n".encode())
    return found.hexdigest()
