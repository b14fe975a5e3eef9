"""Running one task in this process: in the precision of the run, one at a time, with nothing left changed."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from guidebench.config import text
from guidebench.engine.events import Tell, Warned
from guidebench.engine.tasks import Task
from guidebench.inference.device import precision, threads
from guidebench.plugins.isolation.state import restored
from guidebench.plugins.isolation.whose import note

#: NumPyro keeps its handlers on one list for all threads, so two tasks of one process take turns; and whoever notes
#: global state and puts it back takes one, too.
TURN = threading.RLock()


def perform(task: Task, inputs: tuple[Any, ...], tell: Tell) -> Any:
    """Return what a task comes to."""
    precise = precision.chosen(task.settings.config.x64)
    with TURN, _rarely_collecting(), threads.one_for_blas(), restored(), precise, warnings.catch_warnings():
        # NumPyro says so for every program that it traces; the report says it once.
        warnings.filterwarnings("ignore", message="Continuous inference poorly handles circular")
        # Another process may be writing the entry; JAX then compiles the program itself.
        warnings.filterwarnings("ignore", message="Error reading persistent compilation cache entry")
        _telling(tell)
        try:
            return task.run(inputs, tell)
        except BaseException as error:
            note(error)
            raise


def _telling(tell: Tell) -> None:
    """Have warnings told as events, besides being shown as they are."""
    before = warnings.showwarning

    def show(message: Any, category: type[Warning], *rest: Any, **options: Any) -> None:
        tell(Warned("", "", f"{category.__name__}: {text.told(message)}"))
        before(message, category, *rest, **options)

    warnings.showwarning = show


@contextmanager
def _rarely_collecting() -> Iterator[None]:
    """Look for cycles less often: tracing leaves so many small objects behind that it took an eighth of a warm run."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
