"""Running a task in another process than that of the run: what it is handed over as, and what comes back.

This module is what a worker of whatever kind imports first; JAX is loaded when the first task comes.
"""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from guidebench.engine.executors import watchdog
from guidebench.engine.keys import environment
from guidebench.inference.device import threads

if TYPE_CHECKING:
    from guidebench.engine.events import Tell
    from guidebench.engine.executors.base import Job
    from guidebench.engine.executors.wire import Packed


@dataclass(frozen=True, kw_only=True)
class Session:
    """What another process has to know of a run.

    Attributes
    ----------
    no_plugins : bool
        Whether the run has no plugins but guidebench's own.
    machine : mapping
        Versions and kinds of devices that numbers depend on: a kept fit is filed under those of the run.
    options : mapping
        Options of JAX that change what a program computes, as the process of the run has them.
    watched : bool
        Whether the process has to see for itself to it that nothing takes longer than it may.
    """

    no_plugins: bool = False
    machine: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    watched: bool = False

    @classmethod
    def of(cls, *, no_plugins: bool, watched: bool = False) -> Session:
        """Return the session of a run in this process."""
        import jax

        from guidebench.engine.keys.maker import JAX_OPTIONS

        found = {name: getattr(jax.config, name, None) for name in JAX_OPTIONS}
        plain = {name: value for name, value in found.items() if value is None or isinstance(value, (bool, str))}
        return cls(no_plugins=no_plugins, machine=environment.machine(), options=plain, watched=watched)

    def apply(self) -> None:
        """Give JAX the options of the run.

        Raises
        ------
        TravelError
            Where the process has other versions or devices than that of the run.
        """
        import jax

        from guidebench.engine.executors.places import TravelError

        other = _unlike(tuple(self.machine.items()))
        if other:
            raise TravelError(f"the process that was to run it is unlike that of the run: it has {other}")
        for name, value in self.options.items():
            if getattr(jax.config, name, value) != value:
                jax.config.update(name, value)


@cache
def _unlike(machine: tuple[tuple[str, str], ...]) -> str:
    """Return what this process has otherwise than that of the run; looked up once, for a process does not change."""
    here = environment.machine()
    return ", ".join(f"{name} {here.get(name)}, not {one}" for name, one in machine if here.get(name) != one)


class Parcel(NamedTuple):
    """A task and what it is given, ready to travel."""

    task: Packed
    inputs: tuple[Packed, ...]


class Returned(NamedTuple):
    """What a task has come to: its value, or the exception that ended it, with that in words; and in which process."""

    value: Packed | None
    error: Packed | None = None
    text: str = ""
    process: str = ""


def parcel(job: Job) -> Parcel:
    """Return a job as a parcel."""
    from guidebench.engine.executors.wire import pack

    return Parcel(pack(job.task), tuple(pack(one.value) for one in job.inputs))


def run_parcel(session: Session, parcel: Parcel) -> Returned:
    """Run the task in a parcel, whichever process this is."""
    threads.enough()  # before JAX starts
    if session.watched:
        watchdog.start()
    from guidebench.engine.events import nobody
    from guidebench.engine.executors.wire import unpack

    def load() -> tuple[Any, tuple[Any, ...]]:
        task = unpack(parcel.task, no_plugins=session.no_plugins)
        return task, tuple(unpack(one, no_plugins=session.no_plugins) for one in parcel.inputs)

    return run(session, load, nobody)._replace(process=f"{socket.gethostname()}/{os.getpid()}")


def run(
    session: Session,
    load: Callable[[], tuple[Any, tuple[Any, ...]]],
    tell: Tell,
    keep: Callable[[Any], None] = lambda value: None,
) -> Returned:
    """Run the task that `load` returns with its inputs; an exception is sent back, not raised.

    `keep` is given what the task comes to, for what is to come in this process.
    """
    from guidebench.engine.executors.wire import pack
    from guidebench.engine.perform import TURN, perform
    from guidebench.plugins.isolation.state import restored

    try:
        with TURN, restored():  # the process may be that of the run, and the other threads may run tasks, too
            session.apply()
            task, inputs = load()
            value = perform(task, inputs, tell)
            packed = pack(value)
            keep(value)
            return Returned(packed)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - it is raised again in the process of the run
        return Returned(None, *_told(error))


def _told(error: BaseException) -> tuple[Packed | None, str]:
    from guidebench.engine.executors.places import TravelError
    from guidebench.engine.executors.wire import pack

    text = "".join(traceback.format_exception(error))
    try:
        return pack(error.with_traceback(None)), text
    except TravelError:
        return None, text


def opened(returned: Returned) -> Any:
    """Return the value of a task that ran elsewhere, or raise what ended it there."""
    from guidebench.engine.executors.places import TravelError
    from guidebench.engine.executors.wire import unpack

    if returned.value is not None:
        return unpack(returned.value)
    try:
        error = None if returned.error is None else unpack(returned.error)
    except TravelError:
        error = None
    cause = ElsewhereError(returned.text)
    if isinstance(error, BaseException):
        raise error from cause
    raise cause


class ElsewhereError(Exception):
    """An exception in another process; its message is the traceback there."""
