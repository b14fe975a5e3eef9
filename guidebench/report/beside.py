"""Another process that draws sections of the report, beside this one: Python draws on one core at a time."""

from __future__ import annotations

import os
import pickle
import signal
import warnings
from contextlib import suppress
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from types import TracebackType
from typing import NamedTuple, Self

from guidebench.plugins.isolation.failures import Failure
from guidebench.report.page import Page
from guidebench.report.rendered import Owned, Rendered, section_of

#: Bytes of a problem's results up to which they are sent to another process.
MOST_SENT = 400_000_000


class Drawn(NamedTuple):
    """A section as the other process drew it, and the names of its figures."""

    section: Rendered | None
    names: frozenset[str]


class _Order(NamedTuple):
    """What is to be drawn: a section of a page, given with its names of figures, or of that which was sent last."""

    page: tuple[Page, set[str]] | None
    one: Owned


class Beside:
    """A process that draws one section after the other.

    It begins to import what drawing takes when the context is entered, and is ended with it.  A process that dies, or
    has a section that cannot be drawn, costs nothing but time: then there is no such section.
    """

    def __init__(self) -> None:
        context = get_context("spawn")  # a fork would inherit locks of threads that it does not
        self._ours, self._theirs = context.Pipe()
        self._process = context.Process(target=_draw, args=(self._theirs,), daemon=True)
        self._sent: Page | None = None

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()  # so that its end is noticed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()
        self._ours.close()

    def draw(self, page: Page, names: set[str], one: Owned) -> Drawn | None:
        """Return a section of a page, drawn as if no figure had been drawn before it; `names` are the page's, empty."""
        with suppress(Exception):  # whoever asked draws it, and says what is wrong with it
            order = pickle.dumps(_Order(None if page is self._sent else (page, names), one))
            if len(order) > MOST_SENT:
                return None
            self._ours.send_bytes(order)
            self._sent = page
            found: Drawn | None = self._ours.recv()
            return found
        return None


def worthwhile() -> bool:
    """Return whether there is a core for another process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores > 1


def _draw(pipe: Connection) -> None:
    """Draw what is asked for, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks ends this
    Thread(target=_import_ahead, daemon=True).start()
    page: tuple[Page, set[str]] | None = None
    with suppress(EOFError, OSError), warnings.catch_warnings():  # nobody is there any more
        warnings.simplefilter("ignore")
        while True:
            order: _Order = pickle.loads(pipe.recv_bytes())  # noqa: S301 - from the process that began this one
            page = order.page or page
            assert page is not None
            pipe.send(_drawn(*page, order.one))


def _drawn(page: Page, names: set[str], one: Owned) -> Drawn | None:
    names.clear()
    failures: list[Failure] = []
    section = section_of(page, one, failures.append)
    return None if failures else Drawn(section, frozenset(names))


def _import_ahead() -> None:
    from guidebench.report.builtin import SECTIONS
    from guidebench.results import inference_data

    with suppress(Exception):  # whoever needs it will say so
        import_module("guidebench.report.drawing")
        for _, name, _, _ in SECTIONS:
            import_module(f"guidebench.report.sections.{name}")
        inference_data.arviz()
