"""Files that are written whole and stay so: on the disk, under another name, before they take their own.

What a process or a machine that dies leaves behind is the file that was there before, or the new one.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from guidebench.config.errors import DiskFullError

#: What the system calls a disk, a quota, or a file that is as large as it may be.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def put(path: Path, content: bytes, *, settled: bool = True) -> str:
    """Write a file in one step, folders included; return its digest.

    Parameters
    ----------
    path : Path
        Of the file.
    content : bytes
        What it holds.
    settled : bool
        Whether its folder is to know of it for good when this returns, too: not where another file follows there.

    Raises
    ------
    DiskFullError
        Where there is no room for it; what was there before is there still.
    """
    # The temporary file is this process's own, so that two may write the same file at once.
    partial = path.with_name(f".{path.name[:100]}.{os.getpid()}.partial")
    try:
        with full_disk_said(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink()
    if settled:
        settle(path.parent)
    return digest(content)


def settle(folder: Path) -> None:
    """Have the system write down which files are in a folder, where it can."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


@contextmanager
def full_disk_said(path: Path) -> Iterator[None]:
    """Say in one line that a disk is full, where that is why something inside fails."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DiskFullError(
            f"{path} cannot be written: {os.strerror(error.errno).lower()}; what was there before is there still. Make "
            "room and start it again with the same command: it goes on where it stopped"
        ) from error


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's content, as ``sha256sum`` prints it."""
    return hashlib.sha256(content).hexdigest()


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
