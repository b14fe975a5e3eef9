"""Running tasks in this process, one after the other."""

from __future__ import annotations

from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

from guidebench.config.settings import RunConfig
from guidebench.engine.events import Tell
from guidebench.engine.executors.base import Job
from guidebench.engine.perform import perform


def of(config: RunConfig) -> Here:
    """Return the executor of a run that asks for none."""
    return Here()


class Here:
    """Runs each job as it is submitted; Ctrl-C goes through."""

    def slots(self) -> int:
        """Return 1."""
        return 1

    def at_hand(self) -> frozenset[str]:
        """Return nothing: everything is here."""
        return frozenset()

    def submit(self, job: Job, tell: Tell) -> Future[Any]:
        """Run a job, and return what it came to."""
        future: Future[Any] = Future()
        try:
            future.set_result(perform(job.task, job.values(), tell))
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - what it means is for whoever asks for the result
            future.set_exception(error)
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""
