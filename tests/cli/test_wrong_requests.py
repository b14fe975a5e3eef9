"""A wrong request ends with status 2 and one clear line on stderr: no traceback, nothing written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Python = Callable[..., CompletedProcess[str]]
Command = Callable[..., Any]


KEYS = (
    "problems, guides, data, test, heldout, observed, static, minibatch, recipe, optimizer, learning_rate, schedule, "
    "clip_norm, clip_share, validation, patience, steps, restarts, particles, loss, init, draws, seed, reference, "
    "simulations, posteriordb, x64, time_limit, plugins, no_plugins, log_loss, out, fresh, strict, quiet"
)

#: Arguments of ``guidebench run``, and the line on stderr.
WRONG = {
    "unknown problem": (
        "liner-regression",
        "no problem is called 'liner-regression'; did you mean 'linear-regression'?",
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
    "unknown recipe": ("--recipe best", "--recipe best: input should be 'default' or 'plain'"),
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


#: A file with models of one's own.
OWN = """
import numpyro
import numpyro.distributions as dist

def line(x, y=None, scale=1.0):
    w = numpyro.sample("w", dist.Normal(0, scale))
    with numpyro.plate("rows", x.shape[0]):
        numpyro.sample("y", dist.Normal(w * x, 1), obs=y)

def groups(region, n_region, y):
    with numpyro.plate("regions", n_region):
        a = numpyro.sample("a", dist.Normal(0, 1))
    numpyro.sample("y", dist.Normal(a[region], 1), obs=y)

def matrix(X, y):
    w = numpyro.sample("w", dist.Normal(0, 1).expand([X.shape[1]]).to_event(1))
    numpyro.sample("y", dist.Normal(X @ w, 1), obs=y)

def sized(n, y):
    w = numpyro.sample("w", dist.Normal(0, 1))
    with numpyro.plate("rows", n):
        numpyro.sample("y", dist.Normal(w, 1), obs=y)

def local(y):
    with numpyro.plate("rows", y.shape[0]):
        z = numpyro.sample("z", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(z, 1), obs=y)

def two(y, z):
    w = numpyro.sample("w", dist.Normal(0, 1))
    numpyro.sample("obs_y", dist.Normal(w, 1), obs=y)
    numpyro.sample("obs_z", dist.Normal(w, 1), obs=z)

def prior(loc=0.0):
    numpyro.sample("w", dist.Normal(loc, 1))

def only(y, /):
    pass

NUMBER = 3
"""

FILES = {
    "own.py": OWN,
    "syntax.py": "x = 1\ndef model(:\n",
    "raises.py": "x = 1\n\nraise ValueError('no data')\n",
    "imports.py": "import guidebench_test_nowhere\n",
    "words.txt": "words",
    "d.csv": "id,x,y,region\n1,0.5,1,a\n2,1.5,2,b\n3,2.5,2,a\n4,3.5,5,b\n",
    "two.csv": "x,y\n1,2\n3,4\n",
    "case.csv": "x,Y\n1,2\n3,4\n5,6\n",
    "gaps.csv": "x,y\n1,2\n,4\n5,\n,6\n",
    "infinite.csv": "x,y\n1,2\n3,inf\n",
    "text.csv": "x,y\n1,2\n2,3\nabout 3,4\n",
    "dates.csv": "x,y\n2024-01-01,2\n2024-01-02,3\n",
    "big.csv": "x,y\n1,2\n3000000000,3\n",
    "wide.csv": "X_1,X_2,X_4,y\n1,2,3,4\n1,2,3,4\n",
    "empty.csv": "",
    "header.csv": "x,y\n",
    "twice.csv": "x,y,x\n1,2,3\n",
    "german.csv": "x;y\n1;2\n",
    "long.csv": "x,y\n1,2\n1,2,3\n",
    "west.csv": "y,region\n1,a\n2,west\n",
    "lacking.csv": "y\n1\n2\n",
    "bad.npz": "words",
    "bad.nc": "words",
    "bad.json": "{",
    "list.json": "[1, 2]",
    "nested.json": '{"x": {"a": 1}, "y": [1]}',
    "ragged.json": '{"x": [[1, 2], [3]], "y": [1, 2]}',
    "shapes.json": '{"x": [1, 2, 3], "y": [1, 2]}',
    "column.json": '{"x": [1, 2, 3], "y": [[1], [2], [3]]}',
    "lengths.json": '{"y": [1, 2, 3], "z": [1, 2, 3, 4]}',
    "rows.json": '{"n": 4, "y": [1, 2, 3, 4]}',
    "nested.toml": "[static]\nx = [1, 2]",
    "size.toml": "minibatch.batch_size = 0",
    "below/run.toml": 'problems = "own.py:line"\ndata = "d.csv"',
    "below/own.py": OWN,
    "from_python/results.json": '{"schema": 1, "config": {"problems": ["my-model"]}}',
    "guide_from_python/results.json": '{"schema": 1, "config": {"guides": ["my_guide"]}}',
    "given.json": '{"schema": 1, "config": {"reference": "given"}}',
    "no_config.json": '{"schema": 1}',
}

#: Arguments of ``guidebench run`` with these files, and the line on stderr.
WRONG_OF_ONES_OWN = {
    # The model.
    "no such file": ("no.py:model", "no.py: there is no such file"),
    "a file of nearly that name": ("owm.py:line", "owm.py: there is no such file; did you mean own.py?"),
    "a folder": ("below:line", "below: that is a folder; name a file, as below/FILE.py:NAME"),
    "not Python": ("words.txt:line", "words.txt: a model or guide comes from a .py file"),
    "no name": (
        "own.py",
        "own.py: name what to take from it, as own.py:NAME; it defines line, groups, matrix, sized, local, two, prior",
    ),
    "an empty name": ("own.py:", "own.py: name what to take from it, as own.py:NAME; it defines line, groups"),
    "a misspelled name": ("own.py:lin", "own.py:lin: own.py has no 'lin'; did you mean 'line'?"),
    "no function": ("own.py:NUMBER", "own.py:NUMBER: 'NUMBER' is no function but of type int; it defines line"),
    "syntax": ("syntax.py:model", "syntax.py is not valid Python: invalid syntax (syntax.py:2)"),
    "an exception": ("raises.py:model", "raises.py cannot be imported: ValueError: no data (raises.py:3)"),
    "a missing import": (
        "imports.py:model",
        "imports.py cannot be imported: ModuleNotFoundError: No module named 'guidebench_test_nowhere' (imports.py:1)",
    ),
    "no module": (
        "guidebench_test_nowhere.models:line",
        "guidebench_test_nowhere.models: there is no module 'guidebench_test_nowhere'; a file is named as FILE.py:NAME",
    ),
    "arguments by position": ("own.py:only --data d.csv", "own.py:only takes y by position only; leave out the '/'"),
    "a guide from no file": ("-g no.py:guide", "no.py: there is no such file"),
    "a guide that raises": ("-g raises.py:guide", "raises.py cannot be imported: ValueError: no data (raises.py:3)"),
    "a misspelled guide": ("-g own.py:lin", "own.py:lin: own.py has no 'lin'; did you mean 'line'?"),
    # The data.
    "no data": (
        "own.py:line",
        "own.py:line cannot run without the argument x; give --data FILE, or --static x=VALUE",
    ),
    "data of a bundled problem": (
        "funnel --data d.csv",
        "--data d.csv goes with a model of your own, FILE.py:MODEL; funnel has its own data",
    ),
    "no data file": ("own.py:line --data no.csv", "--data no.csv: there is no such file"),
    "a folder of data": ("own.py:line --data folder.csv", "--data folder.csv: that is a folder, not a file"),
    "unknown kind of data": (
        "own.py:line --data words.txt",
        "--data words.txt: should be a file that ends in .csv, .npz, .json, .nc",
    ),
    "empty data": ("own.py:line --data empty.csv", "--data empty.csv is empty"),
    "no rows": ("own.py:line --data header.csv", "--data header.csv has a header and no rows"),
    "a column twice": ("own.py:line --data twice.csv", "--data twice.csv: the name 'x' is there 2 times"),
    "semicolons": (
        "own.py:line --data german.csv",
        "--data german.csv: its only column is 'x;y'; are its fields separated by commas?",
    ),
    "a long row": (
        "own.py:line --data long.csv",
        "--data long.csv cannot be read: Error tokenizing data. C error: Expected 2 fields in line 3, saw 3",
    ),
    "no archive": ("own.py:line --data bad.npz", "--data bad.npz cannot be read: it is no archive of np.savez"),
    "no NetCDF": ("own.py:line --data bad.nc", "--data bad.nc cannot be read: "),
    "no JSON": ("own.py:line --data bad.json", "--data bad.json cannot be read: Expecting property name"),
    "a list": ("own.py:line --data list.json", "--data list.json: it holds a list; expected is an object of arrays"),
    "a nested object": ("own.py:line --data nested.json", "--data nested.json: argument x is an object of its own; ex"),
    "a ragged array": ("own.py:line --data ragged.json", "--data ragged.json: argument x is ragged: its lists differ"),
    "a missing column": (
        "own.py:groups --data two.csv",
        "--data two.csv lacks the arguments region, n_region of own.py:groups; its columns are x, y",
    ),
    "a column in another case": (
        "own.py:two --data case.csv",
        "--data case.csv lacks the arguments y, z of own.py:two; did you mean 'Y' for 'y'?",
    ),
    "an optional column in another case": (
        "own.py:line --data case.csv",
        "--data case.csv has 'Y' and no 'y', an argument of own.py:line; rename it, or set the argument with --static",
    ),
    "a gap in numbered columns": (
        "own.py:matrix --data wide.csv",
        "--data wide.csv: argument X would be the columns numbered 1 to 4 (the last is 'X_4'), but 3 is not there",
    ),
    "missing values": (
        "own.py:line --data gaps.csv",
        "--data gaps.csv: argument x has 2 missing values, the first in row 2; leave such rows out or fill them in",
    ),
    "an infinite value": (
        "own.py:line --data infinite.csv",
        "--data infinite.csv: argument y has 1 infinite value in row 2; leave such rows out or fill them in",
    ),
    "text among numbers": (
        "own.py:line --data text.csv",
        "--data text.csv: argument x holds numbers, and in row 3 the text 'about 3'; mend it or leave it out",
    ),
    "dates": ("own.py:line --data dates.csv", "--data dates.csv: argument x holds dates ('2024-01-01'); turn them"),
    "a number that is too big": (
        "own.py:line --data big.csv",
        "--data big.csv: argument x holds 3000000000 in row 2, beyond 32-bit integers; rescale it, or",
    ),
    "arrays that do not fit": (
        "own.py:line --data shapes.json",
        "--data shapes.json with own.py:line: the observations at site y have shape (2,), and their distribution has",
    ),
    "observations in a column": (
        "own.py:line --data column.json",
        "--data column.json with own.py:line: the observations at site y have shape (3, 1), and their distribution has",
    ),
    "a model that does not run": (
        "own.py:matrix --data d.csv --static X=3",
        "--data d.csv with own.py:matrix: the model does not run with its arguments: AttributeError: 'int' object has",
    ),
    # Other arguments.
    "an unknown argument": (
        "own.py:line --data d.csv --static scael=3",
        "--static scael: line has no argument 'scael'; the arguments are x, y, scale",
    ),
    "an unknown argument of a bundled problem": (
        "--static rate=3",
        "--static rate: linear-regression has no argument 'rate'; the arguments are x, y",
    ),
    "an argument without a value": ("own.py:prior --static loc", "--static loc: should be ARG=VALUE"),
    "an argument twice": ("own.py:prior --static loc=1 --static loc=2", "--static: loc is given twice"),
    "an argument of the wrong kind": (
        "own.py:prior --static loc=low",
        "own.py:prior: site w has no density: TypeError: unsupported operand type(s) for -: ",
    ),
    "an unknown observed argument": (
        "own.py:line --data d.csv --observed z",
        "--observed z: line has no argument 'z'; the arguments are x, y, scale",
    ),
    "an observed argument that is not given": (
        "own.py:line --data d.csv --observed scale",
        "--observed scale: line is given no scale; it has its default",
    ),
    "an observed argument without data": (
        "own.py:line --data d.csv --static y=none --observed y",
        "--observed y: the argument y of line is None, not data",
    ),
    "an unknown observed argument of a bundled problem": (
        "--observed z",
        "--observed z: linear-regression has no argument 'z'; the arguments are x, y",
    ),
    "no size of a minibatch": (
        "own.py:line --data d.csv --minibatch n=few",
        "--minibatch n=few: should be a whole number of at least 1",
    ),
    # Held-out data.
    "held out twice": (
        "own.py:line --data d.csv --test d.csv --heldout 0.5",
        "--heldout 0.5 and --test d.csv both say what is held out; give one",
    ),
    "a share above one": ("own.py:line --data d.csv --heldout 20", "--heldout 20.0: input should be less than 1"),
    "no share": ("own.py:line --data d.csv --heldout 0", "--heldout 0.0: input should be greater than 0"),
    "rows of no data": (
        "own.py:prior --heldout 0.5",
        "--heldout 0.5 holds out rows of --data FILE, which is not given",
    ),
    "too few rows": (
        "own.py:line --data two.csv --heldout 0.5",
        "--heldout 0.5: line has 2 row(s); to hold 1 out leaves fewer than 2 to train on",
    ),
    "too many rows": (
        "own.py:line --data d.csv --heldout 0.9",
        "--heldout 0.9: line has 4 row(s); to hold 4 out leaves fewer than 2 to train on",
    ),
    "rows of a problem with held-out data": (
        "--heldout 0.5",
        "--heldout 0.5: linear-regression has held-out data of its own",
    ),
    "rows of a problem without data": (
        "funnel --heldout 0.5",
        "--heldout 0.5: funnel has no argument with rows of observations",
    ),
    "no observations": (
        "own.py:line --data d.csv --static y=none --heldout 0.5",
        "--heldout 0.5: line has no argument with rows of observations; is one missing, or named with --observed?",
    ),
    "observations of two lengths": (
        "own.py:two --data lengths.json --heldout 0.5",
        "--heldout 0.5: two has observations with different numbers of rows (y 3, z 4); give --test FILE",
    ),
    "the number of rows is an argument": (
        "own.py:sized --data rows.json --heldout 0.5",
        "--heldout 0.5: sized: n = 4 is the number of rows, and would be wrong for a part of them; take it from",
    ),
    "a latent for every row": (
        "own.py:local --data d.csv --heldout 0.25",
        "--heldout 0.25: local: latent site z has shape (4,) for all rows and shape (3,) for those that stay, so what",
    ),
    "a latent for every row of another file": (
        "own.py:local --data d.csv --test two.csv",
        "--test two.csv with local: latent site z has shape (4,) for the rows of --data d.csv and shape (2,) for its",
    ),
    "a latent for every row of as many": (
        "own.py:local --data d.csv --test d.csv",
        "--test d.csv with local: latent site z has shape (4,) for 4 rows and shape (3,) for 3, so what was trained",
    ),
    "held-out data without data": ("own.py:prior --test d.csv", "--test d.csv goes with --data FILE"),
    "held-out data of a bundled problem": (
        "funnel --test d.csv",
        "--test d.csv goes with a model of your own, FILE.py:MODEL; funnel has its own data",
    ),
    "no held-out data": ("own.py:line --data d.csv --test no.csv", "--test no.csv: there is no such file"),
    "a missing column of held-out data": (
        "own.py:line --data d.csv --test lacking.csv",
        "--test lacking.csv lacks the argument x of the model; its columns are y",
    ),
    "an unknown level": (
        "own.py:groups --data d.csv --test west.csv",
        "--test west.csv: argument region has the level 'west', which the data to train on do not have",
    ),
    # Configuration.
    "a nested value of a wrong kind": (
        "--config nested.toml",
        "--config nested.toml: static.x = [1, 2]: should be a number, a flag or a text",
    ),
    "a nested value out of range": (
        "--config size.toml",
        "--config size.toml: minibatch.batch_size = 0: should be a whole number of at least 1",
    ),
    "paths start at the folder": ("--config below/run.toml", "--data below/d.csv: there is no such file"),
    "no results": ("--config no.json", "--config no.json: there is no such file"),
    "results without a configuration": (
        "--config no_config.json",
        "--config no_config.json: it holds no configuration; expected is the results.json of a run",
    ),
    "results of a model from Python": (
        "--config from_python",
        "--config from_python: problem 'my-model' came from Python or from a plugin that is not installed, so this run",
    ),
    "results of a guide from Python": (
        "--config guide_from_python/results.json",
        "--config guide_from_python/results.json: guide 'my_guide' came from Python or from a plugin that is not",
    ),
    "results against draws from Python": (
        "--config given.json",
        "--config given.json: reference = 'given': these draws came from Python and are not part of a configuration",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG_OF_ONES_OWN.values(), ids=WRONG_OF_ONES_OWN.keys())
def test_a_wrong_model_or_wrong_data_say_so_in_one_line(
    command: Command, tmp_path: Path, arguments: str, message: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    before = sorted(tmp_path.rglob("*"))
    ended = command("run", "--out", "results", *arguments.split())

    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"guidebench: {message}")
    assert ended.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


#: What is in the folder's results.json, and what ``guidebench report`` says of it.
UNREADABLE = {
    "no folder": (None, "results holds no results.json; name the folder of one finished run"),
    "no results": ("", "results holds no results.json; name the folder of one finished run"),
    "cut short": ('{"schema": 1, "fits": [', "results/results.json cannot be read: Expecting value"),
    "no JSON": ("mean_field", "results/results.json cannot be read: Expecting value"),
    "another schema": ('{"schema": 99}', "results/results.json has schema 99, this guidebench reads 1"),
    "no schema": ("[]", "results/results.json has schema None, this guidebench reads 1"),
    "a key is missing": ('{"schema": 1}', "results/results.json does not hold a comparison (KeyError: 'fits')"),
    "a value has the wrong type": (
        '{"schema": 1, "fits": 7}',
        "results/results.json does not hold a comparison (TypeError: 'int' object is not iterable)",
    ),
    "a status that there is not": (
        '{"schema": 1, "fits": [{"status": "splendid", "problem": "p", "guide": "g"}]}',
        "results/results.json does not hold a comparison (ValueError: 'splendid' is not a valid Status)",
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
    assert re.fullmatch(r"guidebench: --\w+ .*\n", done.stderr)
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
