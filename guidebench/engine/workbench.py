"""What one process makes of a prepared problem for itself: compiled programs, each when it is asked for first.

A prepared problem is data and goes from process to process; programs stay where they were compiled.  Every process
makes them in the same way from the same data, so that their numbers are the same.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from guidebench.contracts import Family
from guidebench.engine.prepared import PreparedProblem
from guidebench.engine.simulations import Simulations
from guidebench.engine.starts import search_values
from guidebench.inference.arguments import Arguments, as_arrays, is_array
from guidebench.inference.chains.moves import Moves
from guidebench.inference.coordinates import Affine, Expansion, Frame, own_coordinates, standardised
from guidebench.inference.device.precision import as_double, double
from guidebench.inference.large import expand
from guidebench.inference.mode_shares import mode_shares
from guidebench.inference.modes import MOST_DIMENSIONS, in_double
from guidebench.inference.pointwise import Pointwise
from guidebench.inference.predict import Forward, make_log_likelihood, make_predictive, observed_values
from guidebench.inference.rescoring import LogJoint
from guidebench.inference.subsampling import Minibatches, Stratified
from guidebench.inference.target import Target
from guidebench.inference.unconstrained import Unconstrain

#: After so many problems their programs are released.  They take about 30 MB a fit; tracing anew what problems share
#: takes one to two seconds, so not after each.
RELEASE = 5

#: Problems whose programs are at hand at a time: the one that is worked on, and the next, which may have begun.
AT_HAND = 2


class Workbench:
    """The programs of one prepared problem.

    Parameters
    ----------
    prepared : PreparedProblem
        The problem.
    target : Target, optional
        Its posterior over unconstrained coordinates, from where the problem was prepared.
    """

    def __init__(self, prepared: PreparedProblem, target: Target | None = None) -> None:
        self.prepared = prepared
        self._given = target
        self._programs: dict[tuple[Any, ...], Forward] = {}
        self._simulated: Target | None = None
        self._observed: dict[str, dict[str, np.ndarray]] = dict(prepared.observed)

    @cached_property
    def target(self) -> Target | None:
        """The posterior over unconstrained coordinates, where the problem has one that could be searched."""
        one = self.prepared
        if not one.has_target:
            return None
        return self._given or Target.of(one.problem.model, one.arguments, one.structure, one.minibatches)

    @cached_property
    def validation_target(self) -> Target:
        """The log density on the rows that are kept from training."""
        assert self.prepared.validation is not None
        return self.prepared.validation.target()

    def simulated_target(self, simulations: Simulations) -> Target:
        """Return the posterior of one of the simulated data sets; they come once per guide, and are always the same."""
        if self._simulated is None:
            self._simulated = simulations.target()
        return self._simulated

    def frame(self, family: Family) -> Frame:
        """Return the model as a guide of that family is shown it."""
        one, target = self.prepared, self.target
        if target is None or one.points is None or family == "none":
            model = one.problem.model
            if one.structure.discrete and target is not None:  # no guide draws the discrete sites
                model = own_coordinates(target)
            own = Frame(model=model, arguments=one.arguments, starts=one.starts)
            return own if one.minibatches is None else replace(own, stochastic=self._stochastic(one.minibatches))
        best = None if one.landscape is None else one.landscape.best
        affine = Affine.for_family(family, best, target.dim)
        return standardised(target, affine, one.points, self._expansion)

    def _stochastic(self, minibatches: Minibatches) -> tuple[Callable[..., Any], Arguments]:
        """Return what a guide in the model's own coordinates is trained on, a part of the data at a time."""
        if self.target is None or minibatches.local:  # as NumPyro does it: the guide draws the parts
            return Stratified(minibatches.model), minibatches.arguments
        return own_coordinates(self.target, self._expansion), self.prepared.arguments

    @cached_property
    def _expansion(self) -> Expansion | None:
        """The target on all data near its best Gaussian, where parts of the data need it."""
        one = self.prepared
        if one.minibatches is None or self.target is None or one.landscape is None or one.landscape.best is None:
            return None
        if self.target.dim > MOST_DIMENSIONS:
            return None  # second derivatives would be too many
        return expand(self.target, one.landscape.best.mean, self.search_values)

    @cached_property
    def search_values(self) -> dict[str, Any]:
        """The traced arguments in the precision they were given in; no copies of many data are made."""
        return search_values(self.prepared.values, self.prepared.arguments, self.target)

    @cached_property
    def log_joint(self) -> LogJoint | None:
        """log p(y, theta) in float64, where no parameters of the model's own come into it."""
        return None if self.target is None else LogJoint(self.target, self.search_values)

    @cached_property
    def exact_values(self) -> dict[str, Any]:
        """The traced arguments in float64, with the posterior recorded for them; as they are where they are many."""
        if self.target is None:
            return dict(as_double(self.search_values))
        found = dict(in_double(self.target, self.search_values))
        with double():
            self.target.record(jax.tree.map(jnp.asarray, found))
        return found

    @property
    def in_blocks(self) -> bool:
        """Whether the data are evaluated block by block."""
        return self.target is not None and self.target.rows > 0

    def mode_shares(self, latents: Mapping[str, np.ndarray]) -> list[tuple[float, float]]:
        """Return how draws are spread over the modes that the search found, where it found several."""
        landscape = self.prepared.landscape
        if self.target is None or landscape is None or len(landscape.modes) < 2:
            return []
        return mode_shares(landscape.modes, self.unconstrain(latents))

    @cached_property
    def unconstrain(self) -> Unconstrain:
        """The map from latent sites to unconstrained coordinates."""
        assert self.target is not None
        return Unconstrain(self.target)

    @cached_property
    def pointwise(self) -> Pointwise:
        """The posterior at any number of points, and no derivatives; one program serves every mixture."""
        assert self.target is not None
        return Pointwise(self.target, self.search_values)

    @cached_property
    def moves(self) -> Moves:
        """The program of Markov chains on the posterior; one serves every guide."""
        assert self.target is not None
        return Moves(self.target, self.search_values)

    @cached_property
    def predict_values(self) -> dict[str, Any] | None:
        """Arguments on the prediction grid."""
        grid = self.prepared.problem.predict
        return None if grid is None else {**self.prepared.values, **as_arrays(grid)}

    def forward(self, name: str, latents: Mapping[str, np.ndarray], fixed: Mapping[str, Any]) -> Forward:
        """Return a forward program, compiled on first use: ``train``, ``predict`` or ``heldout``, or ``log_...``.

        One serves every guide, but for a guide whose draws are of another kind than those of the others.
        """
        key = name, *((site, np.shape(value)[1:], np.asarray(value).dtype.name) for site, value in latents.items())
        if key not in self._programs:
            make = make_log_likelihood if name.startswith("log_") else make_predictive
            values, one = self._values(name.removeprefix("log_")), self.prepared
            self._programs[key] = make(one.problem.model, values, one.structure, latents, fixed)
        return self._programs[key]

    def outputs(self, name: str) -> int:
        """Return about how many values one forward draw has at the ``train``, ``predict`` or ``heldout`` data."""
        structure = self.prepared.structure
        own = sum(math.prod(site.shape) for site in (*structure.deterministics, *structure.observed))
        if name == "train":
            return own
        there, here = (
            sum(np.size(value) for value in values.values() if is_array(value))
            for values in (self._values(name), self.prepared.values)
        )
        return math.ceil(own * there / max(here, 1))

    def observed(self, name: str) -> dict[str, np.ndarray]:
        """Return the observed values of the ``train`` or ``heldout`` data."""
        if name not in self._observed:
            one = self.prepared
            self._observed[name] = observed_values(one.problem.model, self._values(name), one.structure)
        return self._observed[name]

    def _values(self, name: str) -> dict[str, Any]:
        one = self.prepared
        values = {"train": dict(one.values), "predict": self.predict_values, "heldout": one.heldout_values()}[name]
        assert values is not None
        return values


class Workbenches:
    """The workbenches of one process, the last few problems' at a time."""

    def __init__(self) -> None:
        self._at_hand: list[Workbench] = []
        self._made = 0

    def of(self, prepared: PreparedProblem) -> Workbench:
        """Return the workbench of a problem, which may have come from another process several times."""
        found = next((one for one in self._at_hand if one.prepared.token == prepared.token), None)
        return found or self.adopt(Workbench(prepared))

    def clear(self) -> None:
        """Let go of all of them."""
        self._at_hand = []

    def adopt(self, one: Workbench) -> Workbench:
        """Keep a workbench at hand; of problems that are done the programs are released now and then."""
        if self._made and self._made % RELEASE == 0:
            release()
        self._made += 1
        self._at_hand = [*self._at_hand, one][-AT_HAND:]
        return one


def release() -> None:
    """Let go of what JAX holds of the programs of problems that are done."""
    jax.clear_caches()
    gc.collect()


#: Those of this process.
WORKBENCHES = Workbenches()
