r"""Rows kept from training, on whose ELBO training is stopped early.

The posterior, its reference and every score are then those of the rest.  A guide q that trains on
the rest, n rows, is evaluated on the m rows that were kept, by

.. math:: \frac{n}{m} \, E_q[\log p(y_\text{kept} \mid \theta)] - KL(q \,\|\, p)

which is the ELBO with these rows in the place of those of training, each counted n/m times, and the
prior once, as in training.  So it has the unit and the level of the ELBO of training: for a q that
knows neither part both have one expectation, and what lies between the two curves is what q has
learnt of the rows of training alone.  (The plain ELBO of the m rows, for n = 4 m, would weigh the prior
four times as much as training does, and call a posterior over-fitted that has merely contracted.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from numpyro.handlers import scale
from numpyro.infer.util import log_density

from guidebench.config import RunConfig
from guidebench.config.errors import RequestError, opt
from guidebench.config.seeds import derive
from guidebench.contracts import Problem, with_arguments
from guidebench.engine.minibatches import inspect_problem
from guidebench.inference.arguments import Arguments, runnable
from guidebench.inference.coordinates import Frame, model_of
from guidebench.inference.device.compiled import BATCH_VALUES
from guidebench.inference.structure import ModelStructure, inspect_model, is_factor
from guidebench.inference.target import Target
from guidebench.inference.train import Watched
from guidebench.plugins.isolation.failures import said
from guidebench.request.loading.rows import row_arguments, split_rows

#: Draws of a guide at each evaluation, and the fewest where many data leave no room for more.
PARTICLES = 200
FEWEST_PARTICLES = 10


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The rows of a problem that are kept from training.

    Attributes
    ----------
    model, arguments
        The model with every row counted n/m times, and the kept rows.
    structure : ModelStructure
        The sites of the model.
    trained, kept : int
        Numbers of rows: n and m.
    """

    model: Callable[..., Any]
    arguments: Arguments
    structure: ModelStructure
    trained: int
    kept: int

    def target(self) -> Target:
        """Return the log density on the kept rows over unconstrained coordinates; made anew, for it holds programs."""
        return Target.of(self.model, self.arguments, self.structure)

    def watched(self, frame: Frame, seed: int, name: str, target: Target | None = None) -> Watched:
        """Return what a guide in that frame is evaluated on.

        Parameters
        ----------
        frame : Frame
            The model as the guide is shown it.
        seed, name
            Of the run and of the problem; every guide is evaluated with the same random key.
        target : Target, optional
            As :meth:`target` returns it, where there is one already.
        """
        per_particle = len(frame.starts[next(iter(frame.starts))]) * max(self.arguments.size(), 1)
        particles = int(np.clip(BATCH_VALUES // per_particle, FEWEST_PARTICLES, PARTICLES))
        key = jax.random.key(derive(seed, name, "validation draws"))
        if frame.kind == "own":
            return Watched(model=self.model, arguments=self.arguments, key=key, particles=particles)
        arrays = {**frame.arguments.arrays, "data": dict(self.arguments.arrays)}
        return Watched(
            model=model_of(target or self.target()), arguments=Arguments(arrays=arrays), key=key, particles=particles
        )


def with_validation(problem: Problem, config: RunConfig) -> tuple[Problem, Validation | None]:
    """Return a problem that trains on a part of its rows, and the other part; all of it where none was asked for.

    Raises
    ------
    RequestError
        Where the problem has no rows that could be split.
    """
    if config.validation is None:
        return problem, None
    who = f"{opt('validation')}: {problem.name}"
    inspected = inspect_problem(problem, config.minibatch)
    model, values, whole = inspected.problem.model, inspected.values, inspected.structure
    if whole.joint:
        raise RequestError(f"{who}: the observations of {', '.join(whole.joint)} are not independent given the latents")
    if whole.discrete:
        raise RequestError(f"{who}: the model has discrete latent sites; it cannot be stopped early")
    names, count = _rows(who, values, whole.observed_arguments)
    rest, part = split_rows(values, names, config.validation, config.seed, (problem.name, "validation"))
    kept = Arguments.split(model, {**values, **part})
    for those in (Arguments.split(model, {**values, **rest}), kept):
        _check(who, whole, _inspect(who, model, those, problem.observed), count)
    kept_count = len(part[names[0]])
    trained = count - kept_count
    note = (
        f"{kept_count} of {count} rows, drawn at random, were kept from training to stop it early: the posterior, its "
        f"reference and every score are those of the other {trained}."
    )
    if problem.reference is not None or problem.log_evidence is not None:
        note += " What is known of the exact posterior of all rows does not hold for them and is left out."
    smaller = replace(
        with_arguments(problem, {name: rest[name] for name in names}),
        reference=None,
        log_evidence=None,
        notes=(*problem.notes, note),
    )
    return smaller, Validation(
        model=counting(model, trained / kept_count),
        arguments=kept,
        structure=whole,
        trained=trained,
        kept=kept_count,
    )


def counting(model: Callable[..., Any], times: float) -> Callable[..., Any]:
    """Return a model whose observations count so many times; its latents and ``numpyro.factor`` terms count once."""
    return _Counting(model, scale=times)


class _Counting(scale):  # type: ignore[misc]
    """NumPyro's ``scale``, for observations alone."""

    def process_message(self, msg: dict[str, Any]) -> None:
        """Scale the log density of a site where it is an observation."""
        if msg["type"] == "sample" and msg["is_observed"] and not is_factor(msg):
            super().process_message(msg)


def _rows(who: str, values: Mapping[str, Any], observed: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    """Return the arguments that have a value for every row, and how many rows there are."""
    lengths = {name: len(values[name]) for name in observed if np.ndim(values[name])}
    if not lengths:
        raise RequestError(
            f"{who} has no argument with rows of observations that could be kept from training; "
            f"name it by {opt('observed')}"
        )
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise RequestError(f"{who} has observations of different lengths ({told}), so it has no rows to be split")
    count = next(iter(lengths.values()))
    return row_arguments(values, count), count


def _inspect(who: str, model: Callable[..., Any], arguments: Arguments, observed: tuple[str, ...]) -> ModelStructure:
    """Return the structure of a model that is given a part of its rows, if it has a density there."""

    def density(traced: Mapping[str, Any]) -> Any:
        args, kwargs = arguments.call(model, traced)
        return log_density(runnable(model), args, kwargs, {})[0]

    try:
        structure = inspect_model(model, arguments, observed)
        if structure.unsupported() is None:  # shapes that do not fit show in the density alone
            jax.eval_shape(density, dict(arguments.arrays))
    except Exception as error:
        raise RequestError(
            f"{who} does not run on a part of its rows; is their number built in? ({said(error)})"
        ) from error
    return structure


def _check(who: str, whole: ModelStructure, part: ModelStructure, count: int) -> None:
    """Refuse a model whose latents depend on the rows that it is given."""
    shapes = {site.name: site.shape for site in part.latents}
    other = [site.name for site in whole.latents if shapes.get(site.name) != site.shape]
    if not other and len(shapes) == len(whole.latents):
        return
    local = [site.name for site in whole.latents if site.name in other and count in site.shape]
    if local:
        raise RequestError(
            f"{who} has latents of every row ({', '.join(local)}): those of rows kept from training are never trained"
        )
    raise RequestError(f"{who} has other latents on a part of its rows ({', '.join(other or shapes)})")
