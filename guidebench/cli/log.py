"""``run.log``: what happened in a run, when, and the traceback of whatever failed.

It is there once there is something to keep, so that a request that is refused leaves nothing.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from guidebench.config.errors import GuidebenchError
from guidebench.config.text import shown

if TYPE_CHECKING:
    from guidebench.engine.events import Event
    from guidebench.plugins.isolation.failures import Failure

#: In the folder of the results.
LOG = "run.log"

#: Bytes beyond which a new run begins a new log.
LONGEST = 2_000_000

_LOGGER = logging.getLogger("guidebench")

#: Of an exception: the log that has its traceback.
_WRITTEN = "_guidebench_log"


class _File(logging.Handler):
    """Writes records into a file, from when it is begun; those before are not lost."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self._waiting: list[str] | None = []
        self.setFormatter(_Shown("%(asctime)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; a log that cannot be written is no reason to stop."""
        with suppress(Exception):
            text = self.format(record) + "\n"
            if self._waiting is None:
                self._append(text)
            else:
                self._waiting.append(text)

    def begin(self) -> None:
        """Write what there is, and all that follows as it comes."""
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            with suppress(OSError):
                new = not self.file.exists() or self.file.stat().st_size > LONGEST
                self._append("".join(waiting), "w" if new else "a")

    def _append(self, text: str, mode: str = "a") -> None:
        with self.file.open(mode, encoding="utf-8", errors="backslashreplace") as opened:
            opened.write(text)


class Log:
    """Reads the events of a run, as whoever keeps or shows its results does."""

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin = begin
        self._where = ""

    def __call__(self, event: Event) -> None:
        """Take one event."""
        from guidebench.engine import events
        from guidebench.results.work import CALLED

        match event:
            case events.RunBegan(fits, problems):
                _LOGGER.info("%d fits on %d problems", fits, problems)
            case events.ProblemRemarked(problem, text):
                _LOGGER.warning("%s: %s", problem, text)
            case events.Warned(problem, guide, text):
                _LOGGER.warning("%s: %s", ": ".join(filter(None, (problem, guide))) or "before any fit", text)
            case events.PhaseBegan(problem, guide, phase):
                _LOGGER.debug("%s: %s", ": ".join(filter(None, (problem, guide))), phase)
            case events.PhaseEnded(problem, guide, phase, work):
                _LOGGER.info("%s: %s: %s", ": ".join(filter(None, (problem, guide))), CALLED[phase], work.described())
            case events.FitFinished(fit, _, kept):
                self._begin()
                done = "kept from an earlier run" if kept else f"{fit.status}, {fit.verdict}"
                _LOGGER.info("%s: %s: %s%s", fit.problem, fit.guide, done, f": {fit.message}" if fit.message else "")
                for failure in () if kept else fit.failures:
                    failed(failure)
            case _:
                pass


def failed(failure: Failure) -> None:
    """Note a failure, with its traceback."""
    _LOGGER.error("%s%s", failure, f"\n{failure.traceback.rstrip()}" if failure.traceback else "")


def unraised(error: BaseException) -> None:
    """Note an exception that nobody could be told of, as one in a destructor."""
    _LOGGER.info("in a callback:\n%s", _traceback(error))


@contextmanager
def written(folder: Path, *, aloud: bool = False) -> Iterator[Log]:
    """Keep a log of what happens inside, in the folder of the results: guidebench's own, and that of libraries.

    With `aloud` it is shown on standard error, too.
    """
    file, root = _File(folder / LOG), logging.getLogger()
    before = _LOGGER.level, _LOGGER.propagate
    added: list[tuple[logging.Logger, logging.Handler]] = [(_LOGGER, file), (root, file)]
    if not root.handlers and logging.lastResort is not None:  # which is for where there is no handler
        added.append((root, logging.lastResort))
    if aloud:
        added.append((_LOGGER, _stderr()))
    _LOGGER.setLevel(logging.DEBUG)
    _LOGGER.propagate = False
    for logger, handler in added:
        logger.addHandler(handler)
    _LOGGER.info("%s", " ".join(sys.argv[1:]))
    try:
        yield Log(file.begin)
        file.begin()
    except Exception as error:
        if not isinstance(error, GuidebenchError):
            file.begin()
            _LOGGER.critical("the run was ended by\n%s", _traceback(error))
            error.__dict__[_WRITTEN] = str(file.file)
        raise
    finally:
        for logger, handler in added:
            logger.removeHandler(handler)
        _LOGGER.setLevel(before[0])
        _LOGGER.propagate = before[1]


def _stderr() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Shown("guidebench: %(message)s"))
    return handler


class _Shown(logging.Formatter):
    """Lets nothing through that a terminal would act on."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        return shown(super().format(record))


def write_traceback(error: BaseException) -> str:
    """Return the log with the traceback of what ended a command, which is written now where no run has done so."""
    if _WRITTEN in error.__dict__:
        return str(error.__dict__[_WRITTEN])
    with (
        suppress(OSError),
        tempfile.NamedTemporaryFile(
            "w", prefix="guidebench-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file,
    ):
        file.write(_traceback(error))
        return file.name
    return ""


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip()
