"""Measure guidebench beside what one would do without it: every figure is a ratio within one run.

    python tests/benchmarks/bench.py                                  # all figures, three turns each
    python tests/benchmarks/bench.py lesson plain --repeats 5         # some of them
    python tests/benchmarks/bench.py --json bench.json --page docs/benchmarks.md

Each measurement is a fresh process; the commands of a figure take turns, so that a slow minute of the machine meets all
of them.  With ``--json`` figures that the file has already are not measured again, and with ``--page`` the table of
all of them is written.  It uses the guidebench that is installed for the interpreter it runs with.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from figures import Figure, figures
from page import page
from timing import Timing, machine, median, timed


def measured(figure: Figure, repeats: int) -> dict[str, list[Timing]]:
    """Return what each command of a figure took, in turns."""
    taken: dict[str, list[Timing]] = {one.name: [] for one in figure.commands}
    for repeat in range(repeats):
        with tempfile.TemporaryDirectory(prefix="guidebench-bench-") as folder:
            scratch = Path(folder)
            for number, one in enumerate(figure.commands):
                cache = scratch / ("cache" if one.cache == "shared" else f"cache-{number}")
                cache.mkdir(exist_ok=True)
                words = [word.format(out=scratch) for word in one.words]
                timing = timed(words, scratch, cache)
                taken[one.name].append(timing)
                told = f"{repeat + 1}/{repeats}  {figure.name:18s} {one.name:18s} {timing.wall_s:7.2f} s"
                print(f"{told}  {timing.said[:100]}", file=sys.stderr, flush=True)
    return taken


def record(figure: Figure, taken: dict[str, list[Timing]], facts: dict[str, Any]) -> dict[str, Any]:
    """Return a figure as plain data."""
    return {
        "name": figure.name,
        "title": figure.title,
        "machine": facts,
        "timings": {name: [asdict(one) for one in timings] for name, timings in taken.items()},
        "ratios": {
            f"{name} / {other}": round(median(taken[name]) / median(taken[other]), 3)
            for name, other in figure.over.items()
        },
    }


def main() -> None:
    """Measure what was asked for, print the ratios, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", help="names or patterns; all without any")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each figure (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every number in FILE, and go on from there")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the table of all figures to FILE")
    parser.add_argument("--list", action="store_true", help="list the figures and measure none")
    asked = parser.parse_args()
    chosen = [
        one for one in figures() if not asked.figures or any(fnmatch(one.name, pattern) for pattern in asked.figures)
    ]
    if asked.list:
        for one in chosen:
            print(f"{one.name:20s} {one.title}")
        return
    found: dict[str, dict[str, Any]] = {}
    if asked.json is not None and asked.json.exists():
        found = {one["name"]: one for one in json.loads(asked.json.read_text(encoding="utf-8"))}
    # Byte-compile what the measured processes import, so that the first of them does not pay for it.
    imports = "import numpyro.infer.autoguide, arviz, seaborn, guidebench"
    subprocess.run([sys.executable, "-c", imports], check=True, capture_output=True)
    facts = machine()
    for one in chosen:
        if one.name in found:
            continue
        found[one.name] = record(one, measured(one, asked.repeats), facts)
        for name, ratio in found[one.name]["ratios"].items():
            print(f"{one.name}: {name} {ratio:.2f}", flush=True)
        if asked.json is not None:
            asked.json.write_text(json.dumps(list(found.values()), indent=1) + "\n", encoding="utf-8")
    if asked.page is not None:
        asked.page.write_text(page(list(found.values())), encoding="utf-8")


if __name__ == "__main__":
    main()
