"""A line through the origin, and the reference that a problem gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist

from guidebench.config import make_config
from guidebench.contracts import Problem
from guidebench.engine import references
from guidebench.engine.gate import Reference
from guidebench.engine.prepared import Prepared, prepare
from guidebench.engine.progress import Silent
from guidebench.engine.recipe import recipe_of
from guidebench.inference import nuts

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


def prepared(problem: Problem, *, given: Mapping[str, Any] | None = None, **options: Any) -> Prepared:
    config = make_config(options)
    recipe = recipe_of(config)
    return references.with_reference(prepare(problem, config, recipe), config, recipe, given, Silent())


def reference(problem: Problem, reference: str = "nuts", **options: Any) -> Reference:
    return prepared(problem, reference=reference, **options).reference
