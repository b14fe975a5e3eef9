"""Whose a folder of results is while somebody writes into it.

The lock is the system's own (``flock``) on a file in the folder, so that it ends with the process that has it, however
that ends: what is left of one that was killed is in nobody's way.  The file says who has it; on a file system without
locks, whether that process is still there decides.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from guidebench.config.errors import FolderInUseError
from guidebench.results.files import full_disk_said

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

#: In the folder of the results.
LOCK = ".lock"

#: What the system says where a file system knows no locks.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class _Held(NamedTuple):
    """A lock of this process: how often it is taken, the open file, and the folders that were made for it."""

    times: int
    opened: int
    made: tuple[Path, ...]


_held: dict[Path, _Held] = {}
_guard = threading.RLock()


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Have a folder of results to oneself inside the block; it is made where it does not exist.

    Whoever writes into it may be called by who does. A folder that was made and stayed empty is removed.

    Raises
    ------
    FolderInUseError
        Where another process has it.
    """
    place = folder.resolve()
    with _guard:
        known = _held.get(place) or _taken(folder)
        _held[place] = known._replace(times=known.times + 1)
    try:
        yield
    finally:
        with _guard:
            left = _held.pop(place)
            if left.times > 1:
                _held[place] = left._replace(times=left.times - 1)
            else:
                _release(folder, left)


def _taken(folder: Path) -> _Held:
    made = tuple(one for one in (folder, *folder.parents) if not one.exists())
    with full_disk_said(folder):
        folder.mkdir(parents=True, exist_ok=True)
    file = folder / LOCK
    while True:
        with full_disk_said(file):
            opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(opened, folder)
            if _is_there(file, opened):  # who had it before may have removed it meanwhile
                owner = {"pid": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
                with suppress(OSError):  # on a full disk it does not say whose it is
                    os.truncate(opened, 0)
                    os.pwrite(opened, json.dumps(owner).encode(), 0)
                return _Held(0, opened, made)
        except BaseException:
            os.close(opened)
            raise
        os.close(opened)


def _lock(opened: int, folder: Path) -> None:
    try:
        if fcntl is None:
            raise OSError(errno.ENOSYS, "no locks")
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FolderInUseError(_in_use(folder, _owner(opened))) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        owner = _owner(opened)
        if owner.get("pid") != os.getpid() and _lives(owner):
            raise FolderInUseError(_in_use(folder, owner)) from None


def _in_use(folder: Path, owner: dict[str, Any]) -> str:
    who = f" (process {owner['pid']} on {owner['host']}, since {owner['since']})" if len(owner) >= 3 else ""
    return f"another guidebench writes into {folder}{who}: wait until it has ended, or write elsewhere"


def _owner(opened: int) -> dict[str, Any]:
    try:
        found = json.loads(os.pread(opened, 4096, 0))
        return {name: found[name] for name in ("pid", "host", "since")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _lives(owner: dict[str, Any]) -> bool:
    if owner.get("host") != platform.node() or not isinstance(owner.get("pid"), int):
        return bool(owner) and owner.get("host") != platform.node()  # of another machine's nobody here can tell
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _is_there(file: Path, opened: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(opened))
    except OSError:
        return False


def _release(folder: Path, held: _Held) -> None:
    with suppress(OSError):
        (folder / LOCK).unlink()
    os.close(held.opened)
    with suppress(OSError):  # where there is something in it by now
        for one in held.made:
            one.rmdir()
