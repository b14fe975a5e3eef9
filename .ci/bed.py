"""Run the default guides over the test bed and hold every verdict against the answer that is known.

    python .ci/bed.py --out bed                       # both references, one problem at a time
    python .ci/bed.py --out bed --only 'far modes' --only 'banana-*' --reference none --no-held-out

A problem runs in a process of its own. What it found is written to ``OUT/fits/`` as it finishes, and what lies there
is not run again; in the end ``OUT/bed.json`` holds all of it, and ``OUT/bed.md`` the tables.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

# Last, so that an installed guidebench comes before the folder beside this one.
sys.path.append(str(Path(__file__).resolve().parent.parent))

from tests.numerics.bed import tables
from tests.numerics.bed.catalogue import problems
from tests.numerics.bed.held import record
from tests.numerics.bed.problem import BedProblem

#: Seconds after which a problem is given up.
LIMIT = 1_800

#: Beyond this many latents only the default guides whose parameters do not grow with their square are trained.
MANY, FEW_PARAMETERS = 2_000, "mean_field,auto_normal,auto_delta"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One problem under one seed and one setting of the reference."""

    name: str
    reference: str
    seed: int
    guides: str

    def file(self, out: Path) -> Path:
        """Return where its result lies."""
        guides = "" if self.guides == "default" else f"--{self.guides.replace(',', '+').replace(':', '_')}"
        return out / "fits" / f"{self.name}--{self.reference}--{self.seed}{guides}.json"


def chosen(bed: Sequence[BedProblem], only: Sequence[str], *, held_out: bool | None) -> Iterator[BedProblem]:
    """Yield the problems whose name or class fits one of the patterns."""
    for one in bed:
        if held_out is not None and one.held_out is not held_out:
            continue
        if not only or any(fnmatch(one.name, pattern) or fnmatch(one.kind, pattern) for pattern in only):
            yield one


def run(job: Job) -> dict[str, Any]:
    """Compare the guides on one problem."""
    import guidebench as gb

    bed, began = problems()[job.name], time.perf_counter()
    guides = FEW_PARAMETERS if job.guides == "default" and len(bed.answer) > MANY else job.guides
    comparison = gb.compare(
        bed.problem, guides=guides.split(","), reference=job.reference, seed=job.seed, progress=False
    )
    seconds = time.perf_counter() - began
    return {**record(bed, comparison), "asked": job.reference, "seed": job.seed, "seconds": round(seconds, 1)}


def in_a_process(job: Job, out: Path) -> str:
    """Run one problem in a process of its own, and return a line on how that went."""
    try:
        subprocess.run(
            [sys.executable, __file__, "--out", str(out), "--job", json.dumps(asdict(job))], check=True, timeout=LIMIT
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return f"{job.name}, reference {job.reference}, seed {job.seed}: {error}"
    found = json.loads(job.file(out).read_text(encoding="utf-8"))
    words = ", ".join(f"{fit['guide']} {fit['verdict']}" for fit in found["fits"])
    return f"{job.name}, reference {job.reference}, seed {job.seed}: {found['seconds']} s; {words}"


def write(path: Path, text: str) -> None:
    """Write a file that is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def summarise(out: Path, bed: Sequence[BedProblem]) -> None:
    """Put together all results that lie there, in the order of the bed."""
    place = {one.name: at for at, one in enumerate(bed)}
    found = [json.loads(file.read_text(encoding="utf-8")) for file in (out / "fits").glob("*.json")]
    found = [one for one in found if one["name"] in place]
    found.sort(key=lambda one: (one["asked"] != "none", place[one["name"]], one["seed"]))
    write(out / "bed.json", json.dumps(found, indent=1))
    write(out / "bed.md", "\n".join(tables.lines(found)) + "\n")
    print(out / "bed.md")


def options() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="Folder for the results.")
    parser.add_argument("--only", action="append", default=[], metavar="GLOB", help="Names or classes; repeatable.")
    parser.add_argument("--guides", default="default", help="Guides, separated by commas.")
    parser.add_argument("--seed", action="append", type=int, metavar="N", help="Repeatable; 0 without any.")
    parser.add_argument("--reference", action="append", metavar="NAME", help="Repeatable; none and auto without any.")
    parser.add_argument("--held-out", action=argparse.BooleanOptionalAction, help="Only, or without, what is held out.")
    parser.add_argument("--jobs", type=int, default=1, help="Problems at a time.")
    parser.add_argument("--list", action="store_true", help="List the problems and run none.")
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run what has not been run, and write the tables."""
    asked = options()
    if asked.job is not None:
        job = Job(**asked.job)
        write(job.file(asked.out), json.dumps(run(job), indent=1))
        return
    bed = list(problems().values())
    wanted = list(chosen(bed, asked.only, held_out=asked.held_out))
    if asked.list:
        for one in wanted:
            print(f"{one.kind:28} {one.name:30} {len(one.answer):5}{'  held out' if one.held_out else ''}")
        return
    jobs = [
        Job(name=one.name, reference=reference, seed=seed, guides=asked.guides)
        for reference in asked.reference or ("none", "auto")
        for seed in asked.seed or (0,)
        for one in wanted
    ]
    with ThreadPoolExecutor(asked.jobs) as pool:
        for line in pool.map(
            lambda job: in_a_process(job, asked.out), [j for j in jobs if not j.file(asked.out).exists()]
        ):
            print(line, flush=True)
    summarise(asked.out, bed)


if __name__ == "__main__":
    main()
