"""The boundary between guidebench and the code of a plugin.

Whatever a plugin raises on the other side becomes a
:class:`~guidebench.plugins.isolation.failures.Failure` with its name on it, what it changed for the whole
process is put back, and what takes too long is ended.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Self

from guidebench.config.text import passed_on
from guidebench.plugins.isolation import replaced, whereabouts
from guidebench.plugins.isolation.ending import end, is_foreign, refused
from guidebench.plugins.isolation.failures import OWN, Failure, Phase, phase_of, reason
from guidebench.plugins.isolation.replaced import ReplacedError
from guidebench.plugins.isolation.state import Undo, remember
from guidebench.plugins.isolation.time_limit import OutOfTime, TimeLimit, told
from guidebench.plugins.isolation.whereabouts import Where


class Boundary:
    """A block in which the code of one plugin runs.

    What is raised inside ends the block, not the run: it is in `failure` afterwards, whatever it is, and so is what
    would end the process.  Only Ctrl-C goes through.

    Parameters
    ----------
    phase : str
        Where the block begins.
    plugin, distribution : str
        Whose code it is.
    name : str
        Of the guide, metric, section or hook.
    time_limit : float, optional
        Seconds that the block may take.
    """

    failure: Failure | None = None

    def __init__(
        self, phase: Phase, *, plugin: str, distribution: str, name: str = "", time_limit: float | None = None
    ) -> None:
        self.phase = phase
        self._plugin, self._distribution, self._name = plugin, distribution, name
        self._limit = TimeLimit(time_limit)
        self._restore: Undo = lambda: None
        self._watched = replaced.watched()
        self._process = 0

    def __enter__(self) -> Self:
        self._process = os.getpid()
        self._watched.__enter__()
        self._restore = remember()
        self._running = refused()
        self._running.__enter__()
        self._say_where()
        self._limit.__enter__()
        return self

    def begin(self, phase: Phase) -> None:
        """Enter the next phase, with everything that the last one changed put back."""
        self._restore()
        self._put_back()
        self._limit.check()
        self.phase = phase
        self._say_where()

    def _put_back(self) -> None:
        if self._distribution != OWN:  # ours replaces nothing, and is asked most often
            replaced.put_back()

    def _say_where(self) -> None:
        whereabouts.entered(Where(self.phase, self._plugin, self._distribution, self._name))

    def stop_clock(self) -> None:
        """Take the limit off what follows in the block, which is not the plugin's code any more."""
        self._limit.__exit__()

    def in_time(self, told: Callable[[int, int, float], None]) -> Callable[[int, int, float], None]:
        """Return `told` as a function that also ends the block where its time is over."""

        def tell(done: int, total: int, loss: float) -> None:
            self._limit.check()
            told(done, total, loss)

        return tell

    def fail(self, message: str) -> Failure:
        """Return a failure in the present phase that no exception tells of."""
        return Failure(
            plugin=self._plugin, distribution=self._distribution, phase=self.phase, name=self._name, message=message
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if os.getpid() != self._process:  # a copy of this process, made inside, is not to go on with the run
            end(1)
        try:
            self._limit.__exit__()
        except OutOfTime as late:
            error = error or late
        self._running.__exit__(None, None, None)
        self._restore()
        besides = ""
        try:
            self._put_back()
        except ReplacedError as found:
            besides = "" if error is None else f"; {found}"
            error = error or found
        self._watched.__exit__(None, None, None)
        whereabouts.entered(None)
        if error is None or not (isinstance(error, Exception) or is_foreign(error)):
            return False
        self.failure = Failure(
            plugin=self._plugin,
            distribution=self._distribution,
            phase=phase_of(error, self.phase),
            name=self._name,
            message=self._told(error) + besides,
            traceback=passed_on("".join(traceback.format_exception(error))),
        )
        return True

    def _told(self, error: BaseException) -> str:
        if isinstance(error, OutOfTime) and self._limit.seconds is not None:
            return told(self._limit.seconds)
        return reason(error)
