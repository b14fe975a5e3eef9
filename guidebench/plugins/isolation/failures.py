"""What went wrong in somebody's plugin: whose it is, in which phase, and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, get_args

from guidebench.config.text import line

#: Where the code of a plugin runs, in the order in which a run comes to it.
Phase = Literal[
    "import",
    "hook",
    "supports",
    "build",
    "train",
    "draw",
    "density",
    "predict",
    "metric",
    "simulations",
    "inference data",
    "section",
]

PHASES: tuple[Phase, ...] = get_args(Phase)

#: The distribution whose names cannot be taken by anybody else.
OWN = "guidebench"

#: Stands for the distribution of a plugin that is a module or a file of the user's, not installed.
LOCAL = "local"

#: Longest text of an exception that is told in one line.
LONGEST = 300

_TAG = "_guidebench_phase"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One failure, attributed.

    Attributes
    ----------
    plugin, distribution : str
        The entry point and the distribution that brought what failed.
    phase : str
        Where it failed: ``import``, ``hook``, ``supports``, ``build``, ``train``, ``draw``, ``density``,
        ``predict``, ``metric``, ``simulations``, ``inference data`` or ``section``.
    name : str
        Of the guide, metric, section or hook; empty where the whole plugin failed.
    message : str
        The reason in one line.
    traceback : str
        Of the exception, where there was one.
    """

    plugin: str
    distribution: str
    phase: Phase
    message: str
    name: str = ""
    traceback: str = field(default="", repr=False)

    @property
    def owner(self) -> str:
        """Whose it is, in words."""
        if self.distribution == LOCAL:
            return f"local plugin {self.plugin!r}"
        if self.plugin in ("", self.distribution):
            return self.distribution
        return f"plugin {self.plugin!r} of {self.distribution}"

    def __str__(self) -> str:
        where: str = self.phase
        if self.name:
            named = self.phase in ("hook", "metric", "section")
            where = f"{self.phase} {self.name!r}" if named else f"{self.name}, {self.phase}"
        return f"{where}: {self.message} ({self.owner})"


def reason(error: BaseException, longest: int = LONGEST) -> str:
    """Return an exception in one line: its type and what it says."""
    text = _text(error, longest)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def said(error: BaseException, longest: int = LONGEST) -> str:
    """Return what an exception says in one line, without its type; that alone where it says nothing."""
    return _text(error, longest) or type(error).__name__


def _text(error: BaseException, longest: int) -> str:
    try:
        text = line(str(error))
    except Exception:  # noqa: BLE001 - an exception of somebody else's, which may fail at telling, too
        text = "it cannot be told why"
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


@contextmanager
def raised_in(phase: Phase) -> Iterator[None]:
    """Say of what is raised inside that it was raised in `phase`; of several, the innermost counts."""
    try:
        yield
    except BaseException as error:
        error.__dict__.setdefault(_TAG, phase)
        raise


def phase_of(error: BaseException, otherwise: Phase) -> Phase:
    """Return the phase that an exception was raised in."""
    phase: Phase = error.__dict__.get(_TAG, otherwise)
    return phase
