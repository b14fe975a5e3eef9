"""What tasks have come to is put together as fits; what was lost is told in the rows that it cost, and in no others."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from time import sleep
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from guidebench.analysis.verdict import Judgement
from guidebench.config import make_config
from guidebench.contracts import Guide, MetricValue, Problem
from guidebench.engine.consumers import Meanwhile
from guidebench.engine.events import PhaseBegan, StepsDone, Tell
from guidebench.engine.executors import Job
from guidebench.engine.fit.calibrate import Calibrated
from guidebench.engine.fit.draw import Drawn, ToScore
from guidebench.engine.fit.score import Scored
from guidebench.engine.gate import Reference
from guidebench.engine.keep import Keep
from guidebench.engine.lost import TaskLostError
from guidebench.engine.perform import TURN
from guidebench.engine.progress import Silent
from guidebench.engine.references import Referenced
from guidebench.engine.request import Request
from guidebench.engine.run import compare
from guidebench.engine.tasks import Last
from guidebench.plugins.isolation.failures import LOCAL, OWN, Failure
from guidebench.plugins.isolation.whereabouts import Where
from guidebench.plugins.registry import Registered, Registry
from guidebench.request.selection import ChosenGuide
from guidebench.results import Comparison, Finding, Fit, ProblemRecord, Status, Verdict, Work, inference_data

GOOD = Judgement(
    verdict=Verdict.TRUST,
    reason="It is good.",
    evidence=(Finding(source="weights", raw=True, said="They are even."),),
    sites={"w": Verdict.TRUST},
)


def guide(name: str, **parts: Any) -> ChosenGuide:
    declaration = Guide(name=name, build=lambda model: model, **parts)
    return ChosenGuide(registered=Registered(declaration, "acme", LOCAL), label=name)


def dataset(value: float) -> xr.Dataset:
    return xr.Dataset({"w": (("chain", "draw"), np.full((1, 4), value))})


def usual(job: Job) -> Any:
    """What the tasks of a run come to where nothing goes wrong."""
    name, kind = job.name.split("/")[0], job.name.split("/")[-1]
    if kind == "prepare":
        return SimpleNamespace(
            record=ProblemRecord(name=name, latents=("w",), notes=("One.",)), coords=dict, named=dict
        )
    if kind == "reference":
        return Referenced(Reference(checks={"draws": 4.0}, note="None is needed."), {"dimension": 1.0})
    if kind == "simulations":
        return SimpleNamespace(work=Work(gradients=7))
    own: ChosenGuide = job.task.guide  # type: ignore[attr-defined]
    if kind == "fit":
        fit = Fit(
            problem=name,
            guide=own.label,
            plugin="local",
            status=Status.CONVERGED,
            bound="elbo",
            verdict=Verdict.FAILED,
            evaluate_s=1.0,
        )
        to_score = ToScore(SimpleNamespace(), Status.CONVERGED, stopped=False)  # type: ignore[arg-type]
        return Drawn(fit=fit, to_score=to_score, groups={"posterior": dataset(1.0)}, remarks=("a remark",))
    if kind == "score":
        values = (MetricValue(value=0.5, metric="elbo"),)
        return Scored(metrics=values, judgement=GOOD, failures=(), seconds=2.0)
    assert kind == "calibration"
    return Calibrated(dataset(2.0), (MetricValue(value=0.9, metric="simulated"),), None, 3.0)


class Table:
    """An executor in which jobs come to what a table says, and otherwise to the usual."""

    def __init__(self, table: Mapping[str, Any], count: int) -> None:
        self._table, self._count = table, count

    def slots(self) -> int:
        """Return how many jobs it takes at a time."""
        return self._count

    def at_hand(self) -> frozenset[str]:
        """Have nothing at hand."""
        return frozenset()

    def submit(self, job: Job, tell: Tell) -> Future[Any]:
        """Look up what a job comes to."""
        found = self._table.get(job.name)
        future: Future[Any] = Future()
        if isinstance(found, Exception):
            future.set_exception(found)
        elif isinstance(found, BaseException):
            raise found
        else:
            future.set_result(usual(job) if found is None else found)
        return future


def run(
    table: Mapping[str, Any],
    problems: str = "p q",
    guides: tuple[ChosenGuide, ...] = (guide("a"), guide("b")),
    *,
    slots: int = 1,
    progress: Silent | None = None,
    keep: Keep | None = None,
    meanwhile: Meanwhile | None = None,
    **options: Any,
) -> Comparison:
    request = Request(
        name="run",
        problems=tuple(
            Problem(name=name, model=lambda y=None: None, kwargs={"y": 0.0}, summary=f"Of {name}.")
            for name in problems.split()
        ),
        guides=guides,
        config=make_config(options),
        registry=Registry(),
    )
    return compare(request, progress=progress, keep=keep, executor=Table(table, slots), meanwhile=meanwhile)


def well(fit: Fit) -> bool:
    return fit.verdict is Verdict.TRUST and fit.failures == () and fit.value("elbo") == 0.5


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_a_fit_is_made_of_its_parts(slots: int) -> None:
    found = run({}, slots=slots)
    assert [(fit.problem, fit.guide) for fit in found.fits] == [("p", "a"), ("p", "b"), ("q", "a"), ("q", "b")]
    for fit in found.fits:
        assert well(fit)
        assert (fit.status, fit.reason, fit.message) == (Status.CONVERGED, "It is good.", "a remark")
        assert (fit.evaluate_s, fit.simulate_s) == (3.0, None)
        assert list(inference_data.group_names(fit.inference_data)) == ["posterior"]
    record = found.problems[0]
    assert (record.name, record.latents, record.notes) == ("p", ("w",), ("One.",))
    assert (record.reference, record.reference_note) == ("", "None is needed.")
    assert (record.reference_checks, record.features) == ({"draws": 4.0}, {"dimension": 1.0})
    assert not found.interrupted


def test_a_calibration_is_a_part_of_a_fit() -> None:
    found = run({}, guides=(guide("a"), guide("point", bound="none")), simulations=64)
    fit = found["p", "a"]
    assert well(fit)
    assert (fit.value("simulated"), fit.simulate_s, fit.evaluate_s) == (0.9, 3.0, 3.0)
    assert "simulations" in inference_data.group_names(fit.inference_data)
    point = found["p", "point"]
    assert (point.value("simulated"), point.simulate_s) == (None, None)
    assert point.message == "a remark; a point estimate has no intervals, so there is no calibration to simulate"


def test_a_fit_that_ended_early_is_left_as_it_is() -> None:
    ended = Fit(
        problem="p", guide="a", plugin="acme", status=Status.DIVERGED, bound="elbo", verdict=Verdict.FAILED, message="x"
    )
    found = run({"p/a/fit": Last(ended)}, simulations=64)
    assert found["p", "a"] is ended
    assert all(well(fit) for fit in found.fits if fit is not ended)


# What is lost


@pytest.mark.parametrize("at", ["prepare", "reference"])
def test_a_problem_that_is_lost_costs_its_own_rows(at: str) -> None:
    found = run({f"p/{at}": ValueError("no\nsuch thing")})
    for fit in found.fits:
        if fit.problem == "q":
            assert well(fit)
        else:
            assert (fit.status, fit.verdict) == (Status.FAILED, Verdict.FAILED)
            assert fit.message == fit.reason == "the problem could not be prepared: ValueError: no such thing"
    assert [(record.name, record.summary) for record in found.problems] == [("p", "Of p."), ("q", "")]


@pytest.mark.parametrize("at", ["prepare", "reference", "simulations"])
def test_the_only_problem_ends_the_run(at: str) -> None:
    error = ValueError("no")
    with pytest.raises(ValueError, match="no") as caught:
        run({f"p/{at}": error}, "p", simulations=64)
    assert caught.value is error


def test_the_death_of_a_process_is_no_such_end() -> None:
    found = run({"p/prepare": TaskLostError("its process was killed by SIGKILL")}, "p")
    assert [fit.message for fit in found.fits] == [
        "the problem could not be prepared: its process was killed by SIGKILL"
    ] * 2


@pytest.mark.parametrize("problems", ["p", "p q"])
def test_without_a_reference_whose_process_died_there_are_scores_all_the_same(problems: str) -> None:
    found = run({"p/reference": TaskLostError("its process was killed by SIGKILL")}, problems)
    assert all(well(fit) for fit in found.fits)
    note = "There is no reference, for it could not be found: its process was killed by SIGKILL."
    assert (found.problems[0].reference, found.problems[0].reference_note) == ("", note)


def test_simulated_data_that_are_lost_are_a_note() -> None:
    found = run({"p/simulations": ValueError("too\nlarge")}, simulations=64)
    assert all(well(fit) for fit in found.fits)
    assert [fit.value("simulated") for fit in found.fits] == [None, None, 0.9, 0.9]
    assert found.problems[0].notes == ("One.", "There is no calibration by simulation: too large.")
    assert found.problems[1].notes == ("One.",)


@pytest.mark.parametrize(("at", "phase"), [("fit", "train"), ("score", "metric")])
def test_what_guidebench_itself_does_wrong_is_named_as_its_own(at: str, phase: str) -> None:
    found = run({f"p/a/{at}": KeyError("oh")})
    fit = found["p", "a"]
    assert fit.status is Status.FAILED
    (failure,) = fit.failures
    assert (failure.distribution, failure.phase, failure.name) == (OWN, phase, "a")
    assert failure.message == "KeyError: 'oh'"
    assert "KeyError" in failure.traceback
    assert fit.message == f"{phase}: KeyError: 'oh'"
    assert all(well(other) for other in found.fits if other is not fit)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, ("train", "acme", LOCAL, "a")),
        (Where("build", "theirs", "theirs-dist", "flow"), ("build", "theirs", "theirs-dist", "flow")),
    ],
)
def test_who_took_a_process_down_is_named(where: Where | None, expected: tuple[str, ...]) -> None:
    found = run({"p/a/fit": TaskLostError("its process was killed by SIGSEGV", where)})
    (failure,) = found["p", "a"].failures
    assert (failure.phase, failure.plugin, failure.distribution, failure.name) == expected
    assert failure.message == "its process was killed by SIGSEGV"
    assert found["p", "a"].message == f"{expected[0]}: its process was killed by SIGSEGV"
    assert well(found["p", "b"])


@pytest.mark.parametrize("error", [ValueError("no"), TaskLostError("is gone")], ids=["error", "death"])
def test_a_calibration_that_is_lost_leaves_the_fit_as_it_is(error: Exception) -> None:
    found = run({"p/a/calibration": error}, simulations=64)
    fit = found["p", "a"]
    assert (fit.verdict, fit.value("elbo"), fit.value("simulated")) == (Verdict.TRUST, 0.5, None)
    (failure,) = fit.failures
    assert failure.phase == "simulations"
    assert fit.message == f"a remark; fitting simulated data failed: {failure.message}"
    assert found["p", "b"].value("simulated") == 0.9


def test_metrics_that_failed_are_told_with_the_rest() -> None:
    bad = Failure(plugin="theirs", distribution="theirs-dist", phase="metric", name="mmd", message="ValueError: no")
    scored = Scored(metrics=(), judgement=GOOD, failures=(bad,), seconds=0.0)
    fit = run({"p/a/score": scored})["p", "a"]
    assert (fit.verdict, fit.failures) == (Verdict.TRUST, (bad,))
    assert fit.message == "a remark; metric 'mmd' of theirs-dist failed: ValueError: no"


def test_what_cannot_be_put_together_is_the_guides_own_failure() -> None:
    drawn = usual(Job(name="p/a/fit", task=SimpleNamespace(guide=guide("a"))))  # type: ignore[arg-type]
    drawn.groups["posterior"] = "no dataset"
    fit = run({"p/a/fit": drawn})["p", "a"]
    assert (fit.status, fit.value("elbo"), fit.inference_data) == (Status.FAILED, None, None)
    (failure,) = fit.failures
    assert (failure.phase, failure.distribution, failure.name) == ("inference data", LOCAL, "a")


# What is told


class Told(Silent):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def begin(self, fits: int, problems: int = 1) -> None:
        """A run begins."""
        self.heard.append(("begin", fits, problems))

    def problem(self, number: int, name: str) -> None:
        """A problem's turn has come."""
        self.heard.append(("problem", number, name))

    def phase(self, problem: str, guide: str, phase: str) -> None:
        """A fit enters a phase."""
        self.heard.append(("phase", problem, guide, phase))

    def steps(self, problem: str, guide: str, done: int, total: int, loss: float) -> None:
        """Some steps are done."""
        self.heard.append(("steps", problem, guide, done, total, loss))

    def finish(self, fit: Fit, *, kept: bool = False) -> None:
        """A fit is complete."""
        self.heard.append(("finish", fit.problem, fit.guide, kept))


class Talking(Table):
    """An executor whose fits tell of a phase and of steps."""

    def submit(self, job: Job, tell: Tell) -> Future[Any]:
        """Tell of them, where it is a fit."""
        problem, *guide, kind = job.name.split("/")
        if kind == "fit":
            tell(PhaseBegan(problem, guide[0], "training"))
            tell(StepsDone(problem, guide[0], 5, 10, 0.5))
        return super().submit(job, tell)


def test_a_watcher_is_told_in_the_order_of_what_happens() -> None:
    told = Told()
    request = Request(
        name="run",
        problems=(Problem(name="p", model=lambda: None), Problem(name="q", model=lambda: None)),
        guides=(guide("a"), guide("b")),
        config=make_config({}),
        registry=Registry(),
    )
    compare(request, progress=told, executor=Talking({}, 1))
    expected: list[tuple[Any, ...]] = [("begin", 4, 2)]
    for number, problem in enumerate("pq", 1):
        expected.append(("problem", number, problem))
        for own in "ab":
            expected.append(("phase", problem, own, "training"))
            expected.append(("steps", problem, own, 5, 10, 0.5))
            expected.append(("finish", problem, own, False))
    assert told.heard == expected


def test_an_interrupted_run_has_what_was_complete() -> None:
    found = run({"q/b/fit": KeyboardInterrupt()}, "p q r")
    assert found.interrupted
    assert [(fit.problem, fit.guide) for fit in found.fits] == [("p", "a"), ("p", "b"), ("q", "a")]
    assert [record.name for record in found.problems] == ["p", "q"]
    with pytest.raises(KeyboardInterrupt):
        run({"p/a/fit": KeyboardInterrupt()}, "p q r")


class Noted:
    """Keeps nothing and notes what it was given."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def fit(self, key: str) -> Fit | None:
        """Find nothing."""

    def problem(self, key: str) -> None:
        """Find nothing."""

    def keep_fit(self, key: str, fit: Fit) -> None:
        """Note the fit."""
        self.kept.append(f"{fit.problem}/{fit.guide}")

    def keep_problem(self, key: str, problem: tuple[ProblemRecord, Any]) -> None:
        """Note the problem."""
        self.kept.append(problem[0].name)


@pytest.mark.parametrize("lost", ["reference", "simulations"])
def test_what_lacks_a_part_that_was_lost_is_not_kept(lost: str) -> None:
    keep = Noted()
    run({f"p/{lost}": TaskLostError("its process was killed by SIGKILL")}, keep=keep, simulations=64)
    assert keep.kept == ["q/a", "q", "q/b"]


# What is passed on while tasks run


class Taking:
    """Remembers what it was given, and has no work to do."""

    def __init__(self) -> None:
        self.taken: list[tuple[Comparison, ProblemRecord]] = []

    def take(self, comparison: Comparison, problem: ProblemRecord) -> None:
        """Remember a problem."""
        self.taken.append((comparison, problem))

    def work(self) -> bool:
        """Do nothing."""
        return False

    def names(self) -> list[str]:
        """Return whose problems there were."""
        return [problem.name for _, problem in self.taken]

    def holds_of(self, found: Comparison) -> bool:
        """Return whether all that was given is what the run has found in the end."""
        return all(
            any(problem is one for one in found.problems)
            and len(comparison.problems) == len(found.problems)
            and len(comparison.fits) == len(found.of(problem.name))
            and all(one is other for one, other in zip(comparison.fits, found.of(problem.name), strict=True))
            for comparison, problem in self.taken
        )


@pytest.mark.parametrize("slots", [1, 3])
def test_a_problem_is_passed_on_once_nothing_of_it_will_change(slots: int) -> None:
    taking = Taking()
    lost = {"q/prepare": ValueError("no"), "r/b/fit": TaskLostError("its process was killed by SIGKILL")}
    found = run(lost, "p q r", slots=slots, meanwhile=taking)
    assert sorted(taking.names()) == ["p", "q", "r"]
    assert taking.holds_of(found)


def test_one_that_was_interrupted_is_not() -> None:
    taking = Taking()
    assert run({"q/b/fit": KeyboardInterrupt()}, "p q r", meanwhile=taking).interrupted
    assert taking.names() == ["p"]


class Known(Noted):
    """Keeps everything."""

    def __init__(self) -> None:
        super().__init__()
        self.fits: dict[str, Fit] = {}
        self.problems: dict[str, Any] = {}

    def fit(self, key: str) -> Fit | None:
        """Find a fit."""
        return self.fits.get(key)

    def problem(self, key: str) -> Any:
        """Find what is known of a problem."""
        return self.problems.get(key)

    def keep_fit(self, key: str, fit: Fit) -> None:
        """Keep a fit."""
        self.fits[key] = fit

    def keep_problem(self, key: str, problem: tuple[ProblemRecord, Any]) -> None:
        """Keep what is known of a problem."""
        self.problems[key] = problem


def test_what_an_earlier_run_has_kept_is_passed_on_first_and_what_it_lacks_once_that_is_there() -> None:
    keep = Known()
    run({}, "p q r", keep=keep)
    for key, fit in list(keep.fits.items()):
        if (fit.problem, fit.guide) == ("p", "b"):  # so that p is looked at again
            del keep.fits[key]
    for key, (record, _) in list(keep.problems.items()):
        if record.name == "q":
            del keep.problems[key]
    taking = Taking()
    found = run({}, "p q r", keep=keep, meanwhile=taking)
    assert found.kept == 5
    assert taking.names() == ["r", "p", "q"]
    assert taking.holds_of(found)


def test_no_work_is_done_while_a_task_runs_in_this_process() -> None:
    class Threads(Table):
        """Runs each job in a thread, in its turn."""

        busy = False

        def submit(self, job: Job, tell: Tell) -> Future[Any]:
            """Take a while."""
            future: Future[Any] = Future()
            begun = threading.Event()

            def does() -> None:
                with TURN:
                    self.busy = True
                    begun.set()
                    sleep(0.05)
                    self.busy = False
                future.set_result(super(Threads, self).submit(job, tell).result())

            threading.Thread(target=does).start()
            assert begun.wait(timeout=30)
            return future

    executor = Threads({}, 1)

    class Working(Taking):
        """Always has something to do."""

        def work(self) -> bool:
            """See whether a task runs."""
            assert not executor.busy
            return True

    request = Request(
        name="run",
        problems=(Problem(name="p", model=lambda: None),),
        guides=(guide("a"),),
        config=make_config({}),
        registry=Registry(),
    )
    assert len(compare(request, executor=executor, meanwhile=Working()).fits) == 1
