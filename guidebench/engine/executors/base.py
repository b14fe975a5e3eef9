"""The seam between a run and what runs it: a job, an executor, and the death of a worker."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from guidebench.engine.events import Tell
from guidebench.engine.tasks import Task
from guidebench.plugins.isolation.whereabouts import Where


class Input(NamedTuple):
    """Something that a task is given.  What has one name in a run is one thing, and need not travel twice."""

    name: str
    value: Any


@dataclass(frozen=True, kw_only=True)
class Job:
    """A task with all it is given; `name` is unique in a run."""

    name: str
    task: Task
    inputs: tuple[Input, ...] = ()

    def values(self) -> tuple[Any, ...]:
        """Return what the task is given."""
        return tuple(one.value for one in self.inputs)


class Executor(Protocol):
    """Runs jobs.

    As a context manager it ends whatever still runs, at once, where the block is left by an exception.
    """

    def slots(self) -> int:
        """Return how many jobs it takes at a time, at present."""

    def submit(self, job: Job, tell: Tell) -> Future[Any]:
        """Begin a job; `tell`, which any thread may call, hears what its task says while it runs."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class WorkerDiedError(Exception):
    """The process that ran a task is gone.

    Parameters
    ----------
    how : str
        How it ended, in words.
    where : Where, optional
        Whose code was running, as far as that is known.
    again : bool
        Whether the task may do better in another process.
    """

    def __init__(self, how: str, where: Where | None = None, *, again: bool = False) -> None:
        super().__init__(how)
        self.how, self.where, self.again = how, where, again
