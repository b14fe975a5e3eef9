"""A guide under test, with its fits to the toy problems: several checks look at one fit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpyro.infer.autoguide import AutoGuide, AutoGuideList
from numpyro.infer.initialization import init_to_value

from guidebench.config import make_config
from guidebench.config.errors import PluginError, RequestError
from guidebench.contracts import Guide
from guidebench.engine.minibatches import Inspected, inspect_problem
from guidebench.engine.request import Request
from guidebench.engine.run import compare
from guidebench.inference.device import threads
from guidebench.plugins.isolation.state import restored
from guidebench.plugins.registry import Broken, Registry, load_registry
from guidebench.request.own_guides import YOURS
from guidebench.request.selection import ChosenGuide, choose_guides
from guidebench.results import Comparison, Fit
from guidebench.testing.outcomes import NotApplicable
from guidebench.testing.toys import Toy, toys, twin

#: Stands for the distribution of a guide that no distribution brought.
TESTED = "tested"

#: The toy problems are small: so many steps settle on them whatever is going to.
SETTINGS: Mapping[str, Any] = {"steps": 1000, "restarts": 2, "draws": 1000, "reference": "none"}

#: The toy problems that a guide is also trained on in their own coordinates, whatever its family.
IN_BOTH = ("correlated", "constrained")


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Why there is no guide to check, and whether the request is to blame for it rather than the guide."""

    reason: str
    request: bool


class Subject:
    """A guide to check.

    Parameters
    ----------
    given : str, Guide, class or callable
        One of what ``guides`` of :func:`guidebench.compare` may hold; it is looked up when it is first needed.
    problems : iterable of str, optional
        Names of the toy problems to look at; all of them by default.
    """

    def __init__(self, given: Any, problems: Iterable[str] | None = None) -> None:
        threads.enough()  # before anything starts JAX
        self.given = given
        #: The toy problems to look at, by name.
        self.toys = {name: toys()[name] for name in (toys() if problems is None else problems)}
        self._comparisons: dict[str, Comparison] = {}
        self._inspected: dict[str, Inspected] = {}
        #: By toy problem, what :func:`guidebench.testing.flaws.flaw` has found.
        self.flaws: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<Subject {self.name}>"

    @property
    def name(self) -> str:
        """What the guide is called, known without looking it up."""
        if isinstance(self.given, str):
            return self.given
        named = self.given.name if isinstance(self.given, Guide) else getattr(self.given, "__name__", None)
        return type(self.given).__name__ if named is None else str(named)

    @cached_property
    def found(self) -> ChosenGuide | Refused:
        """The guide, or why there is none."""
        registry = load_registry()
        try:
            chosen = choose_guides(registry, [self.given])
        except RequestError as error:
            broken = _broken(registry, self.given)
            if broken is not None:
                return Refused(reason=str(broken), request=False)
            return Refused(reason=str(error), request=not isinstance(error.__cause__, PluginError))
        if len(chosen) != 1:
            return Refused(reason=f"{self.name!r} stands for {len(chosen)} guides; name one", request=True)
        return _as_of_a_plugin(chosen[0])

    @property
    def chosen(self) -> ChosenGuide:
        """The guide.

        Raises
        ------
        NotApplicable
            Where there is none.
        """
        if isinstance(self.found, Refused):
            raise NotApplicable("there is no guide: see check_declaration")
        return self.found

    @property
    def declaration(self) -> Guide:
        """The guide's declaration."""
        return self.chosen.declaration

    @property
    def point(self) -> bool:
        """Whether it declares itself a point estimate."""
        return self.declaration.bound == "none"

    def inspected(self, toy: Toy) -> Inspected:
        """Return a twin of a toy problem as the engine sees it, with the structure of its model."""
        if toy.name not in self._inspected:
            self._inspected[toy.name] = inspect_problem(twin(toy.name).problem, {})
        return self._inspected[toy.name]

    def build(self, model: Callable[..., Any], start: Mapping[str, Any], **options: Any) -> Callable[..., Any]:
        """Return a fresh guide for `model` that starts at `start`, built as the engine does, with further options."""
        init = init_to_value(values=dict(start))
        reserved = {"init_loc_fn": init} if self.declaration.wants_start() else {}
        built = self.declaration.build(model, **{**self.chosen.options, **options}, **reserved)
        for part in built if isinstance(built, AutoGuideList) else (built,):
            if isinstance(part, AutoGuide):
                part.init_loc_fn = init
        return built

    @property
    def fitted(self) -> frozenset[str]:
        """The toy problems that the guide was trained on so far, by name."""
        return frozenset(self._comparisons)

    def comparison(self, toy: Toy) -> Comparison:
        """Return the comparison on a toy problem, run on the first call.

        It holds the fit, and on some problems a second one: that of the same guide shown the model in its own
        coordinates.  Together they share what the problem alone needs.
        """
        if toy.name not in self._comparisons:
            twice = self.declaration.family != "none" and toy.name in IN_BOTH
            guides = [self.chosen, *([_in_own_coordinates(self.chosen)] if twice else [])]
            self._comparisons[toy.name] = run(toy, guides)
        return self._comparisons[toy.name]

    def fit(self, toy: Toy) -> Fit:
        """Return the fit to a toy problem."""
        return self.comparison(toy).fits[0]

    def fit_in_own_coordinates(self, toy: Toy) -> Fit:
        """Return the fit to one of the problems `IN_BOTH` as if the family were ``none``."""
        return self.comparison(toy).fits[1]

    def fit_again(self, toy: Toy) -> Fit:
        """Return the fit to a toy problem, trained once more with the same seed.

        The generators of the whole process have gone on, as they would be elsewhere in another one: the engine puts
        them back after each call of a guide, so that two runs would find them alike.
        """
        with restored():
            random.random()  # noqa: S311 - not to be used
            np.random.random()  # noqa: NPY002 - the one that others use
            return run(toy, [self.chosen]).fits[0]


def run(toy: Toy, guides: list[ChosenGuide]) -> Comparison:
    """Train guides on a toy problem as ``guidebench run`` does."""
    request = Request(
        name=toy.name,
        problems=(toy.problem,),
        guides=tuple(guides),
        config=make_config(SETTINGS),
        registry=load_registry(),
    )
    return compare(request)


def _as_of_a_plugin(guide: ChosenGuide) -> ChosenGuide:
    """Return a guide whose failures are recorded in its row, where a user's own would end the run."""
    if guide.registered.distribution != YOURS:
        return guide
    return replace(guide, registered=replace(guide.registered, plugin=TESTED, distribution=TESTED))


def _in_own_coordinates(guide: ChosenGuide) -> ChosenGuide:
    declaration = replace(guide.declaration, family="none")
    registered = replace(guide.registered, declaration=declaration)
    return replace(guide, registered=registered, label=f"{guide.label} (own coordinates)")


def _broken(registry: Registry, given: Any) -> Broken | None:
    """Return the broken plugin that a name stands for, or that has declared a guide of that name."""
    if not isinstance(given, str):
        return None
    name = given.partition(":")[0]
    for one in registry.broken:
        claims = (f"guide {name!r}", f"guide name {name!r}")
        if name in (one.plugin, one.distribution) or any(claim in one.reason for claim in claims):
            return one
    return None
