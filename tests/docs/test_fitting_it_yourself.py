"""The example of the page on guides that fit themselves is a plugin that works."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy.stats import multivariate_normal

import guidebench as gb

PAGE = Path(__file__).parents[2] / "docs" / "fitting-it-yourself.md"


def example() -> str:
    """Return the lines of the page that begin with the name of the module, without their indentation."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    begin = next(at for at, line in enumerate(lines) if line == "    # guidebench_newton.py")
    end = next(at for at, line in enumerate(lines) if at > begin and line and not line.startswith("    "))
    return textwrap.dedent("\n".join(lines[begin:end]))


def regression(x: Any, y: Any) -> None:
    w = numpyro.sample("w", dist.Normal(0.0, 3.0).expand([2]).to_event(1))
    b = numpyro.sample("b", dist.Normal(0.0, 3.0))
    with numpyro.plate("n", x.shape[0]):
        numpyro.sample("y", dist.Normal(x @ w + b, 1.0), obs=y)


def test_the_example_finds_a_gaussian_posterior() -> None:
    names: dict[str, Any] = {}
    exec(compile(example(), "guidebench_newton.py", "exec"), names)  # noqa: S102 - our own page
    declared: Callable[[], Any] = names["guidebench_guides"]
    (guide,) = declared()
    assert guide.options() == {"jitter": 1e-6}

    rng = np.random.default_rng(7)
    x = rng.standard_normal((12, 2))
    y = x @ np.array([1.0, -1.0]) + 0.5 + rng.standard_normal(12)
    design = np.column_stack([x, np.ones(12)])
    evidence = multivariate_normal(np.zeros(12), 9 * design @ design.T + np.eye(12)).logpdf(y)
    (fit,) = gb.compare(
        regression, x, y, guides=guide, restarts=1, draws=1000, reference="none", progress=False, name="newton"
    )
    assert (fit.status, fit.verdict) == ("converged", "trust")
    assert fit.value("elbo") == pytest.approx(evidence, abs=1e-3)
    assert fit.method == "One Newton step from the start, and the inverse Hessian there"
