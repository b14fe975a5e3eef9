"""Running one task in this process: in the precision of the run, one at a time, with nothing left changed."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from guidebench.config import text
from guidebench.config.errors import ModelError
from guidebench.engine.events import Tell, Warned
from guidebench.engine.tasks import Task
from guidebench.inference.device import precision, threads
from guidebench.plugins.isolation.replaced import ReplacedError, put_back, watched
from guidebench.plugins.isolation.state import restored
from guidebench.plugins.isolation.whose import note

#: NumPyro keeps its handlers on one list for all threads, so two tasks of one process take turns; and whoever notes
#: global state and puts it back takes one, too.
TURN = threading.RLock()


def perform(task: Task, inputs: tuple[Any, ...], tell: Tell) -> Any:
    """Return what a task comes to."""
    precise = precision.chosen(task.settings.config.x64)
    with TURN, _rarely_collecting(), threads.one_for_blas(), _undisturbed(), precise, warnings.catch_warnings():
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


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave nothing changed; what was computed with functions that somebody has replaced meanwhile is no result.

    Plugins are looked after where they are called: this is for models, and for threads that go on.
    """
    with watched(), restored():
        yield
        try:
            put_back()
        except ReplacedError as error:
            raise ModelError(f"{error}: by a model or somebody's thread; what was computed meanwhile is lost") from None


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
