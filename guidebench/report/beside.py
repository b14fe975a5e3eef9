"""Another process that draws sections of the report, beside this one: Python draws on one core at a time."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from threading import Thread
from types import TracebackType
from typing import NamedTuple, Self

from guidebench.plugins.isolation.failures import Failure
from guidebench.report.page import Page
from guidebench.report.rendered import Owned, Rendered, section_of

#: Bytes of a problem's results up to which they are sent to another process.
MOST_SENT = 400_000_000

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from guidebench.report.beside import main; main()"


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

    def __enter__(self) -> Self:
        # Neither forked, which would inherit locks of threads that it does not, nor by `multiprocessing`, which would
        # run the script again that asks for a report.  What is typed at a terminal is for the run, which ends it.
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._sent: Page | None = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):  # what was left to be written
                    stream.close()

    def draw(self, page: Page, names: set[str], one: Owned) -> Drawn | None:
        """Return a section of a page, drawn as if no figure had been drawn before it; `names` are the page's, empty."""
        with suppress(Exception):  # whoever asked draws it, and says what is wrong with it
            order = pickle.dumps(_Order(None if page is self._sent else (page, names), one))
            if len(order) > MOST_SENT:
                return None
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(order)
            self._process.stdin.flush()
            self._sent = page
            found: Drawn | None = pickle.load(self._process.stdout)  # noqa: S301 - of a process of our own
            return found
        return None


def worthwhile() -> bool:
    """Return whether there is a core for another process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores > 1


def main() -> None:
    """Draw what is asked for on standard input, until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints is not an answer
    Thread(target=_import_ahead, daemon=True).start()
    page: tuple[Page, set[str]] | None = None
    with suppress(EOFError, OSError), warnings.catch_warnings():  # nobody is there any more
        warnings.simplefilter("ignore")
        while True:
            order: _Order = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that began this one
            page = order.page or page
            assert page is not None
            pickle.dump(_drawn(*page, order.one), answers)
            answers.flush()


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
