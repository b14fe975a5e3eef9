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

from guidebench.config.cores import cores
from guidebench.plugins.isolation.failures import Failure
from guidebench.report.page import Page
from guidebench.report.rendered import Owned, Rendered, section_of
from guidebench.results.inference_data import group, group_names

#: Bytes of a problem's results up to which they are sent to another process.
MOST_SENT = 400_000_000

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from guidebench.report.beside import main; main()"

#: Signals of a terminal are for the run, on Windows too, where a session of its own does not keep them away.
_APART = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


class Drawn(NamedTuple):
    """A section as the other process drew it, and the names of its figures."""

    section: Rendered | None
    names: frozenset[str]


class Beside:
    """A process that draws one section after the other.

    It begins to import what drawing takes when the context is entered, and is ended with it.  A process that cannot be
    started, dies, or has a section that it cannot draw costs nothing but time: then there is no such section.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._sent: Page | None = None
        self._refused: Page | None = None

    def __enter__(self) -> Self:
        # Neither forked, which would inherit locks of threads that it does not, nor by `multiprocessing`, which would
        # run the script again that asks for a report.
        with suppress(OSError, ValueError):
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, json.dumps(list(map(str, sys.path)))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                creationflags=_APART,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):  # what was left to be written
                    stream.close()

    def draw(self, page: Page, names: set[str], one: Owned) -> Drawn | None:
        """Return a section of a page, drawn as if no figure had been drawn before it; `names` are the page's, empty."""
        process = self._process
        if process is None or page is self._refused:
            return None
        try:
            order = pickle.dumps(one)
        except Exception:  # noqa: BLE001 - a section that holds what cannot be sent is drawn where it is
            return None
        try:
            if page is not self._sent and _size(page) > MOST_SENT:
                raise ValueError("there is too much of it")
            whole = pickle.dumps(None if page is self._sent else (page, names))
        except Exception:  # noqa: BLE001 - so is a page
            self._refused = page
            return None
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(whole)
            process.stdin.write(order)
            process.stdin.flush()
            del whole
            self._sent = page
            found: Drawn | None = pickle.load(process.stdout)  # noqa: S301 - of a process of our own
        except Exception:  # noqa: BLE001 - it died; and what comes after half an answer would be taken for the next
            self._end()
            return None
        return found


def _size(page: Page) -> int:
    """Return about how many bytes the results of a page take."""
    comparison = page.comparison
    held = [*(fit.inference_data for fit in comparison.fits), *comparison.references.values()]
    return sum(
        dataset.nbytes
        for one in held
        if one is not None
        for name in group_names(one)
        if (dataset := group(one, name)) is not None
    )


def worthwhile() -> bool:
    """Return whether there is a core for another process."""
    return cores() > 1


def main() -> None:
    """Draw what is asked for on standard input, until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints is not an answer
    Thread(target=_import_ahead, daemon=True).start()
    given: tuple[Page, set[str]] | None = None
    with suppress(EOFError, OSError), warnings.catch_warnings():  # nobody is there any more
        warnings.simplefilter("ignore")
        while True:
            # Both are from the process that began this one.
            sent: tuple[Page, set[str]] | None = pickle.load(sys.stdin.buffer)  # noqa: S301
            one: Owned = pickle.load(sys.stdin.buffer)  # noqa: S301
            given = sent or given
            assert given is not None
            pickle.dump(_drawn(*given, one), answers)
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
