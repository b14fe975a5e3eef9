"""Wrong models and wrong data: one line on stderr, status 2, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]

#: A file with models of one's own.
OWN = (Path(__file__).parent.parent / "models" / "own.py").read_text(encoding="utf-8")

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
WRONG = {
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


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG.keys())
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
