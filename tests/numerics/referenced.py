"""A line through the origin, and the reference that a problem gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpyro
import numpyro.distributions as dist

from guidebench.config import make_config
from guidebench.contracts import Problem
from guidebench.engine.events import nobody
from guidebench.engine.gate import Reference
from guidebench.engine.prepared import prepare
from guidebench.engine.recipe import recipe_of
from guidebench.engine.references import find_reference
from guidebench.engine.request import Settings
from guidebench.engine.workbench import Workbench
from guidebench.inference import nuts
from guidebench.results import ProblemRecord

#: Passes for what is easy, and fails for what cannot pass however long it runs.
SHORT = nuts.Settings(warmup=250, draws=500, doublings=0)

X = np.linspace(-1, 1, 12, dtype=np.float32)
Y = np.float32(0.5) * X + np.float32([0.1, -0.2, 0.05, 0.3, -0.1, 0.0, 0.2, -0.3, 0.1, 0.0, -0.1, 0.2])


def line(x: Any, y: Any = None) -> None:
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    with numpyro.plate("n", len(x)):
        numpyro.sample("y", dist.Normal(w * x, 0.3), obs=y)


def line_problem(y: np.ndarray = Y) -> Problem:
    return Problem(name="line", model=line, kwargs={"x": X, "y": y})


class Ready(NamedTuple):
    """The programs of a prepared problem, its reference, and its record with what that says."""

    bench: Workbench
    reference: Reference
    record: ProblemRecord


def workbench(problem: Problem, **options: Any) -> Workbench:
    config = make_config(options)
    found = prepare(problem, config, recipe_of(config))
    return Workbench(found.problem, found.target)


def prepared(problem: Problem, *, given: Mapping[str, Any] | None = None, **options: Any) -> Ready:
    config, bench = make_config(options), workbench(problem, **options)
    found = find_reference(bench, Settings(config, recipe_of(config)), given, nobody)
    return Ready(bench, found.reference, found.described(bench.prepared.record))


def reference(problem: Problem, reference: str = "nuts", **options: Any) -> Reference:
    return prepared(problem, reference=reference, **options).reference
