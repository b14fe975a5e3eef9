"""The problems that ship with guidebench, declared through the same hook as anybody's."""

from __future__ import annotations

from collections.abc import Iterator

from guidebench.contracts import Problem
from guidebench.plugins.hookspecs import hookimpl
from guidebench.problems import (
    banana,
    bayesian_neural_network,
    eight_schools,
    eight_schools_noncentred,
    funnel,
    gaussian_mixture,
    gaussian_process_regression,
    hierarchical_regression,
    horseshoe_regression,
    linear_regression,
    local_level,
    logistic_regression,
    two_modes,
)


@hookimpl
def guidebench_problems() -> Iterator[Problem]:
    """Declare each bundled problem: regressions first, then series and mixtures, then shapes without data."""
    yield linear_regression.problem()
    yield logistic_regression.problem()
    yield hierarchical_regression.problem()
    yield eight_schools.problem()
    yield eight_schools_noncentred.problem()
    yield horseshoe_regression.problem()
    yield gaussian_process_regression.problem()
    yield bayesian_neural_network.problem()
    yield local_level.problem()
    yield gaussian_mixture.problem()
    yield two_modes.problem()
    yield funnel.problem()
    yield banana.problem()
