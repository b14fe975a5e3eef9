"""How a command ends: with a status that is true, and one line that says why, whatever it is that ends it.

0 all well, 1 a fit failed or got worse, or the disk is full, 2 a wrong request, 3 guidebench failed itself,
130 interrupted, 143 terminated.  Whatever takes long to import is imported inside, where Ctrl-C is one line, too.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn, Self

from guidebench.config.errors import GuidebenchError

#: Exit statuses; the last two are those that shells have for the signals.
FAILED, WRONG, BROKEN, INTERRUPTED, TERMINATED = 1, 2, 3, 130, 143


class TerminatedError(KeyboardInterrupt):
    """The process was asked to end; what is finished is kept, as after Ctrl-C."""


class _Signals:
    """Makes exceptions of the signals that end a program, and remembers them: an import may swallow an exception."""

    def __init__(self) -> None:
        self.status = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        with suppress(ValueError):  # not the main thread, which alone hears signals
            if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as under nohup
                self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._interrupted)
            self._before[signal.SIGTERM] = signal.signal(signal.SIGTERM, self._terminated)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        self.status = INTERRUPTED
        raise KeyboardInterrupt

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        self.status = TERMINATED
        raise TerminatedError


def main() -> NoReturn:
    """Run the command line and exit."""
    _streams()
    with _Signals() as signals:
        try:
            from guidebench.cli.app import command
            from guidebench.plugins.isolation.ending import refused

            with refused():
                status = command()
        except BaseException as error:  # noqa: BLE001 - a traceback is nothing to a user, and no status is to be by chance
            status = _ended(error, signals.status)
        if status == INTERRUPTED:  # what an interrupted run returns
            status = signals.status or INTERRUPTED
            _complain("interrupted" if status == INTERRUPTED else "terminated")
        status = _flushed(status)
    sys.exit(status)


def _ended(error: BaseException, received: int) -> int:
    """Say why a command has ended, and return the status."""
    if isinstance(error, KeyboardInterrupt) or received:
        return INTERRUPTED
    if isinstance(error, GuidebenchError):
        _complain(_told(error))
        return error.status
    if isinstance(error, BrokenPipeError):
        _to_nowhere()
        return 0
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        _complain(f"{error.filename or 'a file'} cannot be written or read: {error.strerror}")
        return WRONG
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        _complain(f"{error.filename or 'standard output'} cannot be written: {error.strerror}")
        return FAILED
    from guidebench.plugins.isolation.whose import whose

    place = whose(error)
    if not isinstance(error, Exception):
        _complain(f"code{place or ' of somebody'} tried to end the program: {_reason(error)}; nothing more was done")
        return FAILED
    from guidebench.cli.log import write_traceback

    log = write_traceback(error)
    at = f"; the traceback is in {log}" if log else ""
    if place:
        _complain(f"code{place} failed: {_reason(error)}{at}")
        return FAILED
    _complain(f"guidebench itself failed: {_reason(error)}{at}")
    return BROKEN


def _reason(error: BaseException) -> str:
    from guidebench.plugins.isolation.failures import reason

    return reason(error)


def _told(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a value of somebody's in it cannot be shown
        return type(error).__name__


def _complain(message: str) -> None:
    from guidebench.config.text import line

    with suppress(OSError, ValueError):
        print(f"guidebench: {line(message)}", file=sys.stderr, flush=True)


def _streams() -> None:
    """Have somewhere to print to, and let no letter that a terminal lacks end a command."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before the program began
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - as long as the process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _flushed(status: int) -> int:
    """Write what is left to be printed; where that cannot be, all else was done."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _to_nowhere()
    except OSError as error:
        _to_nowhere()
        _complain(f"standard output cannot be written: {error.strerror}")
        return status or FAILED
    except ValueError:  # closed by somebody
        _to_nowhere()
    return status


def _to_nowhere() -> None:
    """Print to nowhere from now on, so that Python does not complain on its way out."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
