"""Time ``guidebench run`` beside the plain training loop of ``lesson.py``.

Each measurement is a fresh interpreter, and the three take turns so that a slow minute of the
machine meets all of them::

    lesson   lesson.py, as a reader of the notebook runs it
    cold     guidebench run, with an empty compilation cache
    warm     guidebench run again, with the cache that the cold run left

    python tests/benchmarks/bench_run.py --repeats 3 --json bench.json
    python tests/benchmarks/bench_run.py -- --guide mean_field --recipe plain    (options for guidebench run)

It uses the guidebench that is installed for the interpreter it runs with.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LESSON = Path(__file__).with_name("lesson.py")
CASES = ("lesson", "cold", "warm")
#: Where compiled programs could come from: no measurement may find those of another.
CACHES = ("GUIDEBENCH_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds that one subprocess took: by the clock, and of processor time over all cores."""

    wall_s: float
    cpu_s: float


def timed(command: list[str], scratch: Path, cache: Path | None) -> Timing:
    """Run `command` in a folder of its own and time it; its failure ends the benchmark."""
    environment = {name: value for name, value in os.environ.items() if name not in CACHES}
    if cache is not None:
        environment["GUIDEBENCH_CACHE_DIR"] = str(cache)
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode != 0:
        raise SystemExit(f"exit status {done.returncode} from {' '.join(command)}\n{done.stdout}{done.stderr}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Timing(wall_s=wall, cpu_s=cpu)


def guidebench_command() -> list[str]:
    """Return how to start the guidebench of this interpreter: its console script, as a user does."""
    script = Path(sys.executable).with_name("guidebench")
    return [str(script)] if script.exists() else [sys.executable, "-m", "guidebench"]


def measure(repeats: int, cases: tuple[str, ...], options: list[str]) -> dict[str, list[Timing]]:
    """Return the timings of each case, taken in turns."""
    timings: dict[str, list[Timing]] = {case: [] for case in cases}
    for repeat in range(repeats):
        with tempfile.TemporaryDirectory(prefix="guidebench-bench-") as folder:
            scratch = Path(folder)
            cache = scratch / "cache"
            cache.mkdir()
            for case in cases:
                if case == "lesson":
                    timing = timed([sys.executable, str(LESSON)], scratch, None)
                else:
                    # A folder each: a run reuses the finished fits that it finds.
                    out = ["--quiet", "--out", str(scratch / f"reports-{case}")]
                    timing = timed([*guidebench_command(), "run", *out, *options], scratch, cache)
                timings[case].append(timing)
                print(f"{repeat + 1}/{repeats}  {case:7s} {timing.wall_s:7.2f} s", file=sys.stderr, flush=True)
    return timings


def machine() -> dict[str, str | int | None]:
    """Return what the numbers depend on."""
    facts: dict[str, str | int | None] = {
        "platform": platform.platform(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
    }
    for name in ("jax", "numpyro", "guidebench"):
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = None
    return facts


def processor() -> str:
    """Return the processor's name, which the platform module does not know on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def summarise(timings: dict[str, list[Timing]]) -> dict[str, dict[str, float]]:
    """Return medians per case, and their ratio to the lesson's where that was measured."""
    medians = {
        case: {
            "wall_s": statistics.median(timing.wall_s for timing in taken),
            "cpu_s": statistics.median(timing.cpu_s for timing in taken),
            "fastest_s": min(timing.wall_s for timing in taken),
            "slowest_s": max(timing.wall_s for timing in taken),
        }
        for case, taken in timings.items()
    }
    if "lesson" in medians:
        for row in medians.values():
            row["ratio"] = row["wall_s"] / medians["lesson"]["wall_s"]
    return medians


def show(facts: dict[str, str | int | None], medians: dict[str, dict[str, float]]) -> None:
    """Print the table."""
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    print(f"{'':8s} {'median s':>9s} {'fastest':>9s} {'slowest':>9s} {'CPU s':>9s} {'/lesson':>9s}")
    for case, row in medians.items():
        ratio = f"{row['ratio']:9.2f}" if "ratio" in row else f"{'':9s}"
        seconds = " ".join(f"{row[column]:9.2f}" for column in ("wall_s", "fastest_s", "slowest_s", "cpu_s"))
        print(f"{case:8s} {seconds} {ratio}")


def main() -> None:
    """Measure, print a table, and write the numbers as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each case (default 3)")
    parser.add_argument("--only", choices=("lesson", "run"), help="measure one side only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number to FILE as well")
    parser.add_argument("options", nargs="*", help="further options for guidebench run, after --")
    request = parser.parse_args()
    if request.repeats < 1:
        parser.error("--repeats must be at least 1")

    cases = {None: CASES, "lesson": CASES[:1], "run": CASES[1:]}[request.only]
    # Byte-compile what the measured processes import, so that the first of them does not pay for it.
    warm_up = "import numpyro.infer.autoguide" + (", arviz, seaborn, guidebench" if "cold" in cases else "")
    subprocess.run([sys.executable, "-c", warm_up], check=True, capture_output=True)

    facts = machine()
    timings = measure(request.repeats, cases, request.options)
    medians = summarise(timings)
    show(facts, medians)
    if request.json is not None:
        every = {case: [asdict(timing) for timing in taken] for case, taken in timings.items()}
        request.json.write_text(
            json.dumps({"machine": facts, "medians": medians, "timings": every}, indent=2) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
