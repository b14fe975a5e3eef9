"""What a plugin raises becomes a record with its name on it; what it changes is put back between its phases."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpyro.primitives import _PYRO_STACK, Messenger

from guidebench.contracts import Metric, MetricValue
from guidebench.engine.fit.score import compute
from guidebench.metrics.evidence import Evidence, Heldout, read_only
from guidebench.plugins.isolation import state
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.plugins.isolation.failures import OWN, Failure, raised_in, reason
from guidebench.plugins.isolation.state import remember, restored
from guidebench.plugins.registry import Registered


def boundary(phase: Any = "train", **parts: Any) -> Boundary:
    return Boundary(phase, plugin="point", distribution="acme", name="flow", **parts)


class Unspeakable(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no\nway"), "ValueError: no way"),
        (SystemExit(3), "SystemExit: 3"),
        (LookupError(), "LookupError"),
        (RecursionError("deep"), "RecursionError: deep"),
        (Unspeakable(), "Unspeakable: it cannot be told why"),
        (ValueError("x" * 1000), f"ValueError: {'x' * 299}…"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_exception_becomes_a_failure(error: BaseException, message: str) -> None:
    with boundary() as at:
        at.begin("draw")
        raise error
    assert at.failure is not None
    assert (at.failure.plugin, at.failure.distribution, at.failure.name) == ("point", "acme", "flow")
    assert (at.failure.phase, at.failure.message) == ("draw", message)
    assert "raise error" in at.failure.traceback


def test_without_an_exception_there_is_no_failure() -> None:
    with boundary() as at:
        pass
    assert at.failure is None


def test_ctrl_c_goes_through_and_leaves_no_trace() -> None:
    def interrupted() -> None:
        os.environ["GUIDEBENCH_TEST"] = "1"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), boundary():
        interrupted()
    assert "GUIDEBENCH_TEST" not in os.environ


def test_the_innermost_phase_counts() -> None:
    with boundary() as at, raised_in("draw"), raised_in("build"):
        raise ValueError
    assert at.failure is not None
    assert at.failure.phase == "build"


def test_a_new_phase_begins_where_everything_is_as_before() -> None:
    before = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    with boundary() as at:
        Messenger(None).__enter__()
        np.random.seed(3)  # noqa: NPY002
        np.seterr(all="raise")
        at.begin("draw")
        assert _PYRO_STACK == []
        assert np.geterr()["over"] == "warn"
        now = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
        assert np.array_equal(now["key"], before["key"])


def test_filters_that_nobody_changed_are_not_touched() -> None:
    # Python forgets which warnings it has shown when filters change.
    before = warnings.filters
    with restored():
        pass
    assert warnings.filters is before


def test_what_cannot_be_put_back_does_not_keep_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    def stubborn() -> Callable[[], None]:
        return lambda: 1 / 0  # type: ignore[return-value]

    monkeypatch.setattr(state, "KEEPERS", (stubborn, *state.KEEPERS))
    restore = remember()
    os.environ["GUIDEBENCH_TEST"] = "1"
    restore()
    assert "GUIDEBENCH_TEST" not in os.environ


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({"phase": "import"}, "import: no (plugin 'point' of acme)"),
        ({"phase": "hook", "name": "guidebench_guides"}, "hook 'guidebench_guides': no (plugin 'point' of acme)"),
        ({"phase": "metric", "name": "mmd"}, "metric 'mmd': no (plugin 'point' of acme)"),
        ({"phase": "build", "name": "flow"}, "flow, build: no (plugin 'point' of acme)"),
        ({"phase": "build", "name": "flow", "plugin": "your own", "distribution": "your own"}, None),
        ({"phase": "import", "plugin": "mine.py", "distribution": "local"}, "import: no (local plugin 'mine.py')"),
    ],
)
def test_a_failure_says_who_where_and_why(parts: dict[str, Any], line: str | None) -> None:
    failure = Failure(**{"plugin": "point", "distribution": "acme", "message": "no", **parts})
    assert str(failure) == (line or "flow, build: no (your own)")


def test_the_reason_is_one_line() -> None:
    assert reason(ValueError("a\n b\tc")) == "ValueError: a b c"


# Metrics


def evidence() -> Evidence:
    draws = np.arange(6.0)
    return Evidence(
        latents={"w": draws.copy()},
        log_weights=draws.copy(),
        reference={"w": draws.copy()},
        reference_ess={"w": 6.0},
        heldout=Heldout(
            observed={"y": draws.copy()}, predicted={"y": draws.copy()}, log_likelihood={"y": draws.copy()}
        ),
    )


WRITES: dict[str, Callable[[Evidence], Any]] = {
    "draws": lambda e: e.latents["w"].fill(0),
    "weights": lambda e: e.log_weights.fill(0),  # type: ignore[union-attr]
    "reference": lambda e: e.reference["w"].sort(),
    "observations": lambda e: e.heldout.observed["y"].fill(0),  # type: ignore[union-attr]
    "predictions": lambda e: e.heldout.predicted["y"].fill(0),  # type: ignore[union-attr]
    "likelihood": lambda e: e.heldout.log_likelihood["y"].fill(0),  # type: ignore[union-attr]
    "sites": lambda e: e.latents.pop("w"),  # type: ignore[attr-defined]
    "a component": lambda e: next(e.scalars())[1].fill(0),
    "worths": lambda e: e.reference_ess.clear(),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("part", WRITES)
def test_a_metric_cannot_change_what_the_next_one_sees(part: str) -> None:
    def write(found: Evidence) -> Any:
        WRITES[part](found)
        return [MetricValue(value=0.0)]

    def look(found: Evidence) -> Any:
        yield MetricValue(value=float(found.latents["w"].sum() + found.reference["w"].sum()))

    given = evidence()
    metrics = [
        Registered(Metric(name="writes", compute=write), "theirs", "acme"),
        Registered(Metric(name="looks", compute=look), "metrics", OWN),
    ]
    values, failures = compute(given, metrics)
    assert [(value.metric, value.value) for value, _ in values] == [("looks", 30.0)]
    assert [(one.name, one.phase, one.distribution) for one in failures] == [("writes", "metric", "acme")]
    assert given.latents["w"].flags.writeable  # what it was made from is as it was


def test_evidence_that_is_locked_has_the_same_parts() -> None:
    bare = Evidence(latents={"w": np.arange(3.0)})
    for found in (evidence(), bare):
        locked = read_only(found)
        for part in ("density", "weights", "modes", "heldout", "reference", "reference spread"):
            assert locked.has(part) == found.has(part)
