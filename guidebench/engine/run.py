"""A run: it is planned, executed and collected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from guidebench.analysis.together import together
from guidebench.engine.collect import Assembly
from guidebench.engine.consumers import Collecting, Keeping, Meanwhile, Remarking, Settling, Showing, Warn
from guidebench.engine.events import Event, FitFinished, ProblemDescribed, RunBegan, Tell, nobody
from guidebench.engine.execute import Lost, Outcome, execute, nothing
from guidebench.engine.executors import Executor
from guidebench.engine.executors.here import Here
from guidebench.engine.keep import Keep
from guidebench.engine.keys import environment
from guidebench.engine.lost import TaskLostError
from guidebench.engine.perform import TURN
from guidebench.engine.plan import Node, Plan, checks, make_plan
from guidebench.engine.progress import Progress, Silent
from guidebench.engine.recipe import recipe_of
from guidebench.engine.request import Request, Settings
from guidebench.engine.workbench import WORKBENCHES
from guidebench.inference.device import precision
from guidebench.plugins.isolation.replaced import watched
from guidebench.plugins.isolation.state import restored
from guidebench.request.declared import quantities
from guidebench.request.selection import ChosenGuide
from guidebench.results import Comparison, ProblemRecord


def compare(
    request: Request,
    *,
    progress: Progress | None = None,
    keep: Keep | None = None,
    executor: Executor | None = None,
    meanwhile: Meanwhile | None = None,
    warn: Warn | None = None,
    log: Callable[[Event], None] | None = None,
) -> Comparison:
    """Train every guide on every problem and score them all.

    Parameters
    ----------
    request : Request
        What is asked for.
    progress : Progress, optional
        Is told what happens.
    keep : Keep, optional
        Where finished fits are kept, and those of an earlier run found.
    executor : Executor, optional
        What runs the tasks; by default this process.
    meanwhile : Meanwhile, optional
        What this process does while others run the tasks.
    warn : callable, optional
        ``warn(problem, text)`` is told, before anything is trained, what should be known of a problem.
    log : callable, optional
        Reads all events, too.

    Raises
    ------
    RequestError
        Where the request is wrong; what goes wrong inside a fit is recorded in it instead.
    """
    collecting = Collecting()
    consumers: list[Callable[[Event], None]] = [collecting, Showing(progress or Silent())]
    if keep is not None:  # before anybody is told that a fit is done
        consumers.insert(0, Keeping(keep))
    if warn is not None:
        consumers.append(Remarking(warn))
    if log is not None:
        consumers.append(log)

    def tell(event: Event) -> None:
        for consumer in consumers:
            consumer(event)

    with watched(), restored(), precision.chosen(request.config.x64):
        settings = Settings(request.config, recipe_of(request.config), request.alone)
        request.check_reference()
        running = executor or Here()
        try:
            plan = make_plan(replace(request, guides=_checked(request, settings, running)), settings, keep)
            if meanwhile is not None:
                consumers.append(_settling(plan, collecting, meanwhile))
            interrupted = _interrupted(plan, running, tell, collecting, _pieces(meanwhile))
        finally:  # a notebook goes on
            WORKBENCHES.clear()
        return _comparison(plan, collecting, interrupted=interrupted)


def _settling(plan: Plan, found: Collecting, meanwhile: Meanwhile) -> Settling:
    """Return what passes on the problems of which nothing will change any more."""

    def settled(name: str) -> None:
        comparison = _comparison(plan, found, interrupted=False)
        meanwhile.take(replace(comparison, fits=comparison.of(name)), found.described[name].record)

    return Settling(found, [guide.label for guide in plan.request.guides], settled)


def _pieces(meanwhile: Meanwhile | None) -> Callable[[], bool]:
    """Return what does the next piece of work, unless a task runs in this process."""
    if meanwhile is None:
        return nothing

    def work() -> bool:
        if not TURN.acquire(blocking=False):
            return False
        try:
            return meanwhile.work()
        finally:
            TURN.release()

    return work


def _interrupted(
    plan: Plan, executor: Executor, tell: Tell, collecting: Collecting, meanwhile: Callable[[], bool]
) -> bool:
    """Execute a plan; return whether it was interrupted when some of it was done."""
    try:
        tell(RunBegan(len(plan.problems) * len(plan.request.guides), len(plan.problems)))
        for one in plan.problems:
            if one.known is not None:
                tell(ProblemDescribed(*one.known))
            for fit in one.kept.values():
                tell(FitFinished(fit, kept=True))
        nodes = plan.nodes(side_by_side=executor.slots() > 1)
        execute(nodes, executor, tell, Assembly(plan, tell), meanwhile)
    except KeyboardInterrupt:
        if not collecting.fits:
            raise
        return True
    return False


class _Checked:
    """Takes the guides that were held against the model; what is wrong with one ends the run."""

    def __init__(self, guides: Sequence[ChosenGuide]) -> None:
        self.guides = {guide.label: guide for guide in guides}

    def begin(self, node: Node) -> None:
        """Say nothing."""

    def settle(self, node: Node, outcome: Outcome) -> None:
        """Take one; whose check takes its process down is left to its fit, which will say so."""
        if not isinstance(outcome, Lost):
            one = self.guides[node.guide]
            declaration = replace(one.declaration, bound=outcome.value)
            self.guides[node.guide] = replace(one, registered=replace(one.registered, declaration=declaration))
        elif not isinstance(outcome.error, TaskLostError):
            raise outcome.error


def _checked(request: Request, settings: Settings, executor: Executor) -> tuple[ChosenGuide, ...]:
    """Return the guides, those of the user's own checked where there is one problem."""
    found = _Checked(request.guides)
    execute(checks(request, settings), executor, nobody, found)
    return tuple(found.guides.values())


def _comparison(plan: Plan, found: Collecting, *, interrupted: bool) -> Comparison:
    """Return what a run has come to; of an interrupted one, the problems with a fit."""
    request = plan.request
    begun = [
        one
        for one in plan.problems
        if not interrupted or any((one.problem.name, guide.label) in found.fits for guide in one.guides)
    ]
    described = [
        found.described.get(one.problem.name)
        or ProblemDescribed(ProblemRecord(name=one.problem.name, summary=one.problem.summary))
        for one in begun
    ]
    by_problem = [[found.fits.get((one.problem.name, guide.label)) for guide in one.guides] for one in begun]
    return Comparison(
        name=request.name,
        problems=tuple(one.record for one in described),
        fits=tuple(fit for own in by_problem for fit in together([one for one in own if one is not None])),
        recipe=plan.settings.recipe.describe(),
        config=request.config.saved(),
        environment=environment.describe(),
        references={one.record.name: one.reference for one in described if one.reference is not None},
        interrupted=interrupted,
        kept=found.kept,
        failures=tuple(one.failure() for one in request.registry.broken),
        quantities=quantities(request.registry),
    )
