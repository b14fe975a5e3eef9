"""What is asked of a run, resolved: problems and guides, and how everything is to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from guidebench.config import REFERENCES, RunConfig
from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.inference.recipe import Recipe
from guidebench.plugins.registry import Registry
from guidebench.request.selection import ChosenGuide


class Settings(NamedTuple):
    """How everything in a run is done; `recipe` is that of `config` with the user's changes in it.

    `alone` says that there is one problem only: then what is wrong with it ends the run.
    """

    config: RunConfig
    recipe: Recipe
    alone: bool = False


@dataclass(frozen=True, kw_only=True)
class Request:
    """A run that is asked for.

    Attributes
    ----------
    name : str
        What the comparison is called.
    problems, guides : tuples
        The grid.
    config : RunConfig
        Recipe, seeds and numbers of draws.
    registry : Registry
        Brings the metrics and the sections of the report.
    given : mapping, optional
        Draws by site that take the place of the reference that `config` names.
    """

    name: str
    problems: tuple[Problem, ...]
    guides: tuple[ChosenGuide, ...]
    config: RunConfig
    registry: Registry
    given: Mapping[str, Any] | None = None

    @property
    def alone(self) -> bool:
        """Whether there is one problem only."""
        return len(self.problems) == 1

    def check_reference(self) -> None:
        """Raise a RequestError where the file of the reference is not there, before anything takes long."""
        named = self.config.reference
        if self.given is None and named not in REFERENCES and not Path(named).is_file():
            raise RequestError("there is no such file", option="reference", value=Path(named))
