"""What reaches the engine, and what its answer does to the exit status; nothing is trained here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from operator import truediv
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from guidebench.api import Comparison, Fit
from guidebench.config import RunConfig
from guidebench.engine.request import Request
from guidebench.results import Status, Verdict
from tests import made

Command = Callable[..., Any]
Python = Callable[..., CompletedProcess[str]]


class Engine:
    """Stands in for the engine: keeps what it was asked, and answers with fits of given statuses."""

    def __init__(self) -> None:
        self.statuses: Sequence[Status] = (Status.CONVERGED,)
        self.interrupted = False
        self.error: BaseException | None = None
        self.config = RunConfig()
        self.labels: list[str] = []

    def compare(self, request: Request, **_: object) -> Comparison:
        self.config = request.config
        self.labels = [guide.label for guide in request.guides]
        if self.error is not None:
            raise self.error
        fits = (
            made.fit(
                f"guide_{index}",
                kind=Fit,
                problem=request.problems[0].name,
                status=status,
                verdict=Verdict.TRUST if status.has_draws else Verdict.FAILED,
                message="" if status.has_draws else "train: ValueError: [b]no[/b]",
            )
            for index, status in enumerate(self.statuses)
        )
        problems = tuple(made.record(problem.name) for problem in request.problems)
        found: Comparison = made.comparison(
            *fits, kind=Comparison, name=request.name, problems=problems, interrupted=self.interrupted
        )
        return found


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    stand_in = Engine()
    monkeypatch.setattr("guidebench.engine.run.compare", stand_in.compare)
    monkeypatch.setattr("guidebench.report.write", lambda comparison, folder, **_: Path(folder) / "report.html")
    return stand_in


@pytest.mark.parametrize(
    ("statuses", "options", "expected"),
    [
        ("converged", "", 0),
        ("converged max_steps", "", 0),
        ("converged max_steps", "--strict", 1),
        ("converged", "--strict", 0),
        ("converged unsupported", "", 0),
        ("converged diverged", "", 1),
        ("failed converged", "", 1),
        ("failed converged", "--quiet", 1),
    ],
)
def test_the_exit_status_says_how_the_fits_ended(
    command: Command, engine: Engine, tmp_path: Path, statuses: str, options: str, expected: int
) -> None:
    engine.statuses = [Status(status) for status in statuses.split()]
    ended = command("run", *options.split())
    assert ended.status == expected
    assert ended.err == ""
    assert (tmp_path / "reports" / "linear-regression" / "results.json").exists()
    if "--quiet" in options:
        assert ended.out == ""
    elif "failed" in statuses:
        assert "guide_0: train: ValueError: [b]no[/b]" in ended.out


def test_an_interrupted_run_keeps_what_is_finished(command: Command, engine: Engine, tmp_path: Path) -> None:
    engine.interrupted = True
    ended = command("run")
    assert (ended.status, ended.err) == (130, "guidebench: interrupted\n")
    assert "Interrupted: only the finished fits are in the report." in ended.out
    assert (tmp_path / "reports" / "linear-regression" / "summary.csv").exists()


def test_a_run_interrupted_before_any_fit_writes_nothing(command: Command, engine: Engine, tmp_path: Path) -> None:
    engine.error = KeyboardInterrupt()
    assert command("run") == (130, "", "guidebench: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_a_bug_is_one_line_and_its_traceback_is_in_the_log(
    command: Command, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guidebench.results.kept.Kept.tidy", partial(truediv, 1, 0))  # a frame of nobody else's
    ended = command("run")
    log = Path("reports/linear-regression/run.log")
    said = f"guidebench: guidebench itself failed: ZeroDivisionError: division by zero; the traceback is in {log}\n"
    assert ended == (3, "", said)
    text = (tmp_path / log).read_text(encoding="utf-8")
    assert "CRITICAL the run was ended by\nTraceback (most recent call last):" in text
    assert text.endswith("ZeroDivisionError: division by zero\n")
    assert not (tmp_path / log.parent / ".lock").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", RunConfig()),
        ("linear-regression", RunConfig()),
        ("linear-*", RunConfig(problems=("linear-*",))),
        ("-g all", RunConfig(guides=("all",))),
        ("--guide mean_field -g auto_delta", RunConfig(guides=("mean_field", "auto_delta"))),
        ("--recipe plain", RunConfig(recipe="plain")),
        ("--fresh", RunConfig(fresh=True)),
        ("--optimizer sgd", RunConfig(optimizer="sgd")),
        ("--learning-rate 0.5", RunConfig(learning_rate=0.5)),
        ("--steps 77", RunConfig(steps=77)),
        ("--restarts 3", RunConfig(restarts=3)),
        ("--particles 2", RunConfig(particles=2)),
        ("--loss RenyiELBO", RunConfig(loss="RenyiELBO")),
        ("--init value:w=1", RunConfig(init="value:w=1")),
        ("--seed 9", RunConfig(seed=9)),
        ("--draws 123", RunConfig(draws=123)),
        ("--log-loss", RunConfig(log_loss=True)),
        ("--config run.toml", RunConfig(steps=400, guides=("auto_delta",), log_loss=True)),
        (
            "--config run.toml --steps 500 -g mean_field --linear-loss",
            RunConfig(steps=500, guides=("mean_field",), log_loss=False),
        ),
    ],
)
def test_each_option_reaches_the_engine(
    command: Command, engine: Engine, tmp_path: Path, arguments: str, expected: RunConfig
) -> None:
    (tmp_path / "run.toml").write_text('steps = 400\nguides = "auto_delta"\nlog_loss = true\n')
    assert command("run", *arguments.split()).status == 0
    assert engine.config == expected


def test_the_default_guides_come_in_their_order(command: Command, engine: Engine) -> None:
    command("run", "-g", "auto_delta", "-g", "default")
    assert engine.labels == [
        "auto_delta",
        "mean_field",
        "auto_normal",
        "auto_multivariate_normal",
        "auto_laplace_approximation",
        "auto_iaf_normal",
    ]


def test_without_arguments_there_is_help(command: Command) -> None:
    bare, asked = command(), command("--help")
    assert bare == asked
    assert bare.status == 0
    for name in ("run", "list", "report", "info"):
        assert f" {name} " in bare.out


def test_version(command: Command) -> None:
    assert command("--version") == (0, f"guidebench {version('guidebench')}\n", "")


def test_info_shows_versions_devices_and_the_cache(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUIDEBENCH_CACHE_DIR", str(tmp_path / "kept"))
    ended = command("info")
    assert (ended.status, ended.err) == (0, "")
    shown = dict(line.split(maxsplit=1) for line in ended.out.splitlines())
    for name in ("guidebench", "jax", "jaxlib", "numpyro", "optax", "arviz", "numpy", "xarray"):
        assert shown[name] == version(name)
    assert shown["cache"] == f"{tmp_path / 'kept'} (0 MB)"
    assert shown["devices"]
