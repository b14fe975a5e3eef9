"""One problem of a run: what is kept of it from an earlier run, and what is made ready once it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from guidebench.config import RunConfig
from guidebench.contracts import Metric, Problem
from guidebench.engine import calibration
from guidebench.engine.fitting import blank, fit_guide
from guidebench.engine.keep import Keep, KeptProblem, worth_keeping
from guidebench.engine.keys.maker import KeyMaker, Keys
from guidebench.engine.prepared import Prepared, prepare
from guidebench.engine.progress import Progress
from guidebench.engine.references import reference_data, with_reference
from guidebench.inference.recipe import Recipe
from guidebench.plugins.isolation.state import restored
from guidebench.plugins.registry import Registered
from guidebench.request.selection import ChosenGuide
from guidebench.results import Fit, ProblemRecord


class Request(NamedTuple):
    """What is asked of every problem of a run.

    `alone` says that it is the only one: then what is wrong with it ends the run.
    """

    config: RunConfig
    recipe: Recipe
    metrics: Sequence[Registered[Metric]]
    given: Mapping[str, Any] | None
    alone: bool


@dataclass(kw_only=True)
class Job:
    """All guides on one problem.

    Attributes
    ----------
    fits : dict
        Those that there are, by guide.
    kept : int
        How many of them an earlier run made.
    known : KeptProblem, optional
        What the report needs of the problem, from an earlier run or this one.
    """

    problem: Problem
    guides: tuple[ChosenGuide, ...]
    fits: dict[str, Fit] = field(default_factory=dict)
    kept: int = 0
    known: KeptProblem | None = None
    _keys: Keys | None = None

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.known is not None and all(guide.label in self.fits for guide in self.guides)

    def described(self) -> KeptProblem:
        """Return what is known of the problem, which is little where nobody has looked at it yet."""
        return self.known or KeptProblem(ProblemRecord(name=self.problem.name, summary=self.problem.summary))

    def in_order(self) -> list[Fit]:
        """Return the fits that there are, in the order of the guides."""
        return [self.fits[guide.label] for guide in self.guides if guide.label in self.fits]

    def look_up(self, maker: KeyMaker, keep: Keep) -> None:
        """Take over what an earlier run kept."""
        with restored():  # to name a module of somebody's may import it
            self._keys = maker.keys(self.problem, self.guides)
        for guide in self.guides:
            key = self._keys.fits[guide.label]
            found = None if key is None else keep.fit(key)
            if found is not None:
                self.fits[guide.label] = found
        self.kept = len(self.fits)
        if self._keys.problem is not None and self.fits:
            known = keep.problem(self._keys.problem)
            self.known = None if known is None else KeptProblem(*known)

    def run(self, request: Request, keep: Keep | None, watcher: Progress) -> None:
        """Make the fits that are missing, and keep each as soon as it is there."""
        ready, simulations = self._prepared(request, watcher)
        if isinstance(ready, str):
            self.known = self.described()
            for guide in self.guides:
                if guide.label not in self.fits:
                    failed = replace(blank(self.problem.name, guide), message=ready, reason=ready)
                    self.fits[guide.label] = failed
                    watcher.finish(failed)
            return
        reference = reference_data(ready) if ready.reference.label else None
        self.known = KeptProblem(ready.record, reference)
        unkept = keep is not None and self._keys is not None and self._keys.problem is not None
        for guide in self.guides:
            if guide.label in self.fits:
                continue
            fit = fit_guide(ready, guide, request.config, request.recipe, request.metrics, watcher, simulations)
            self.fits[guide.label] = fit
            key = None if self._keys is None else self._keys.fits[guide.label]
            if keep is not None and key is not None and worth_keeping(fit):
                keep.keep_fit(key, fit)
                if unkept and self._keys is not None and self._keys.problem is not None:
                    keep.keep_problem(self._keys.problem, self.known)
                    unkept = False
            watcher.finish(fit)

    def _prepared(self, request: Request, watcher: Progress) -> tuple[Prepared | str, calibration.Simulations | None]:
        """Return the problem made ready, with its reference and simulated data; or, one of several, why it is not."""
        config, recipe, name = request.config, request.recipe, self.problem.name
        watcher.phase(name, "preparing", "looking for modes" if recipe.standardise else "looking for starting points")
        try:
            with restored():  # a model is somebody's code, too
                ready = prepare(self.problem, config, recipe)
                if config.simulations is not None and request.alone:  # refused before anything takes long
                    calibration.check(name, ready.structure)
                ready = with_reference(ready, config, recipe, request.given, watcher)
        except (Exception, SystemExit) as error:
            if request.alone:
                raise
            return f"the problem could not be prepared: {type(error).__name__}: {' '.join(str(error).split())}", None
        if config.simulations is None:
            return ready, None
        watcher.phase(name, "simulations", f"drawing {config.simulations} data sets")
        try:
            found = calibration.prepare(name, ready.problem.model, ready.arguments, ready.structure, config, recipe)
        except (Exception, SystemExit) as error:
            if request.alone:
                raise
            note = f"There is no calibration by simulation: {' '.join(str(error).split()) or type(error).__name__}."
            return replace(ready, record=replace(ready.record, notes=(*ready.record.notes, note))), None
        return ready, found
