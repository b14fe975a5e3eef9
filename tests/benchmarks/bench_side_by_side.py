"""Time a run in one process beside the same run in worker processes and on a Dask cluster of this machine.

Each measurement is a fresh interpreter with an empty compilation cache, and the cases take turns so that a slow minute
of the machine meets all of them.  Their metrics.csv have to be the same, or the benchmark fails::

    one process    guidebench run
    jobs           guidebench run --jobs N
    dask           guidebench run --dask local:N

    python tests/benchmarks/bench_side_by_side.py --repeats 3 --workers 2 linear-regression eight-schools
    python tests/benchmarks/bench_side_by_side.py --cases "one process" jobs -- --guide mean_field   (options for run)

It uses the guidebench that is installed for the interpreter it runs with.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from timing import Timing, guidebench_command, machine, timed

#: Problems of different kinds: regressions, hierarchies, several modes, a funnel.
PROBLEMS = ("linear-regression", "logistic-regression", "eight-schools", "gaussian-mixture", "two-modes", "funnel")


def cases(workers: int) -> dict[str, list[str]]:
    """Return the options of each case."""
    return {"one process": [], "jobs": ["--jobs", str(workers)], "dask": ["--dask", f"local:{workers}"]}


def once(options: list[str]) -> tuple[Timing, str]:
    """Return what one cold run took, and a digest of the numbers it found."""
    with tempfile.TemporaryDirectory(prefix="guidebench-bench-") as folder:
        scratch = Path(folder)
        out = ["--quiet", "--out", str(scratch / "reports")]
        # A problem may have a guide that cannot be fitted, which is no failure of the benchmark.
        command = [sys.executable, "-c", _TOLERANT, *guidebench_command(), "run", *out, *options]
        timing = timed(command, scratch, scratch / "cache")
        (metrics,) = (scratch / "reports").glob("*/metrics.csv")
        return timing, hashlib.sha256(metrics.read_bytes()).hexdigest()


_TOLERANT = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:], check=False).returncode not in (0, 1))"


def main() -> None:
    """Measure, print a table and write JSON where asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", default=PROBLEMS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cases", nargs="+", choices=list(cases(1)), default=list(cases(1)))
    parser.add_argument("--json", type=Path)
    given, options = parser.parse_known_args()
    options = [one for one in options if one != "--"]
    taken: dict[str, list[Timing]] = {case: [] for case in given.cases}
    found: set[str] = set()
    for repeat in range(given.repeats):
        for case in given.cases:
            timing, digest = once([*given.problems, *cases(given.workers)[case], *options])
            taken[case].append(timing)
            found.add(digest)
            print(f"{repeat + 1}/{given.repeats}  {case:12s} {timing.wall_s:7.1f} s", file=sys.stderr, flush=True)
    if len(found) != 1:
        raise SystemExit(f"the runs have found {len(found)} different metrics.csv")
    report(taken)
    if given.json is not None:
        plain = {case: [asdict(one) for one in timings] for case, timings in taken.items()}
        text = json.dumps({"machine": machine(), "problems": list(given.problems), "timings": plain}, indent=1)
        given.json.write_text(text, encoding="utf-8")


def report(taken: dict[str, list[Timing]]) -> None:
    """Print medians with their range, and how many times as fast as the first case each is."""
    walls = {case: [one.wall_s for one in timings] for case, timings in taken.items()}
    first = statistics.median(next(iter(walls.values())))
    print(f"{'case':12s} {'median s':>9s} {'range s':>16s} {'cpu s':>8s} {'times as fast':>14s}")
    for case, seconds in walls.items():
        median, cpu = statistics.median(seconds), statistics.median(one.cpu_s for one in taken[case])
        spread = f"{min(seconds):.1f} to {max(seconds):.1f}"
        print(f"{case:12s} {median:9.1f} {spread:>16s} {cpu:8.1f} {first / median:14.2f}")


if __name__ == "__main__":
    main()
