"""The plan of a run: a graph of tasks on plain data, each with the key that its result may be kept under.

A problem is prepared first.  Its reference, its simulated data sets and the fits of all guides on it need no more
than that and can go on side by side; a fit is scored once the reference is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from guidebench.contracts import Metric, Problem
from guidebench.engine.fit.calibrate import reason_against
from guidebench.engine.judging import not_judged
from guidebench.engine.keep import Keep, KeptProblem
from guidebench.engine.keys.maker import KeyMaker, Keys
from guidebench.engine.keys.origin import prints
from guidebench.engine.references import no_reference
from guidebench.engine.request import Request, Settings
from guidebench.engine.tasks import (
    LOOKING,
    CalibrateGuide,
    CheckGuide,
    FitGuide,
    JudgeFits,
    PrepareProblem,
    SampleReference,
    ScoreFit,
    SimulateProblem,
    Task,
)
from guidebench.plugins.isolation.state import restored
from guidebench.plugins.registry import Registered
from guidebench.request.own_guides import YOURS
from guidebench.request.selection import ChosenGuide
from guidebench.results import Fit


class Need(NamedTuple):
    """The result of another node, or a part of it, that a task is given."""

    node: str
    part: str = ""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A task in its place.

    Attributes
    ----------
    name : str
        Unique in the plan.
    problem, guide : str
        What it is for; no guide where it is for all of them.
    task : Task
        What is to be done.
    needs : tuple of Need
        What the task is given, in that order.
    softly : tuple of str
        Nodes of which it is given, after these, what they came to, whatever that is: nothing where they are lost.
    after : tuple of str
        Nodes that have to come to something before, though the task is not given what.
    unless : tuple of str
        Nodes whose loss makes this one useless, though it does not wait for them.
    key : str or None
        What the result that the node leads to may be kept under.
    spare : callable, optional
        ``spare(how)`` returns what stands in for the result where the process that was to find it died.
    dear : bool
        Whether it should be begun before others, where several go on side by side.
    """

    name: str
    problem: str
    guide: str = ""
    task: Task
    needs: tuple[Need, ...] = ()
    softly: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    key: str | None = None
    spare: Callable[[str], Any] | None = None
    dear: bool = True

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The nodes that have to be settled before."""
        return (*self.depends_on, *self.softly)

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Those of them that have to come to something."""
        return (*(need.node for need in self.needs), *self.after)


class FitNodes(NamedTuple):
    """The nodes of one fit; without calibration where nothing is simulated, and `note` says why where that is odd."""

    guide: ChosenGuide
    fit: str
    score: str
    calibration: str | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ProblemPlan:
    """All guides on one problem: what an earlier run has kept, and the nodes that are left.

    Attributes
    ----------
    problem, guides
        The problem, and the guides in the order of the run.
    keys : Keys, optional
        Of the problem and its fits, where anything is kept.
    kept : mapping
        The fits that an earlier run made, by guide.
    known : KeptProblem, optional
        What an earlier run found out about the problem.
    prepare, reference, simulations, judging : str
        Names of nodes; nothing where there is nothing left to do, nothing is simulated, or each fit is judged when it
        is scored, as without a budget.
    fits : tuple of FitNodes
        The fits that are left.
    nodes : tuple of Node
        All nodes, in the order in which one process works through them.
    """

    problem: Problem
    guides: tuple[ChosenGuide, ...]
    keys: Keys | None = None
    kept: Mapping[str, Fit] = field(default_factory=dict)
    known: KeptProblem | None = None
    prepare: str = ""
    reference: str = ""
    simulations: str = ""
    judging: str = ""
    fits: tuple[FitNodes, ...] = ()
    nodes: tuple[Node, ...] = ()

    @cached_property
    def fingerprints(self) -> Mapping[str, str]:
        """Those of the model and the data, by which a guide knows later what it was trained on."""
        return prints(self.problem)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run as a graph of tasks, problem by problem."""

    request: Request
    settings: Settings
    problems: tuple[ProblemPlan, ...]

    def nodes(self, *, side_by_side: bool) -> tuple[Node, ...]:
        """Return all nodes in the order in which they are begun: problem by problem, in the order of the guides.

        Where tasks go on side by side, the guides that are the richest take longest and go first, so that nobody is
        left waiting for one of them at the end: those whose family any affine map leaves unchanged have at least
        :math:`D (D + 1) / 2` parameters, and of these the last goes first, for who names guides begins with the plain.
        """
        return tuple(
            node for one in self.problems for node in (_richest_first(one.nodes) if side_by_side else one.nodes)
        )


def _richest_first(nodes: Sequence[Node]) -> list[Node]:
    """Return a problem's nodes: those of no guide, then those of dear ones, the last of them first, then others."""
    shared = [node for node in nodes if not node.guide]
    dear = [node for node in reversed(nodes) if node.guide and node.dear]
    return [*shared, *dear, *(node for node in nodes if node.guide and not node.dear)]


def checks(request: Request, settings: Settings) -> tuple[Node, ...]:
    """Return the nodes that hold the user's own guides against the only problem of a run.

    With several problems, a guide that does not fit one of them says so in its row.
    """
    if not request.alone:
        return ()
    (problem,) = request.problems
    return tuple(
        Node(
            name=f"check/{guide.label}",
            problem=problem.name,
            guide=guide.label,
            task=CheckGuide(problem=problem, guide=guide, settings=settings),
        )
        for guide in request.guides
        if guide.registered.distribution == YOURS
    )


def make_plan(request: Request, settings: Settings, keep: Keep | None) -> Plan:
    """Return the plan of a run; what `keep` has of an earlier one is not done again."""
    maker = None if keep is None else KeyMaker(settings.config, request.registry.metrics, request.given)
    problems = []
    for problem in request.problems:
        keys, kept, known = None, dict[str, Fit](), None
        if maker is not None and keep is not None:
            with restored():  # to name a module of somebody's may import it
                keys = maker.keys(problem, request.guides)
            kept, known = _look_up(keys, request.guides, keep)
            if settings.config.budget is not None and len(kept) < len(request.guides):
                kept, known = {}, None  # what one may spend hangs on all of them
        one = ProblemPlan(problem=problem, guides=request.guides, keys=keys, kept=kept, known=known)
        missing = tuple(guide for guide in request.guides if guide.label not in kept)
        problems.append(one if known is not None and not missing else _laid_out(one, missing, request, settings))
    return Plan(request=request, settings=settings, problems=tuple(problems))


def _look_up(keys: Keys, guides: Sequence[ChosenGuide], keep: Keep) -> tuple[dict[str, Fit], KeptProblem | None]:
    """Return what an earlier run has kept of a problem."""
    found = {guide.label: keep.fit(key) for guide in guides if (key := keys.fits[guide.label]) is not None}
    kept = {label: fit for label, fit in found.items() if fit is not None}
    if keys.problem is None or not kept:
        return kept, None
    known = keep.problem(keys.problem)
    return kept, None if known is None else KeptProblem(*known)


def _laid_out(one: ProblemPlan, missing: Sequence[ChosenGuide], request: Request, settings: Settings) -> ProblemPlan:
    """Return the plan of a problem with the nodes of its missing fits."""
    name, config, key = one.problem.name, settings.config, None if one.keys is None else one.keys.problem
    prepare, reference = f"{name}/prepare", f"{name}/reference"
    simulations = f"{name}/simulations" if config.simulations is not None else ""
    most = None if config.time_limit is None else max(LOOKING, config.time_limit * len(one.guides))
    prepared, budget = Need(prepare), config.budget is not None
    judging = f"{name}/judging" if budget else ""
    nodes = [
        Node(
            name=prepare,
            problem=name,
            task=PrepareProblem(problem=one.problem, settings=settings, most=most),
            key=key,
        ),
        Node(
            name=reference,
            problem=name,
            task=SampleReference(settings=settings, given=request.given),
            needs=(prepared, Need(judging, "left")) if budget else (prepared,),
            key=key,
            spare=no_reference,
        ),
    ]
    if simulations:
        task = SimulateProblem(settings=settings)
        nodes.append(Node(name=simulations, problem=name, task=task, needs=(prepared,), key=key))
    fits = tuple(_fit_nodes(name, guide, simulations) for guide in missing)
    if budget:
        nodes.append(
            Node(
                name=judging,
                problem=name,
                task=JudgeFits(guides=tuple(missing), settings=settings),
                needs=(prepared,),
                softly=tuple(fit.fit for fit in fits),
                key=key,
                spare=not_judged,
            )
        )
    for fit in fits:
        nodes.extend(_nodes_of(fit, one, settings, request.registry.metrics))
    known = {"prepare": prepare, "reference": reference, "simulations": simulations, "judging": judging}
    return ProblemPlan(
        problem=one.problem,
        guides=one.guides,
        keys=one.keys,
        kept=one.kept,
        known=one.known,
        fits=fits,
        nodes=tuple(nodes),
        **known,
    )


def _fit_nodes(problem: str, guide: ChosenGuide, simulations: str) -> FitNodes:
    own = f"{problem}/{guide.label}"
    declaration = guide.declaration
    against = reason_against(declaration.fit is not None, declaration.bound == "none") if simulations else ""
    calibration = f"{own}/calibration" if simulations and not against else None
    return FitNodes(guide, f"{own}/fit", f"{own}/score", calibration, against or "")


def _nodes_of(
    fit: FitNodes, one: ProblemPlan, settings: Settings, metrics: Sequence[Registered[Metric]]
) -> Iterator[Node]:
    name, guide = one.problem.name, fit.guide
    key = None if one.keys is None else one.keys.fits[guide.label]
    prepared, reference = Need(f"{name}/prepare"), Need(f"{name}/reference", "reference")

    def node(named: str, task: Task, needs: tuple[Need, ...], after: tuple[str, ...] = ()) -> Node:
        return Node(
            name=named,
            problem=name,
            guide=guide.label,
            task=task,
            needs=needs,
            after=after,
            unless=(reference.node,),
            key=key,
            dear=guide.declaration.family == "affine",
        )

    yield node(fit.fit, FitGuide(guide=guide, settings=settings, guides=len(one.guides)), (prepared,))
    task = ScoreFit(guide=guide, settings=settings, metrics=tuple(metrics))
    judged = prepared if settings.config.budget is None else Need(f"{name}/judging", "found")
    yield node(fit.score, task, (Need(fit.fit, "to_score"), reference, judged))
    if fit.calibration is not None:
        needs = prepared, Need(f"{name}/simulations")
        yield node(fit.calibration, CalibrateGuide(guide=guide, settings=settings), needs, (fit.fit,))
