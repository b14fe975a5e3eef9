"""What a command loads: nothing heavy unless it needs it, told by the modules and not by the clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Python = Callable[..., CompletedProcess[str]]

COMPUTING = {"jax", "jaxlib", "numpyro", "optax"}
DRAWING = {"arviz", "matplotlib", "seaborn"}
DATA = {"numpy", "pandas", "scipy", "xarray", "h5py", "jaxtyping"}

PROBE = """
import sys
sys.argv = {arguments!r}
try:
    from guidebench.cli import main
    main()
except SystemExit as ended:
    status = ended.code
print("\\nmodules:", status, *{{name.partition(".")[0] for name in sys.modules}})
"""


def loaded(python: Python, folder: Path, code: str) -> tuple[str, set[str]]:
    done = python("-c", code, cwd=folder)
    assert done.returncode == 0, done.stderr
    status, *modules = done.stdout.rpartition("\nmodules:")[2].split()
    return status, set(modules)


@pytest.mark.parametrize(
    ("arguments", "status", "without"),
    [
        pytest.param("--help", "0", COMPUTING | DRAWING | DATA, id="--help"),
        pytest.param("run --help", "0", COMPUTING | DRAWING | DATA, id="run --help"),
        pytest.param("diff --help", "0", COMPUTING | DRAWING | DATA, id="diff --help"),
        pytest.param("--version", "0", COMPUTING | DRAWING | DATA, id="--version"),
        pytest.param("list", "0", COMPUTING | DRAWING | DATA - {"numpy"}, id="list"),
        pytest.param("run nowhere --no-plugins", "2", COMPUTING | DRAWING, id="a request that is refused early"),
    ],
)
def test_a_command_loads_only_what_it_needs(
    python: Python, tmp_path: Path, arguments: str, status: str, without: set[str]
) -> None:
    ended, modules = loaded(python, tmp_path, PROBE.format(arguments=["guidebench", *arguments.split()]))
    assert "typer" in modules
    assert (ended, sorted(modules & without)) == (status, [])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("import guidebench", "guidebench", id="import guidebench"),
        pytest.param("from guidebench import Guide, hookimpl", "pluggy", id="what a plugin imports"),
        pytest.param("import guidebench_guides", "guidebench_guides", id="the bundled guides"),
    ],
)
def test_importing_loads_nothing_heavy(python: Python, tmp_path: Path, code: str, expected: str) -> None:
    probe = f"{code}\nimport sys\nprint('\\nmodules: 0', *{{name.partition('.')[0] for name in sys.modules}})"
    _, modules = loaded(python, tmp_path, probe)
    assert expected in modules
    assert sorted(modules & (COMPUTING | DRAWING | DATA | {"typer", "rich"})) == []


def test_the_lazy_names_are_all_there() -> None:
    import guidebench

    for name in guidebench.__all__:
        assert getattr(guidebench, name) is not None
    assert dir(guidebench) == sorted(guidebench.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'comparre'"):
        guidebench.comparre  # noqa: B018 - the access is the test


def test_results_are_looked_at_without_jax(python: Python, tmp_path: Path) -> None:
    code = """
import sys
from guidebench import Comparison, diff, load
run = Comparison(name="empty", problems=(), fits=())
load(run.save("saved")).summary()
print("\\nmodules:", 0, *{name.partition(".")[0] for name in sys.modules})
"""
    _, modules = loaded(python, tmp_path, code)
    assert not modules & COMPUTING
