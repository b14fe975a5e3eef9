"""The seam between a run and what runs it: a job, and an executor.

Nothing heavy is imported here, nor by :mod:`guidebench.engine.executors.processes`: a worker, which has much to
import, is started before this process has.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    from guidebench.engine.events import Tell
    from guidebench.engine.tasks import Task


class Input(NamedTuple):
    """Something that a task is given.

    What has one name in a run is one thing, and need not travel twice where it is `shared` with other tasks.
    """

    name: str
    value: Any
    shared: bool = False


@dataclass(frozen=True, kw_only=True)
class Job:
    """A task with all it is given.

    Attributes
    ----------
    name : str
        Unique in a run; as the name of an input it stands for what the task comes to.
    task : Task
        What is to be done.
    inputs : tuple of Input
        What the task is given.
    shared : bool
        Whether several tasks will be given what this one comes to.
    owner : str
        Whose code it runs, besides guidebench's and the model's; nothing where it is nobody's.
    """

    name: str
    task: Task
    inputs: tuple[Input, ...] = ()
    shared: bool = False
    owner: str = ""

    def values(self) -> tuple[Any, ...]:
        """Return what the task is given."""
        return tuple(one.value for one in self.inputs)


class Executor(Protocol):
    """Runs jobs.

    As a context manager it ends whatever still runs, at once, where the block is left by an exception.
    """

    def slots(self) -> int:
        """Return how many jobs it takes at a time, at present."""

    def at_hand(self) -> frozenset[str]:
        """Return the names of the inputs that need not travel to whatever is free now: who is given them is quicker."""

    def submit(self, job: Job, tell: Tell) -> Future[Any]:
        """Begin a job; `tell`, which any thread may call, hears what its task says while it runs."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
