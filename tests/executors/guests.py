"""A local plugin whose guides do to their process what a guide should not, and note what is done with them.

Each test has a copy of this file: they note it beside it, and that is where they look for what they wait for.
Nothing here asks for the environment, the time or what is in a file, for such guides are not kept.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkstemp
from time import sleep
from typing import Any

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist

from guidebench import Guide, Metric, MetricValue, Problem, hookimpl

FOLDER = Path(__file__).parent


def note(what: str) -> None:
    mkstemp(prefix=f"{what}-", dir=FOLDER)


def tiny(y: Any = None) -> None:
    w = numpyro.sample("w", dist.Normal(0, 1))
    s = numpyro.sample("s", dist.HalfNormal(1))
    with numpyro.plate("rows", 3):
        numpyro.sample("y", dist.Normal(w, s), obs=y)


def never(y: Any = None) -> None:
    """A model that does not return."""
    while True:
        sleep(1)


def nothing() -> float:
    return 0.0


def waits() -> float:
    """Say which process is in the middle of the fit, and go on when told so."""
    (FOLDER / f"waiting-{os.getpid()}").touch()
    while not (FOLDER / "go").exists():
        sleep(0.01)
    return 0.0


def exits() -> float:
    os._exit(0)


def crashes() -> float:
    return float(ctypes.c_int.from_address(0).value)


def loops() -> Any:
    """Never come back from a compiled loop."""
    return jax.lax.while_loop(lambda i: i < 1.0, lambda i: i * 0.5, 0.0)


def guide(name: str, does: Callable[[], Any] = nothing, scale: float = 0.5) -> Guide:
    """Return a guide that does something each time it is traced; each training of it is noted."""

    def build(model: Any) -> Callable[..., None]:
        def sites(y: Any = None) -> None:
            at = numpyro.param("at", 0.0) + does()
            numpyro.sample("w", dist.Normal(at, scale))
            numpyro.sample("s", dist.LogNormal(0.0, 0.5))

        return sites

    return Guide(name=name, build=build, supports=lambda structure: note(f"trained-{name}"))


@hookimpl
def guidebench_guides() -> Iterator[Guide]:
    yield guide("first")
    yield guide("second", scale=0.4)
    for does in (waits, exits, crashes, loops):
        yield guide(does.__name__, does)


@hookimpl
def guidebench_problems() -> Iterator[Problem]:
    y = np.array([0.5, -0.25, 1.0])
    yield Problem(name="tiny", model=tiny, kwargs={"y": y})
    yield Problem(name="twin", model=tiny, kwargs={"y": y + 1})
    yield Problem(name="never", model=never, kwargs={"y": y})


@hookimpl
def guidebench_metrics() -> Iterator[Metric]:
    yield Metric(name="one", compute=lambda evidence: [MetricValue(value=1.0)])
