"""The folder of a run: whose it is, and whether there is room in it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from guidebench.config.errors import DiskFullError, RequestError

if TYPE_CHECKING:
    from guidebench.contracts import Problem

#: Bytes that a run takes, at least: for the report on a problem, and for the draws of a fit.
OF_A_REPORT = 4_000_000
OF_A_FIT = 1_000_000


def claim_of(problems: Sequence[Problem], targets: Sequence[str], out: Path) -> str:
    """Return which problems a run is about, as a digest: the user's own by their files, as seen from `out`."""
    own = {_place(target, out) for target in targets if ":" in target or target.endswith(".py")}
    return _marked(sorted({*own, *(one.name for one in problems)}))


def _place(target: str, out: Path) -> str:
    file, ending, rest = target.partition(".py")
    return f"{os.path.relpath(file + ending, out)}{rest}" if ending and rest[:1] in ("", ":") else target


def _marked(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


def check_out(folder: Path) -> None:
    """Refuse a folder that cannot be written, before anything is trained."""
    found = _there(folder)
    if not found.is_dir():
        raise RequestError(f"{found} is a file, so no results can be written to {folder}", option="out")
    if not os.access(found, os.W_OK):
        raise RequestError(f"no permission to write to {found}", option="out")


def check_room(folder: Path, problems: int, guides: int) -> None:
    """Refuse to train what there is no room for.

    Raises
    ------
    DiskFullError
        Where the disk has less room than the smallest results of so many problems and guides take.
    """
    found = _there(folder)
    needed = problems * (OF_A_REPORT + guides * OF_A_FIT)
    try:
        free = shutil.disk_usage(found).free
    except OSError:
        return
    if free < needed:
        raise DiskFullError(
            f"{folder}: {free / 1e6:.1f} MB are free on the disk and the results will take {needed / 1e6:.0f} MB or "
            "more; make room, or write elsewhere with --out. Nothing was trained"
        )


def _there(folder: Path) -> Path:
    return next(part for part in (folder, *folder.parents) if part.exists())
