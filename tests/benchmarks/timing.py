"""Commands in processes of their own, timed: by the clock, in processor time and by the most memory they held."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

#: Where compiled programs could come from: no measurement may find those of another.
CACHES = ("GUIDEBENCH_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")

#: Of what ``ru_maxrss`` counts, by system.
MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What one process took.

    Attributes
    ----------
    wall_s, cpu_s : float
        Seconds by the clock, and of processor time over all cores, children included.
    memory : int
        The most bytes that the process itself held.
    said : str
        The last line that it printed.
    """

    wall_s: float
    cpu_s: float
    memory: int
    said: str


def timed(command: list[str], scratch: Path, cache: Path | None) -> Timing:
    """Run `command` in the folder `scratch` and time it; its failure ends the benchmark.

    Compiled programs are kept in `cache`, or nowhere.
    """
    environment = {name: value for name, value in os.environ.items() if name not in CACHES}
    if cache is not None:
        environment |= {name: str(cache) for name in CACHES}
        environment |= {
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
        }
    with tempfile.TemporaryFile("w+") as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=scratch, env=environment, stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().strip()
    if process.returncode != 0:
        raise SystemExit(f"exit status {process.returncode} from {' '.join(command)}\n{text}")
    return Timing(
        wall_s=wall,
        cpu_s=used.ru_utime + used.ru_stime,
        memory=used.ru_maxrss * MEMORY_UNIT,
        said=text.splitlines()[-1] if text else "",
    )


def guidebench_command() -> list[str]:
    """Return how to start the guidebench of this interpreter: its console script, as a user does."""
    script = Path(sys.executable).with_name("guidebench")
    return [str(script)] if script.exists() else [sys.executable, "-m", "guidebench"]


def median(timings: list[Timing]) -> float:
    """Return the median of the seconds by the clock."""
    return statistics.median(one.wall_s for one in timings)


def machine() -> dict[str, str | int | None]:
    """Return what the numbers depend on."""
    facts: dict[str, str | int | None] = {
        "system": f"{platform.system()} {platform.machine()}",
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
