"""How a command ends: with a status that is true, and one line that says why, whatever it is that ends it.

0 all well, 1 a fit failed or got worse, or the disk is full, 2 a wrong request, 3 guidebench failed itself,
130 interrupted, 143 terminated.  Whatever takes long to import is imported inside, where Ctrl-C is one line, too.
"""

from __future__ import annotations

import _thread
import atexit
import errno
import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn, Self

from guidebench.config.errors import GuidebenchError

#: Exit statuses; the last two are those that shells have for the signals.
FAILED, WRONG, BROKEN, INTERRUPTED, TERMINATED = 1, 2, 3, 130, 143

#: What a path may be that was given: kept from us, or none.
_OF_A_PATH = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP}

#: Letters of a path that are shown.
LONGEST = 300

#: Seconds that a signal waits for an import to end, at most, and between two looks.
PATIENCE, AGAIN = 5.0, 0.05


class StoppedError(KeyboardInterrupt):
    """Somebody wants the program to end: what is finished is kept.

    Not KeyboardInterrupt itself: where that passes code of a string, Python ends in a way of its own afterwards.
    """


class _Signals:
    """Makes an exception of the signals that end a program, and remembers which it was."""

    def __init__(self) -> None:
        self.status = 0
        self._before: dict[signal.Signals, Any] = {}
        self._before_hook = sys.unraisablehook
        self._times = 0

    def __enter__(self) -> Self:
        with suppress(ValueError):  # not the main thread, which alone hears signals
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                    self._before[number] = signal.signal(number, self._stop)
        sys.unraisablehook = self._unraised
        return self

    def __exit__(self, *error: object) -> None:
        sys.unraisablehook = self._before_hook
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.status = TERMINATED if number == signal.SIGTERM else INTERRUPTED
        self._times += 1
        if self._times < PATIENCE / AGAIN and _imports(frame):
            self._send()
        else:
            raise StoppedError

    def _unraised(self, unraisable: Any) -> None:
        """Send the signal again where Python was in a callback, out of which no exception comes.

        Anything else is for the log: it is what somebody's object says when it is thrown away.
        """
        if isinstance(unraisable.exc_value, StoppedError):
            self._send()
        else:
            from guidebench.cli.log import unraised

            unraised(unraisable.exc_value)

    def _send(self) -> None:
        """Send the signal again, a little later."""
        number = signal.SIGTERM if self.status == TERMINATED else signal.SIGINT
        _thread.start_new_thread(_kill, (number,))  # the other kind waits, and may wait until the signal is there


def _kill(number: int) -> None:
    time.sleep(AGAIN)
    os.kill(os.getpid(), number)


def _imports(frame: FrameType | None) -> bool:
    """Return whether a module is being imported: compiled ones do not all outlive an exception there."""
    while frame is not None:
        if frame.f_globals.get("__name__") == "importlib._bootstrap":
            return True
        frame = frame.f_back
    return False


def program() -> NoReturn:
    """Run the command line as the whole of a process, which ends with it.

    Ctrl-C changes its status no more then, nor does what somebody has registered for the exit, and no thread of
    somebody's holds it up.
    """
    try:
        main()
    except SystemExit as ended:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _leave(int(ended.code or 0))
    raise AssertionError("a command ends with a status")


def _leave(status: int) -> NoReturn:
    from guidebench.plugins.isolation.ending import end, refused

    sys.unraisablehook = lambda _: None
    with refused():
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or taken away
            stream.flush()
    end(status)
    raise AssertionError("this is after the end")


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
    if isinstance(error, OSError) and error.errno in _OF_A_PATH:
        _complain(f"{str(error.filename or 'a file')[:LONGEST]} cannot be written or read: {error.strerror}")
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
