"""Replacing the results of a folder by others as a whole.

All files are written into ``.saving`` beside those that are there, ``results.json`` last: with it they are complete.
Only then each takes its place, ``results.json`` last again.  Before that moment nothing of the earlier results has
changed, and after it whoever comes next finishes what a process that was killed has left; a full disk is before it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Self

from guidebench.config.sealed import unsealed
from guidebench.results.files import digest_of, full_disk_said, put, settle

#: The folder of what is being written, in that of the results.
SAVING = ".saving"


class Staging:
    """Takes the files of new results, and puts all of them in the place of those before.

    Parameters
    ----------
    folder : Path
        Of the results.
    last : str
        The file that makes them complete.
    """

    def __init__(self, folder: Path, last: str) -> None:
        self._folder, self._last = folder, last
        self._stage = folder / SAVING
        shutil.rmtree(self._stage, ignore_errors=True)

    def write(self, name: str, content: bytes) -> str:
        """Write a file, `name` being its path in the folder; return its digest."""
        return put(self._stage / name, content, settled=False)

    def take(self, name: str, file: Path, *, share: bool) -> str:
        """Take a file that is there already, without a copy where it may be shared; return its digest."""
        target = self._stage / name
        with full_disk_said(self._folder / name):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                if not share:
                    raise OSError
                os.link(file, target)
            except OSError:  # not every file system has hard links
                return put(target, file.read_bytes(), settled=False)
        return digest_of(target)

    def complete(self, content: bytes, stale: Collection[Path]) -> None:
        """Write the last file, and let all take their places; remove what is `stale`."""
        with full_disk_said(self._folder / self._last):
            for file in self._stage.rglob("*"):
                if file.is_dir():
                    (self._folder / file.relative_to(self._stage)).mkdir(parents=True, exist_ok=True)
            put(self._stage / self._last, content, settled=False)
            _publish(self._folder, self._last, stale)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the earlier results as they are, where these were not complete."""
        if not (self._stage / self._last).exists():
            shutil.rmtree(self._stage, ignore_errors=True)


def finish(folder: Path, last: str, stale: Callable[[Path], Collection[Path]]) -> None:
    """Put in place what a process that was killed had complete, and remove what it had not.

    ``stale(stage)`` returns the files that what is complete there makes useless.
    """
    stage = folder / SAVING
    if not stage.exists():
        return
    try:
        unsealed((stage / last).read_bytes())
    except (OSError, ValueError):
        shutil.rmtree(stage, ignore_errors=True)
    else:
        _publish(folder, last, stale(stage))


def _publish(folder: Path, last: str, stale: Collection[Path]) -> None:
    stage = folder / SAVING
    settle(stage)
    for file in sorted(stage.rglob("*")):
        name = file.relative_to(stage)
        if file.is_file() and str(name) != last:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            file.replace(folder / name)
    for file in stale:
        with suppress(OSError):
            file.unlink()
    (stage / last).replace(folder / last)
    settle(folder)
    shutil.rmtree(stage, ignore_errors=True)
