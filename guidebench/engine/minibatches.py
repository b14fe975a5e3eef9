"""Problems whose models subsample: what they see in training, and all of it everywhere else."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.inference.arguments import Arguments, as_arrays
from guidebench.inference.structure import ModelStructure, inspect_model
from guidebench.inference.subsampling import Minibatches, Whole
from guidebench.request.loading.shapes import check_sites


class Inspected(NamedTuple):
    """A problem whose model shows all data, with its arguments and structure, and how it subsamples."""

    problem: Problem
    values: dict[str, Any]
    arguments: Arguments
    structure: ModelStructure
    minibatches: Minibatches | None


def inspect_problem(problem: Problem, sizes: Mapping[str, int]) -> Inspected:
    """Trace the model of a problem and find the plates that show a part of its data at a time.

    Parameters
    ----------
    problem : Problem
        The problem.
    sizes : mapping of str to int
        Arguments that set the sizes of minibatches, with these.

    Raises
    ------
    RequestError
        Where the model does not run, has no such argument, or does not subsample.
    """
    given = ", ".join(f"{name}={size}" for name, size in sizes.items())
    parameters = inspect.signature(problem.model).parameters
    gathers = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    for name in sizes:
        if name not in parameters and not gathers:
            raise RequestError(
                f"the model of {problem.name} has no argument {name}; its arguments are {', '.join(parameters)}",
                option="minibatch",
                value=given,
            )
    problem = _with_required(problem, sizes)
    values = as_arrays(problem.arguments())
    arguments = Arguments.split(problem.model, values)
    in_training = Arguments(
        arrays={name: value for name, value in arguments.arrays.items() if name not in sizes},
        static={**arguments.static, **sizes},
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="subsample_size does not match")  # said below, in words
        structure = inspect_model(problem.model, in_training, problem.observed)
        check_sites(problem.model, in_training, f"problem {problem.name!r}")
    if not structure.subsampled:
        if sizes:
            raise RequestError(
                f"no plate of {problem.name} then shows fewer elements than it has; the model "
                "must pass the argument to numpyro.plate as subsample_size, and it must be less than the plate's size",
                option="minibatch",
                value=given,
            )
        return Inspected(problem, values, arguments, structure, None)
    if structure.control_flow:
        raise RequestError(f"problem {problem.name!r}: {structure.unsupported()}")
    local = tuple(site.name for site in structure.latents if set(site.dims) & structure.subsampled.keys())
    minibatches = Minibatches(
        model=problem.model, arguments=in_training, plates=dict(structure.subsampled), local=local
    )
    problem = replace(problem, model=Whole(problem.model))
    return Inspected(problem, values, arguments, inspect_model(problem.model, arguments, problem.observed), minibatches)


def _with_required(problem: Problem, sizes: Mapping[str, int]) -> Problem:
    """Return the problem with those sizes as arguments that it cannot be called without."""
    bound = inspect.signature(problem.model).bind_partial(*problem.args, **problem.kwargs).arguments
    parameters = inspect.signature(problem.model).parameters
    missing = {
        name: size
        for name, size in sizes.items()
        if name in parameters and name not in bound and parameters[name].default is inspect.Parameter.empty
    }
    return replace(problem, kwargs={**problem.kwargs, **missing}) if missing else problem


def describe(minibatches: Minibatches) -> str:
    """Return one sentence on how the model is trained."""
    parts = [
        f"{count:,} of the {size:,} elements of plate {name}" for name, (size, count) in minibatches.plates.items()
    ]
    return f"Each step of training sees random {' and '.join(parts)}; all scores are on all data."
