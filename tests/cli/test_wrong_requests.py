"""A wrong request ends with status 2 and one clear line on stderr: no traceback, nothing written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from guidebench.cli.life import WORDS

Python = Callable[..., CompletedProcess[str]]
Command = Callable[..., Any]


KEYS = (
    "problems, guides, plugins, no_plugins, data, test, heldout, observed, posteriordb, static, minibatch, recipe, "
    "optimizer, learning_rate, schedule, clip_norm, clip_share, validation, patience, steps, restarts, particles, "
    "loss, init, x64, seed, draws, reference, budget, until, time_limit, simulations, out, name, log_loss, fresh, "
    "strict, quiet, verbose, jobs, dask"
)

#: Arguments of ``guidebench run``, and the line on stderr.
WRONG = {
    "unknown problem": (
        "liner-regression",
        "no problem is called 'liner-regression'; did you mean 'linear-regression'?",
    ),
    "no budget": (
        "--budget lots",
        "--budget lots: should be a whole number of gradients, as 200000, or of seconds, as 60s, above zero",
    ),
    "until and a budget": (
        "--until trusted --budget 60s",
        "--until: it does not go with --budget, which is for runs of all guides",
    ),
    "until and a reference": (
        "--until trusted --reference nuts",
        "--until: it has references of its own, a mixture first and NUTS last",
    ),
    "until something else": ("--until done", "--until done: input should be 'trusted'"),
    "a budget and simulations": (
        "--budget 60s --simulations 50",
        "--budget and --simulations do not go together: every fit takes the same",
    ),
    "too few simulations": ("--simulations 5", "--simulations 5: input should be greater than or equal to 20"),
    "simulations of a model without data": (
        "funnel --simulations 100",
        "--simulations: funnel cannot be simulated: the model observes nothing, so there are no data to simulate",
    ),
    "glob that matches nothing": ("zz*", "no problem matches 'zz*'; see 'guidebench list'"),
    "one good problem, one unknown": (
        "linear-regression linear-regresion",
        "no problem is called 'linear-regresion'; did you mean 'linear-regression'?",
    ),
    "unknown guide": ("-g auto_norml", "no guide is called 'auto_norml'; did you mean 'auto_normal'?"),
    "one good guide, one unknown": (
        "-g mean_field -g AutoNorml",
        "no guide is called 'AutoNorml'; did you mean 'AutoNormal'?",
    ),
    "unknown guide option": (
        "-g auto_normal:scale=1",
        "guide 'auto_normal' has no option 'scale'; its options are init_scale",
    ),
    "option of a guide without any": (
        "-g auto_delta:scale=1",
        "guide 'auto_delta' has no option 'scale'; its options are none",
    ),
    "option that is the engine's": (
        "-g mean_field:init_loc_fn=1",
        "guide 'mean_field' has no option 'init_loc_fn'; its options are init_scale",
    ),
    "option of the wrong type": (
        "-g auto_normal:init_scale=big",
        "guide 'auto_normal': option 'init_scale' takes float (default 0.1), not 'big'",
    ),
    "option without a value": (
        "-g auto_normal:init_scale",
        "guide 'auto_normal': 'init_scale' is not OPTION=VALUE",
    ),
    "colon without an option": ("-g auto_normal:", "guide 'auto_normal': '' is not OPTION=VALUE"),
    "option given twice": (
        "-g auto_iaf_normal:num_flows=2,num_flows=3",
        "guide 'auto_iaf_normal': option 'num_flows' is given twice",
    ),
    "unknown recipe": ("--recipe best", "--recipe best: input should be 'default', 'adam' or 'plain'"),
    "negative learning rate": ("--learning-rate -1", "--learning-rate -1.0: input should be greater than 0"),
    "infinite learning rate": ("--learning-rate inf", "--learning-rate inf: input should be a finite number"),
    "no steps": ("--steps 0", "--steps 0: input should be greater than or equal to 20"),
    "no restarts": ("--restarts 0", "--restarts 0: input should be greater than or equal to 1"),
    "no particles": ("--particles 0", "--particles 0: input should be greater than or equal to 1"),
    "too few draws": ("--draws 7", "--draws 7: input should be greater than or equal to 100"),
    "negative seed": ("--seed -1", "--seed -1: input should be greater than or equal to 0"),
    "no such --config": ("--config no.toml", "--config no.toml: there is no such file"),
    "--config is a folder": ("--config folder", "--config folder: not readable as TOML: "),
    "--config is no TOML": (
        "--config bad.toml",
        "--config bad.toml: not readable as TOML: Invalid value (at line 1, column 9)",
    ),
    "--config is no text": ("--config binary.toml", "--config binary.toml: not readable as TOML: 'utf-8' codec can't"),
    "--config with an unknown key": (
        "--config unknown.toml",
        f"--config unknown.toml: unknown key 'step'; known keys are {KEYS}",
    ),
    "--config with a wrong type": (
        "--config type.toml",
        "--config type.toml: steps = 'many': should be a number",
    ),
    "--config with a value out of range": (
        "--config range.toml",
        "--config range.toml: restarts = 0: input should be greater than or equal to 1",
    ),
    "--config is right, the option is not": (
        "--config right.toml --steps 3",
        "--steps 3: input should be greater than or equal to 20",
    ),
    "--out is a file": ("--out file", "--out: file is a file, so no results can be written to file/linear-regression"),
    "--out is below a file": ("--out file/below/it", "--out: file is a file, so no results can be written to "),
    "results would replace a file": ("--out taken", "--out: taken/linear-regression is a file, so no results can"),
    "unknown option": ("--step 400", "No such option: --step"),
    "option without its value": ("--steps", "Option '--steps' requires an argument."),
    "option that is no number": ("--steps many", "Invalid value for '--steps': "),
    # These need the model or JAX, and are found late.
    "unknown optimizer": ("--optimizer adamm", "--optimizer 'adamm': optax has no optimiser of that name"),
    "optax name that is no optimizer": (
        "--optimizer softmax_cross_entropy",
        "--optimizer 'softmax_cross_entropy': optax.softmax_cross_entropy is no optimiser that takes a learning rate",
    ),
    "unknown loss": (
        "--loss ELBO",
        "--loss 'ELBO' is not known; choose one of Trace_ELBO, TraceMeanField_ELBO, TraceGraph_ELBO, RenyiELBO",
    ),
    "unknown init": (
        "--init medain",
        "--init 'medain' is not known; choose one of uniform, median, feasible, mean, sample, value:SITE=X,SITE=X",
    ),
    "init at no values": ("--init value:", "--init 'value:' is not known; choose one of uniform, "),
    "init at an unknown site": (
        "--init value:slope=1",
        "--init: the model has no latent site 'slope'; its sites are w, b, s_eps",
    ),
    "init at an observed site": (
        "--init value:y=1",
        "--init: the model has no latent site 'y'; its sites are w, b, s_eps",
    ),
    "init outside the support": (
        "--init value:s_eps=-3",
        "--init 'value:s_eps=-3': the log density of linear-regression or its gradient is not finite there",
    ),
    "init at a value that is none": (
        "--init value:w=nan",
        "--init 'value:w=nan': the log density of linear-regression",
    ),
    "init at what is no number": ("--init value:w=0.5,b=low", "--init: 'b=low' is not SITE=NUMBER"),
    "init at a site without a value": ("--init value:w", "--init: 'w' is not SITE=NUMBER (no =)"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_run_says_so_in_one_line_and_writes_nothing(
    command: Command, tmp_path: Path, arguments: str, message: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "taken").mkdir()
    for name in ("file", "taken/linear-regression"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "bad.toml").write_text("steps = many")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "unknown.toml").write_text("step = 400")
    (tmp_path / "type.toml").write_text('steps = "many"')
    (tmp_path / "range.toml").write_text("restarts = 0")
    (tmp_path / "right.toml").write_text("steps = 400")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    chosen = arguments.split()
    ended = command("run", *([] if "--out" in chosen else ["--out", "results"]), *chosen)

    assert ended.status == 2
    assert ended.out == ""
    assert ended.err.startswith(f"guidebench: {message}")
    assert ended.err.count("\n") == 1
    assert ended.err.endswith("\n")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "reports").exists()


#: What is in the folder's results.json, and what ``guidebench report`` says of it.
UNREADABLE = {
    "no folder": (None, "results holds no results.json; name the folder of one finished run"),
    "no results": ("", "results holds no results.json; name the folder of one finished run"),
    "cut short": ('{"schema": 1, "fits": [', "results/results.json cannot be read: Expecting value"),
    "no JSON": ("mean_field", "results/results.json cannot be read: Expecting value"),
    "another schema": ('{"schema": 99}', "results/results.json has schema 99, this guidebench reads 1"),
    "no schema": ("[]", "results/results.json has schema None, this guidebench reads 1"),
    "a key is missing": ('{"schema": 1}', "results/results.json does not hold a comparison: name: field required"),
    "a value has the wrong type": (
        '{"schema": 1, "fits": 7}',
        "results/results.json does not hold a comparison: fits: input should be a valid list, not 7",
    ),
    "a status that there is not": (
        '{"schema": 1, "fits": [{"status": "splendid", "problem": "p", "guide": "g"}]}',
        "results/results.json does not hold a comparison: fits[0].status: input should be 'converged'",
    ),
}


@pytest.mark.parametrize(("text", "message"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_report_needs_readable_results(command: Command, tmp_path: Path, text: str | None, message: str) -> None:
    folder = tmp_path / "results"
    if text is not None:
        folder.mkdir()
        if text:
            (folder / "results.json").write_text(text)
    before = list(tmp_path.rglob("*"))
    ended = command("report", "results")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"guidebench: {message}")
    assert ended.err.count("\n") == 1
    assert list(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param("compare", "No such command 'compare'.", id="unknown command"),
        pytest.param("--verbose list", "No such option: --verbose", id="unknown option"),
        pytest.param("report", "Missing argument 'DIR'.", id="report without a folder"),
        pytest.param("list guides", "Got unexpected extra argument", id="too many arguments"),
    ],
)
def test_wrong_usage_says_so_in_one_line(command: Command, arguments: str, message: str) -> None:
    ended = command(*arguments.split())
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"guidebench: {message}")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("arguments", ["--optimizer adamm", "--steps 0"], ids=["found late", "found early"])
def test_a_wrong_request_ends_the_process_so_too(python: Python, tmp_path: Path, arguments: str) -> None:
    done = python("-m", "guidebench", "run", *arguments.split(), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    *alive, line = done.stderr.splitlines()
    assert set(alive) <= {WORDS}  # which is said where it takes long to find out
    assert re.fullmatch(r"guidebench: --\w+ .*", line)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_permission_is_refused_before_training(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir()
    # Asked instead of locked: the superuser, who runs many test suites, may write anywhere.
    monkeypatch.setattr("os.access", lambda path, mode: str(path) != "locked")
    ended = command("run", "--out", "locked/further/down")
    assert (ended.status, ended.err) == (2, "guidebench: --out: no permission to write to locked\n")
    assert list((tmp_path / "locked").iterdir()) == []
