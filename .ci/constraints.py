"""Write constraints.txt: one resolution per Python version, merged.

Run it with every supported interpreter as an argument::

    python .ci/constraints.py python3.11 python3.12 python3.13

Each interpreter resolves the project's dependencies and all dependency groups as if for an empty
environment; nothing is installed.  A version that all of them agree on becomes a plain line; where
they differ, the line carries a marker.  With ``--keep`` in front, what the file pins already stays at
its version, and only what is new is added.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# tox brings itself up before it reads the constraints.
UNPINNED = frozenset({"tox"})
HEADER = """\
# Versions that are known to work together: runtime, tests and tools.
# Written by .ci/constraints.py; see CONTRIBUTING.md on how to refresh it.
"""


def requirements() -> list[str]:
    """Return the runtime dependencies and those of every dependency group."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = set(project["project"]["dependencies"])
    for group in project["dependency-groups"].values():
        found.update(entry for entry in group if isinstance(entry, str))
    return sorted(entry for entry in found if re.split(r"[^\w.-]", entry)[0] not in UNPINNED)


def resolve(interpreter: str, wanted: list[str], *extra: str) -> tuple[tuple[int, int], dict[str, str]]:
    """Return the interpreter's version and the version of each distribution pip would install."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([interpreter, "-m", "venv", scratch], check=True)
        report = Path(scratch, "report.json")
        pip = [str(Path(scratch, "bin", "python")), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--upgrade", "pip"], check=True)
        subprocess.run([*pip, "--dry-run", "--ignore-installed", "--report", str(report), *extra, *wanted], check=True)
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    major, minor = found["environment"]["python_version"].split(".")
    pins = {
        re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower(): item["metadata"]["version"]
        for item in found["install"]
    }
    return (int(major), int(minor)), pins


def merge(resolutions: dict[tuple[int, int], dict[str, str]]) -> list[str]:
    """Return one line per distribution and version, with a marker where the versions differ."""
    pythons = sorted(resolutions)
    lines = []
    for name in sorted({name for pins in resolutions.values() for name in pins}):
        versions = {python: resolutions[python][name] for python in pythons if name in resolutions[python]}
        runs: list[list[tuple[int, int]]] = []
        for python, pinned in versions.items():
            if runs and versions[runs[-1][-1]] == pinned:
                runs[-1].append(python)
            else:
                runs.append([python])
        for position, run in enumerate(runs):
            # The first run reaches down and the last one up, so that no Python is left out.
            low = f"python_version >= '{run[0][0]}.{run[0][1]}'" if position else ""
            after = runs[position + 1][0] if position + 1 < len(runs) else None
            high = f"python_version < '{after[0]}.{after[1]}'" if after else ""
            marker = " and ".join(bound for bound in (low, high) if bound)
            lines.append(f"{name}=={versions[run[0]]}" + (f" ; {marker}" if marker else ""))
    return lines


def main(arguments: list[str]) -> None:
    """Resolve with every interpreter and write the file."""
    interpreters = [argument for argument in arguments if argument != "--keep"]
    if not interpreters:
        raise SystemExit(f"usage: {Path(__file__).name} [--keep] PYTHON...")
    wanted, file = requirements(), ROOT / "constraints.txt"
    extra = ["--constraint", str(file)] if "--keep" in arguments else []
    resolutions = dict(resolve(interpreter, wanted, *extra) for interpreter in interpreters)
    lines = merge(resolutions)
    file.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    pythons = ", ".join(f"{major}.{minor}" for major, minor in sorted(resolutions))
    print(f"constraints.txt: {len(lines)} lines for Python {pythons}")


if __name__ == "__main__":
    main(sys.argv[1:])
