"""A trained guide, put together again from what was kept of it: programs that draw, weigh and predict.

Each is compiled when it is asked for first.  The guide of a run and the one that another process has loaded are made in
this one way from the same arrays, so that their draws are the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from guidebench.config.errors import RequestError
from guidebench.config.seeds import derive
from guidebench.contracts import Problem
from guidebench.engine.fit.making import make_guide
from guidebench.engine.keys.origin import given
from guidebench.engine.perform import TURN
from guidebench.inference.arguments import Arguments, as_arrays
from guidebench.inference.coordinates import Affine
from guidebench.inference.device.compiled import compile_for, over_draws
from guidebench.inference.device.precision import as_double, chosen, double
from guidebench.inference.own_sites import OwnSites, as_numpyro
from guidebench.inference.point_density import NoDensityError, at_point
from guidebench.inference.predict import Forward, make_log_likelihood, make_predictive
from guidebench.inference.rescoring import LogJoint
from guidebench.inference.structure import ModelStructure, inspect_model
from guidebench.inference.subsampling import Whole
from guidebench.inference.target import Target
from guidebench.inference.unconstrained import Unconstrain
from guidebench.request.selection import ChosenGuide
from guidebench.results.guide_state import GuideState

Latents = Mapping[str, np.ndarray]

#: How far the point that a guide makes of its vector may be from the one that was asked for, relatively.
CLOSE = 1e-4


class Ready:
    """A trained guide with its model, and the programs of both.

    Parameters
    ----------
    state : GuideState
        What was kept of it.
    guide : ChosenGuide
        Its declaration and options.
    problem : Problem
        The model, with the arguments that are known: the training data, or none.

    Raises
    ------
    RequestError
        Where the model has other latent sites than the guide, or an argument is missing that nothing stands in for.
    """

    def __init__(self, state: GuideState, guide: ChosenGuide, problem: Problem) -> None:
        if state.refused:
            raise RequestError(f"the guide {guide.label} cannot be used again: {state.refused}")
        self.state, self.guide, self.name = state, guide, problem.name
        self._given = given(problem)
        self.model = Whole(problem.model) if state.subsampled else problem.model
        self._programs: dict[Any, Any] = {}
        self._needs_nothing = False
        arguments, self.missing = _arguments(state, self._given)
        with self._precision(), TURN:
            self.structure = inspect_model(self.model, arguments, problem.observed)
        check_sites(state, self.structure, guide.label)
        self.arguments = arguments

    def _precision(self) -> Any:
        return chosen(self.state.x64)

    @cached_property
    def own(self) -> OwnSites:
        """The guide over the model's own sites."""
        state = self.state
        affine = None
        if state.center is not None and state.factor is not None:
            affine = Affine(center=state.center.astype(np.float64), factor=state.factor.astype(np.float64))
        return OwnSites(
            maker=partial(make_guide, self.guide),
            target=self.target_of(self.arguments),
            params=dict(state.params),
            start=dict(state.start),
            affine=affine,
            to_draw_from=self.guide.declaration.draw,
            whole=state.subsampled,
        )

    def target_of(self, arguments: Arguments) -> Target:
        """Return the posterior with these arguments."""
        sites = self.state.sites
        return Target(
            model=self.model,
            arguments=arguments,
            shapes={one.name: one.unconstrained for one in sites},
            enumerated=bool(self.structure.discrete),
            many={one.name: one.shape for one in sites} if self.state.together else {},
        )

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The guide in NumPyro's own form."""
        return as_numpyro(self.own)

    def sample(self, seed: int, count: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return draws by latent site, shape ``(count, ...)``, and log q of each; of an augmented guide, of its path.

        Raises
        ------
        RequestError
            Where the guide cannot draw without data that are not there.
        """
        with self._precision(), TURN:
            # A whole key, whatever its seed: the same for any count of draws there are.
            keys = jax.random.split(jax.random.key(derive(seed, "trained guide")), count)
            params = as_double(self.state.params) if self.state.x64 else dict(self.state.params)
            given = keys, params, dict(self.arguments.arrays)
            if ("draw", count) not in self._programs:
                self._programs["draw", count] = compile_for(self._draws, *given, level=1)
            latents, log_q = jax.device_get(self._programs["draw", count](*given))
            self._check_without_data(self._programs["draw", count], given, (latents, log_q))
        return {one.name: np.asarray(latents[one.name]) for one in self.state.sites}, np.asarray(log_q, np.float64)

    def _check_without_data(self, program: Any, given: tuple[Any, ...], found: Any) -> None:
        """Refuse draws that hang on data that are not there: with others in their place they would be others."""
        if not self.missing or self._needs_nothing:
            return
        keys, params, traced = given
        other = {
            name: jax.tree.map(lambda one: (one / 2 if one.dtype.kind == "f" else one + 1).astype(one.dtype), value)
            if name in self.missing
            else value
            for name, value in traced.items()
        }
        again = jax.device_get(program(keys, params, other))
        if not all(map(np.array_equal, jax.tree.leaves(found), jax.tree.leaves(again))):
            raise RequestError(self.lacking("draws"))
        self._needs_nothing = True

    def _draws(self, keys: Any, params: Any, traced: Mapping[str, Any]) -> Any:
        return over_draws(lambda key: self.own.draw(key, params, traced), keys, self.structure.latent_dim)

    def log_prob(self, latents: Latents) -> np.ndarray:
        """Return log q at points by latent site, shape ``(S, ...)``, in nats, computed in float64.

        Raises
        ------
        RequestError
            Where the density of the guide at a point is not known.
        """
        if self.guide.declaration.bound == "none":
            raise RequestError(f"{self.guide.label} is a point estimate and has no density")
        values = {name: np.asarray(latents[name], np.float64) for name in self.own.target.shapes}
        try:
            with double(), TURN:
                given = values, as_double(self.state.params), as_double(dict(self.arguments.arrays))
                key = "log q", len(next(iter(values.values())))
                if key not in self._programs:
                    self._programs[key] = compile_for(self._log_probs, *given, level=1)
                found = jax.device_get(self._programs[key](*given))
        except NoDensityError as error:
            raise RequestError(f"the density of {self.guide.label} at a point is not known: {error}") from None
        inside = np.isfinite(found.log_q)
        if (found.gap[inside] > CLOSE).any():
            raise RequestError(
                f"the density of {self.guide.label} at a point is not known: it makes its sites in a way of its own"
            )
        return np.asarray(np.where(np.isnan(found.log_q), -np.inf, found.log_q), np.float64)

    def _log_probs(self, latents: Any, params: Any, traced: Mapping[str, Any]) -> Any:
        return over_draws(lambda values: at_point(self.own, values, params, traced), latents, self.structure.latent_dim)

    def log_joint(self, latents: Latents) -> np.ndarray:
        """Return log p(y, theta) of the training data at points by latent site, in nats, computed in float64.

        Raises
        ------
        RequestError
            Where the data are not there.
        """
        if self.missing:
            raise RequestError(self.lacking("weights"))
        if self.structure.params:
            raise RequestError(f"the model has parameters of its own ({', '.join(self.structure.params)})")
        with TURN:
            if "log p" not in self._programs:
                self._programs["log p"] = LogJoint(self.target_of(self.arguments), self._exact())
            found: np.ndarray = self._programs["log p"](
                {one.name: np.asarray(latents[one.name]) for one in self.state.sites}
            )
        return found

    def _exact(self) -> dict[str, Any]:
        """Return the arguments that are data with all of their digits."""
        return {name: self._given.get(name, value) for name, value in self.arguments.arrays.items()}

    def unconstrained(self, latents: Latents) -> dict[str, np.ndarray]:
        """Return draws by latent site in NumPyro's unconstrained coordinates, each of shape ``(S, ...)``."""
        with TURN:
            if "free" not in self._programs:
                self._programs["free"] = Unconstrain(self.target_of(self.arguments))
            rows = self._programs["free"]({name: np.asarray(value, np.float64) for name, value in latents.items()})
        return self.own.target.split(rows)

    def forward(
        self, new: Mapping[str, Any], latents: Latents, seed: int, *, log_likelihood: bool = False
    ) -> dict[str, np.ndarray]:
        """Return what the model says at other arguments with these draws: every site, or log p of each observation.

        Raises
        ------
        RequestError
            Where an argument is missing.
        """
        program = self.forward_program(new, latents, log_likelihood=log_likelihood)
        with self._precision(), TURN:
            return program(jax.random.key(derive(seed, "predict")), latents, self.fixed)

    @property
    def fixed(self) -> dict[str, Any]:
        """The trained values of the model's own parameters."""
        return {name: self.state.params[name] for name in self.structure.params if name in self.state.params}

    def forward_program(self, new: Mapping[str, Any], latents: Latents, *, log_likelihood: bool = False) -> Forward:
        """Return the compiled program of :meth:`forward`, for arguments of these shapes."""
        values = self.values_with(new)
        make = make_log_likelihood if log_likelihood else make_predictive
        with self._precision(), TURN:
            return make(self.model, values, self.structure, latents, self.fixed)

    def values_with(self, new: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of the model by name, some of them others than in training.

        Raises
        ------
        RequestError
            Where an argument is unknown or missing.
        """
        known = {*self.state.traced, *self.state.static, *self._given}
        for name in new:
            if name not in known:
                raise RequestError(f"the model has no argument {name!r}; its arguments are {', '.join(sorted(known))}")
        lacking = [name for name in self.missing if name not in new and name not in self.structure.observed_arguments]
        if lacking:
            raise RequestError(f"to predict, {_listed(lacking)} must be given: the guide was loaded without its data")
        trained = {**self.arguments.static, **self.arguments.arrays, **self._given}
        return {**{name: trained[name] for name in trained}, **as_arrays(new)}

    def lacking(self, what: str) -> str:
        """Return what is said where data are missing."""
        return (
            f"{self.guide.label} has no {what} without the data it was trained on; give {_listed(self.missing)} as "
            "further arguments of load_guide"
        )


def _listed(names: Any) -> str:
    return ", ".join(f"{name}=..." for name in names)


# Arguments


def _arguments(state: GuideState, known: Mapping[str, Any]) -> tuple[Arguments, tuple[str, ...]]:
    """Return the training arguments, and which of the data in them only stand for what is not there.

    What is given, or kept with the guide, has the kind of number that it had in training.
    """
    arrays, missing = {}, []
    for name, told in state.traced.items():
        if known.get(name) is not None:
            arrays[name] = _like(told, known[name], name)
        elif name in state.data:
            arrays[name] = _like(told, state.data[name], name)
        else:
            arrays[name] = _stand_in(told, name)
            missing.append(name)
    static = {**state.static, **{name: value for name, value in known.items() if name not in state.traced}}
    return Arguments(arrays=arrays, static=static), tuple(missing)


def _like(told: Mapping[str, Any], value: Any, name: str) -> Any:
    """Return data in the kinds of number that they had in training."""
    ((kind, inside),) = told.items()
    if kind == "dict":
        return {key: _like(one, value[key], f"{name}[{key!r}]") for key, one in inside.items()}
    if kind in ("list", "tuple"):
        return type(value)(_like(one, value[at], f"{name}[{at}]") for at, one in enumerate(inside))
    if kind == "unknown":
        return jax.tree.map(jnp.asarray, value)
    if list(np.shape(value)) != inside["shape"]:
        raise RequestError(
            f"the argument {name} has the shape {np.shape(value)}; the guide was trained on {tuple(inside['shape'])}"
        )
    return np.asarray(value).astype(inside["dtype"])


def _stand_in(told: Mapping[str, Any], name: str) -> Any:
    """Return arrays in the place of data that are not there: ones, which most distributions take, and whole zeros."""
    ((kind, inside),) = told.items()
    if kind == "dict":
        return {key: _stand_in(one, name) for key, one in inside.items()}
    if kind in ("list", "tuple"):
        found = [_stand_in(one, name) for one in inside]
        return found if kind == "list" else tuple(found)
    if kind == "unknown":
        raise RequestError(f"the argument {name} is a {inside}, which no file holds; give it to load_guide")
    dtype = np.dtype(inside["dtype"])
    return np.full(inside["shape"], 1 if dtype.kind == "f" else 0, dtype)


def check_sites(state: GuideState, structure: ModelStructure, label: str) -> None:
    """Raise a RequestError where a model has other latent sites than a guide was trained for."""
    trained = {one.name: one.shape for one in state.sites}
    found = {one.name: one.shape for one in structure.latents}
    for name, shape in trained.items():
        if name not in found:
            raise RequestError(
                f"the guide {label} was trained for a latent site {name} of shape {shape}, "
                "which the model does not have"
            )
        if found[name] != shape:
            raise RequestError(
                f"the guide {label} was trained for a latent site {name} of shape {shape}; "
                f"that of the model has the shape {found[name]}"
            )
    for name, shape in found.items():
        if name not in trained:
            raise RequestError(
                f"the model has a latent site {name} of shape {shape}, which the guide {label} does not draw"
            )
