r"""The compiled program of the chains: Hamiltonian Monte Carlo with one step size for all of them.

With a whitening :math:`u = m + F z` a transition draws a momentum :math:`p \sim \mathrm{N}(0, I)` for every chain,
follows Hamilton's equations for the density of z by n leapfrog steps of size :math:`\epsilon` and accepts the end
with probability :math:`\min(1, e^{-\Delta H})`.  The length :math:`n \epsilon` is drawn anew for every transition, the
same for all chains; :math:`\log \epsilon` moves with the mean acceptance of all chains.  Of many dimensions, halves of
the chains move in two threads: within a block each by its own acceptance, after it by the mean of both.  There, too,
paths go by slopes in single precision where these are near enough to those in double precision
(:mod:`guidebench.inference.chains.single`); energies are always in double precision.

The whitening is an argument: one program serves every guide of a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Int, Key

from guidebench.inference.chains.path import BLOCK, Keys, Path, Plan, followed, gained, planned
from guidebench.inference.chains.single import InSingle
from guidebench.inference.chains.states import MOST_LOST, State, Watched, nothing, parts_of, state_like, together
from guidebench.inference.chains.whitened import Posterior, Whitened
from guidebench.inference.chains.whitening import PROBES, Whitening, plain
from guidebench.inference.coordinates import Affine
from guidebench.inference.device.compiled import level_for, level_for_few, soon
from guidebench.inference.device.precision import double, doubled
from guidebench.inference.modes import in_double

#: Chains side by side.
CHAINS = 256

#: Dimensions up to which the whitening is a full matrix.
MOST_DENSE = 100

#: Parts that chains of more dimensions are advanced in on a CPU, each in a thread: with one, XLA hardly uses a second
#: core.
PARTS = 2

#: Length of the difference between whitened slopes in single and in double precision, at most, for paths to go by the
#: former: along a path, about two standard deviations long, it is about what energies are off by, in nats.
SLOPES_APART = 0.05


class Given(NamedTuple):
    """The arguments of the programs, and those of paths in single precision where these are to be taken."""

    in_double: dict[str, Any]
    in_single: dict[str, Any] | None


class Moves:
    """The programs of one target: all in float64 but for the paths of many coordinates.

    Parameters
    ----------
    target : Posterior
        The posterior, as a function of some coordinates.
    values : mapping
        The traced arguments in the precision they were given in.
    watches_u : bool, optional
        Whether coordinates are watched beside the sites; not where no coordinate belongs to a site.
    """

    def __init__(self, target: Posterior, values: Mapping[str, Any], *, watches_u: bool = True) -> None:
        self.dense = target.dim <= MOST_DENSE
        self.parts = 1 if self.dense or jax.default_backend() != "cpu" else PARTS
        with double():
            data = jax.tree.map(jnp.asarray, dict(in_double(target, values)))
            target.record(data)
            #: The posterior in whitened coordinates.
            self.posterior = Whitened(target, data, watches_u=watches_u)
        self._data, self._size = data, CHAINS // self.parts
        self._level = min(level_for(self.posterior.held), 1)
        self._single = None if self.dense or doubled() else self._in_single(values)
        few = min(level_for_few(self.posterior.held), self._level)
        with double():
            like, traced = np.zeros((CHAINS, target.dim)), self.traced(self._plain())
            self._begin = soon(self._first, like, traced, level=few)
            #: The program of a block in double precision, made by :meth:`given` where it turns out to be needed beside
            #: the one that decides about paths in single precision.
            self._advance = self._advancing() if self._single is None else None
            self._end = None if self._single is None else self._ending(self._single)
            if not self.dense:
                self._curved = soon(self.posterior.turned, like[:PROBES], like[0], data, level=few)
            begun = state_like(CHAINS, target.dim)
            self._look = soon(self.posterior.quantities, begun.z, begun.log_density, traced, level=0)

    def _in_single(self, values: Mapping[str, Any]) -> InSingle:
        self.posterior.target.record(values)
        like = np.zeros((self._size, self.posterior.dim), np.float32)
        return InSingle(self.posterior.slopes, values, self._plain(), like, parted=self.parts > 1, level=self._level)

    def _advancing(self) -> Callable[..., Any]:
        """Return the program of a block in double precision."""
        with double():
            like, key = state_like(self._size, self.posterior.dim), jax.eval_shape(jax.random.key, 0)
            return soon(self._block, like, key, np.int32(0), self.traced(self._plain()), level=self._level)

    def _ending(self, single: InSingle) -> Callable[..., Any]:
        """Return the program that decides about paths in single precision."""
        key, number = jax.eval_shape(jax.random.key, 0), np.int32(0)
        with double():
            like = state_like(self._size, self.posterior.dim), self._nothing(), single.like, single.plan_like
            return soon(self._ended, *like, key, number, self.traced(self._plain()), level=self._level)

    def begin(self, u: Float64[np.ndarray, "C D"], whitening: Whitening, step: float) -> State:
        """Return the state of chains at unconstrained points."""
        with double():
            state: State = self._begin(jnp.asarray(whitening.inverse(u)), self.traced(whitening))
            return state._replace(log_step=np.log(step))

    def traced(
        self,
        whitening: Whitening,
        offset: Float64[np.ndarray, " K"] | None = None,
        scale: Float64[np.ndarray, " K"] | None = None,
        accept: float = 0.8,
    ) -> dict[str, Any]:
        """Return the arguments of the program: a whitening, units of the quantities, and the acceptance aimed at."""
        count = self.posterior.count
        given = {
            **whitening.traced(),
            "offset": np.zeros(count) if offset is None else offset,
            "scale": np.ones(count) if scale is None else scale,
            "accept": np.asarray(accept, np.float64),
        }
        with double():
            return {"data": self._data, **jax.device_put(given)}

    @property
    def offers_single(self) -> bool:
        """Whether paths may go by slopes in single precision."""
        return self._single is not None

    def single_will_do(self, state: State, whitening: Whitening) -> bool:
        """Return whether slopes in single precision are near enough where chains are, after a whitening."""
        if self._single is None:
            return False
        traced = self._single.traced(whitening)
        apart = [self._single.apart(part.z, part.gradient, traced) for part in parts_of(state, self.parts)]
        return max(apart) <= SLOPES_APART

    def given(
        self,
        whitening: Whitening,
        offset: Float64[np.ndarray, " K"],
        scale: Float64[np.ndarray, " K"],
        accept: float,
        *,
        single: bool,
    ) -> Given:
        """Return what :meth:`advance` needs, and compile what that takes.

        The parameters are those of :meth:`traced`, and `single`, whether paths go by slopes in single precision.
        """
        in_single = self._single.traced(whitening) if single and self._single is not None else None
        if in_single is None and self._advance is None:
            self._advance = self._advancing()
        return Given(self.traced(whitening, offset, scale, accept), in_single)

    def advance(self, state: State, key: Key[Array, ""], given: Given) -> tuple[State, Watched]:
        """Take the transitions of one block; parts have momenta of their own, and share lengths and the step size."""
        if self.parts == 1:
            return self._advanced(state, key, 0, given)
        with ThreadPoolExecutor(self.parts) as pool:
            ended = pool.map(
                lambda number, part: self._advanced(part, key, number, given),
                range(self.parts),
                parts_of(state, self.parts),
            )
        return together(list(ended))

    def _advanced(self, state: State, key: Key[Array, ""], number: int, given: Given) -> tuple[State, Watched]:
        if given.in_single is not None:
            state, seen = self._by_single(state, key, number, given.in_single, given.in_double)
        else:
            assert self._advance is not None
            with double():  # of this thread
                state, seen = self._advance(state, key, np.int32(number), given.in_double)
        found: tuple[State, Watched] = (state, seen) if self.parts == 1 else jax.device_get((state, seen))
        return found

    def _by_single(
        self, state: State, key: Key[Array, ""], number: int, single: Mapping[str, Any], traced: Mapping[str, Any]
    ) -> tuple[State, Watched]:
        assert self._single is not None
        assert self._end is not None
        seen = self._nothing()
        for transition in range(BLOCK):
            go, path = self._single.follow(state.z, state.gradient, state.log_step, key, transition, number, single)
            with double():  # of this thread
                state, seen = self._end(state, seen, path, go.plan, go.key, np.int32(number), dict(traced))
        return state, seen

    def unconstrained(self, state: State, whitening: Whitening) -> Float64[np.ndarray, "C D"]:
        """Return where chains are, in unconstrained coordinates."""
        return whitening.forward(np.asarray(state.z))

    def curvature(
        self, points: Float64[np.ndarray, "P D"], scales: Float64[np.ndarray, " D"]
    ) -> Callable[[Float64[np.ndarray, " D"]], Float64[np.ndarray, " D"]]:
        """Return the product of a vector with the mean of minus the Hessian over points, in units of `scales`."""
        with double():
            chosen = jnp.asarray(points[np.linspace(0, len(points) - 1, PROBES).astype(int)])

        def product(vector: Float64[np.ndarray, " D"]) -> Float64[np.ndarray, " D"]:
            with double():
                turned = np.asarray(self._curved(chosen, jnp.asarray(scales * vector), self._data))
            return np.asarray(turned * scales)

        return product

    def watched(self, state: State, whitening: Whitening) -> Float64[np.ndarray, "C K"]:
        """Return the quantities where chains are, in their own units."""
        with double():
            return np.asarray(self._look(state.z, state.log_density, self.traced(whitening)))

    def _plain(self) -> Whitening:
        dim = self.posterior.dim
        return plain(Affine(center=np.zeros(dim), factor=np.eye(dim) if self.dense else np.ones(dim)))

    def _nothing(self) -> Watched:
        return nothing(self._size, self.posterior.count)

    def _first(self, z: Float[Array, "C D"], traced: Mapping[str, Any]) -> State:
        value, gradient = self.posterior.slopes(z, traced)
        return State(z, value, gradient, jnp.zeros(()), jnp.zeros((), jnp.int32))

    def _block(
        self, state: State, key: Key[Array, ""], number: Int[Array, ""], traced: Mapping[str, Any]
    ) -> tuple[State, Watched]:
        def move(carry: tuple[State, Watched], key: Key[Array, ""]) -> tuple[tuple[State, Watched], None]:
            (state, seen), keys = carry, self._keys(key, number)
            plan = planned(state.log_step, keys)
            path = followed(lambda z: self.posterior.slopes(z, traced), state.z, state.gradient, plan, keys)
            return self._decided(state, seen, path, plan, keys, traced), None

        unseen = jax.tree.map(jnp.asarray, self._nothing())
        (state, seen), _ = jax.lax.scan(move, (state, unseen), jax.random.split(key, BLOCK))
        return state, seen

    def _ended(
        self,
        state: State,
        seen: Watched,
        path: Path,
        plan: Plan,
        key: Key[Array, ""],
        number: Int[Array, ""],
        traced: Mapping[str, Any],
    ) -> tuple[State, Watched]:
        """Decide about paths in single precision, by densities in double precision."""
        path = Path(*(value.astype(state.z.dtype) for value in path))
        path = path._replace(log_density=self.posterior.log_densities(path.z, traced))
        return self._decided(state, seen, path, plan, self._keys(key, number), traced)

    def _keys(self, key: Key[Array, ""], number: Int[Array, ""]) -> Keys:
        return Keys.of(key, number if self.parts > 1 else None)

    def _decided(
        self, state: State, seen: Watched, path: Path, plan: Plan, keys: Keys, traced: Mapping[str, Any]
    ) -> tuple[State, Watched]:
        gain = gained(path, state.log_density)
        probability = jnp.where(jnp.isfinite(gain), jnp.exp(jnp.minimum(gain, 0.0)), jnp.where(gain > 0, 1.0, 0.0))
        taken = jax.random.uniform(keys.accepting, probability.shape) < probability
        acceptance = jnp.mean(probability)
        rate = jnp.where(plan.careful, 0.0, jnp.maximum(1.0 / jnp.sqrt(1.0 + state.taken), 0.1))
        state = State(
            jnp.where(taken[:, None], path.z, state.z),
            jnp.where(taken, path.log_density, state.log_density),
            jnp.where(taken[:, None], path.gradient, state.gradient),
            state.log_step + rate * (acceptance - traced["accept"]),
            state.taken + jnp.where(plan.careful, 0, 1).astype(jnp.int32),
        )
        now = self.posterior.quantities(state.z, state.log_density, traced)
        return state, Watched(
            seen.sums + now,
            seen.squares + now**2,
            now,
            seen.acceptance + acceptance / BLOCK,
            seen.gradients + plan.steps * len(state.z),
            seen.lost + jnp.sum(~(gain > -MOST_LOST)).astype(jnp.int32),
        )
