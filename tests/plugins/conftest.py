"""Distributions of other people, installed by pip into a folder outside the project."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from subprocess import CompletedProcess

import pytest

Python = Callable[..., CompletedProcess[str]]

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "{name}"
version = "1.0"

[project.entry-points.guidebench]
{plugin} = "{module}"
"""

#: As small as a build backend can be, so that building needs no network and takes no time.
BACKEND = '''
import tomllib
from pathlib import Path
from zipfile import ZipFile


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Pack the only package module with what pyproject.toml says of it."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    stem = f"{project['name'].replace('-', '_')}-{project['version']}"
    points = project["entry-points"]["guidebench"].items()
    files = {
        "METADATA": f"Metadata-Version: 2.1\\nName: {project['name']}\\nVersion: {project['version']}\\n",
        "WHEEL": "Wheel-Version: 1.0\\nGenerator: backend\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "entry_points.txt": "[guidebench]\\n" + "".join(f"{name} = {value}\\n" for name, value in points),
    }
    with ZipFile(Path(wheel_directory) / f"{stem}-py3-none-any.whl", "w") as wheel:
        for name, value in points:
            wheel.write(f"{value}.py")
        for name, text in files.items():
            wheel.writestr(f"{stem}.dist-info/{name}", text)
        record = "".join(f"{name},,\\n" for name in [*wheel.namelist(), f"{stem}.dist-info/RECORD"])
        wheel.writestr(f"{stem}.dist-info/RECORD", record)
    return f"{stem}-py3-none-any.whl"
'''

#: What a stranger writes to bring a guide of their own.
GOOD = '''
"""A diagonal Gaussian from NumPyro's AutoDiagonalNormal."""

from guidebench import Guide, hookimpl


def build(model, *, scale: float = 0.1):
    from numpyro.infer.autoguide import AutoDiagonalNormal

    return AutoDiagonalNormal(model, init_scale=scale)


@hookimpl
def guidebench_guides():
    yield Guide(name="diagonal", build=build, summary="Independent Normals", family="diagonal")
'''

BUILD_FAILS = """
from guidebench import Guide, hookimpl


def build(model):
    raise RuntimeError("the weights file is missing")


@hookimpl
def guidebench_guides():
    yield Guide(name="unfinished", build=build)
"""

POSES = """
from guidebench import Guide, hookimpl


def build(model):
    from numpyro.infer.autoguide import AutoDelta

    return AutoDelta(model)


@hookimpl
def guidebench_guides():
    yield Guide(name="poser", build=build, bound="elbo")
"""

RAISES = 'raise ImportError("this plugin needs a newer libfoo")'

MISSPELLS = POSES.replace("guidebench_guides", "guidebench_guide")

STEALS = POSES.replace("poser", "mean_field")

#: Module by distribution; the plugin is called as the module.
PLUGINS: Mapping[str, tuple[str, str]] = {
    "acme-diagonal": ("acme_diagonal", GOOD),
    "acme-unfinished": ("acme_unfinished", BUILD_FAILS),
    "acme-poser": ("acme_poser", POSES),
    "broken-import": ("broken_import", RAISES),
    "broken-hook": ("broken_hook", MISSPELLS),
    "broken-name": ("broken_name", STEALS),
    "rival-one": ("rival_one", POSES.replace("poser", "contested")),
    "rival-two": ("rival_two", POSES.replace("poser", "contested")),
}


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, python: Python) -> str:
    """Install the distributions as their users would; return the folder for PYTHONPATH."""
    sources, target = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("site")
    for name, (module, text) in PLUGINS.items():
        folder = sources / name
        folder.mkdir()
        (folder / "pyproject.toml").write_text(PYPROJECT.format(name=name, plugin=module, module=module))
        (folder / "backend.py").write_text(BACKEND)
        (folder / f"{module}.py").write_text(text)
    options = ("--no-deps", "--no-index", "--quiet", "--disable-pip-version-check", "--target", str(target))
    folders = [str(sources / name) for name in PLUGINS]
    done = python("-m", "pip", "install", *options, *folders, cwd=sources)
    assert done.returncode == 0, done.stderr
    return str(target)
