"""What a reference is made from: a problem, and what a search finds of its posterior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from guidebench.engine.allowance import Meter
from guidebench.engine.events import Tell
from guidebench.engine.gate import Reference
from guidebench.engine.minibatches import Inspected
from guidebench.engine.prepared import PreparedProblem
from guidebench.engine.request import Settings
from guidebench.engine.starts import Starts, find_starts
from guidebench.engine.workbench import Workbench
from guidebench.inference.modes import Landscape
from guidebench.inference.pointwise import Pointwise
from guidebench.inference.target import Target
from guidebench.results import Work


class Posterior(NamedTuple):
    """A posterior that was searched: the target, the arguments it is computed from, what was found, and a program."""

    target: Target
    values: Mapping[str, Any]
    landscape: Landscape
    pointwise: Pointwise


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A problem that a reference is asked for.

    Attributes
    ----------
    bench : Workbench
        The problem, and its programs.
    settings : Settings
        The configuration says which reference; the recipe is that of training.
    tell : callable
        Is told what happens.
    meter : Meter
        What is left of the budget of the run.
    of_group : int or None
        Gradients of each group of chains, at most; ``None`` leaves it to them.
    """

    bench: Workbench
    settings: Settings
    tell: Tell
    meter: Meter = field(default_factory=Meter)
    of_group: int | None = None

    @property
    def problem(self) -> PreparedProblem:
        """The problem as it was prepared."""
        return self.bench.prepared

    @property
    def by_itself(self) -> bool:
        """Whether the run chooses the kind of reference, so that one that takes long is left out."""
        return self.settings.config.reference == "auto"

    @cached_property
    def searched(self) -> Starts:
        """Starting points from all over: those of training where they are, and others where they are not.

        They are those of seed 0: a reference must not depend on which run made it.
        """
        one, config = self.bench.prepared, self.settings.config
        target = self.bench.target
        own = Starts(values=one.starts, valid=one.valid, points=one.points, target=target, landscape=one.landscape)
        if own.target is not None and config.init == "uniform" and config.seed == 0:
            return own
        found = find_starts(
            Inspected(one.problem, dict(one.values), one.arguments, one.structure, None),
            config.model_copy(update={"init": "uniform", "seed": 0}),
            replace(self.settings.recipe, standardise=True),
        )
        return replace(own, work=found.work) if found.target is None else found

    @property
    def work(self) -> Work:
        """What a search of its own has computed; nothing where that of training served, or nobody asked."""
        made: Starts | None = vars(self).get("searched")  # where a cached property is kept
        return Work() if made is None else made.work

    @cached_property
    def posterior(self) -> Posterior | None:
        """What the search has found, with one program for every mixture; ``None`` where there was nowhere to start."""
        search, problem = self.searched, self.problem
        if search.target is None or search.landscape is None:
            return None
        values = {name: problem.values[name] for name in problem.arguments.arrays}
        shared = search.target is self.bench.target and not self.bench.in_blocks
        pointwise = self.bench.pointwise if shared else Pointwise(search.target, values)
        return Posterior(search.target, values, search.landscape, pointwise)


#: Why there are no draws where nothing was found.
NOWHERE = "no starting point with a finite log density and gradient was found"


def no_density(prepared: PreparedProblem) -> str | None:
    """Return why there is no one posterior to make a reference of, or ``None``."""
    if prepared.refusal is not None:
        return prepared.refusal
    if prepared.structure.params:
        names = ", ".join(prepared.structure.params)
        return f"the model has parameters of its own ({names}), so it is one for every guide"
    return None


def unaffordable(what: str, meter: Meter, work: Mapping[str, Work] | None = None, how: str = "not run") -> Reference:
    """Return that no draws were made, or not all of them, because the budget was spent."""
    said = f"{what[0].upper()}{what[1:]} was {how}: {meter.said}."
    return Reference(note=said, left_out=(said,), work=work or {})
