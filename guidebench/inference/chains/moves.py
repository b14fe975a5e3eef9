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
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Int, Key

from guidebench.inference.chains.path import BLOCK, Keys, Path, Plan, followed, gained, planned
from guidebench.inference.chains.single import InSingle
from guidebench.inference.chains.whitening import PROBES, Whitening, forward, plain
from guidebench.inference.coordinates import Affine
from guidebench.inference.derivatives import hessian_product
from guidebench.inference.device.compiled import level_for, level_for_few, over_draws, soon
from guidebench.inference.device.precision import double, doubled
from guidebench.inference.modes import in_double

#: Chains side by side.
CHAINS = 256

#: Energy, in nats, that a path may lose: one that loses more has met what is too narrow for its steps.
MOST_LOST = 10.0

#: Dimensions up to which the whitening is a full matrix.
MOST_DENSE = 100

#: Parts that chains of more dimensions are advanced in on a CPU, each in a thread: with one, XLA hardly uses a second
#: core.
PARTS = 2

#: Length of the difference between whitened slopes in single and in double precision, at most, for paths to go by the
#: former: along a path, about two standard deviations long, it is about what energies are off by, in nats.
SLOPES_APART = 0.05

#: Dimensions up to which the unconstrained coordinates are watched beside the sites.
MOST_WATCHED = 1_000


class State(NamedTuple):
    """Where chains are, in whitened coordinates, with density and gradient there, and the step size of all."""

    z: Float[Array, "C D"]
    log_density: Float[Array, " C"]
    gradient: Float[Array, "C D"]
    log_step: Float[Array, ""]
    taken: Int[Array, ""]


class Watched(NamedTuple):
    """Per chain, the sums of every quantity, and of its square, over the transitions of a block.

    Quantities are in units of the guide's own moments.  `acceptance` is the mean of the block, and `gradients`
    counts those of all chains; `lost` counts the paths that lost more energy than :data:`MOST_LOST`.
    """

    sums: Float[Array, "C K"]
    squares: Float[Array, "C K"]
    last: Float[Array, "C K"]
    acceptance: Float[Array, ""]
    gradients: Int[Array, ""]
    lost: Int[Array, ""]


class Given(NamedTuple):
    """The arguments of the programs, and those of paths in single precision where these are to be taken."""

    in_double: dict[str, Any]
    in_single: dict[str, Any] | None


@runtime_checkable
class Posterior(Protocol):
    """What chains need of a :class:`~guidebench.inference.target.Target`."""

    @property
    def dim(self) -> int:
        """Number of coordinates, D."""

    @property
    def evaluated(self) -> int:
        """Numbers of the data that one evaluation holds at a time."""

    @property
    def rows(self) -> int:
        """Elements of the main plate that are evaluated at a time; 0 for all."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Unconstrained shape of every latent site."""

    @property
    def many(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every latent site's own values, where there are many of them."""

    def record(self, traced: Mapping[str, Any]) -> None:
        """Trace the model once."""

    def log_density(self, flat: Float[Array, " D"], traced: Mapping[str, Any]) -> Float[Array, ""]:
        """Return the log density of the coordinates at one point, in nats."""

    def constrain(
        self, flat: Float[Array, " D"], traced: Mapping[str, Any]
    ) -> tuple[dict[str, Array], Float[Array, ""]]:
        """Return the values of the latent sites at one point, and the log Jacobian of the map."""

    def packed(
        self, flat: Float[Array, " D"], traced: Mapping[str, Any]
    ) -> tuple[Float[Array, " N"], Float[Array, ""]]:
        """Return the same of many latent sites in one vector."""


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
        self.target, self.dense = target, target.dim <= MOST_DENSE
        self.parts = 1 if self.dense or jax.default_backend() != "cpu" else PARTS
        self.watches_u = watches_u and target.dim <= MOST_WATCHED
        self._level = min(level_for(target.evaluated + target.dim), 1)
        self._single = None if self.dense or doubled() else self._in_single(values)
        with double():
            self._data = jax.tree.map(jnp.asarray, dict(in_double(target, values)))
            target.record(self._data)
            shapes = jax.eval_shape(lambda flat, data: target.constrain(flat, data)[0], self._like()[0], self._data)
            self.sizes = {name: int(np.prod(shapes[name].shape)) for name in target.shapes}
            self.shapes = {name: tuple(shapes[name].shape) for name in target.shapes}
            like, traced = self._like(), self.traced(self._plain())
            few = min(level_for_few(target.evaluated + target.dim), self._level)
            self._begin = soon(self._first, like, traced, level=few)
            #: The program of a block in double precision, made by :meth:`given` where it turns out to be needed beside
            #: the one that decides about paths in single precision.
            self._advance = self._advancing() if self._single is None else None
            self._end = None if self._single is None else self._ending(self._single)
            if not self.dense:
                points = like[:PROBES]
                self._curved = soon(self._turned, points, points[0], self._data, level=few)
            self._look = soon(self._quantities, self._state_like(CHAINS), traced, level=0)

    def _in_single(self, values: Mapping[str, Any]) -> InSingle:
        self.target.record(values)
        like = np.zeros((CHAINS // self.parts, self.target.dim), np.float32)
        return InSingle(self._slopes, values, self._plain(), like, parted=self.parts > 1, level=self._level)

    def _advancing(self) -> Callable[..., Any]:
        """Return the program of a block in double precision."""
        with double():
            like, key = self._state_like(CHAINS // self.parts), jax.eval_shape(jax.random.key, 0)
            return soon(self._block, like, key, np.int32(0), self.traced(self._plain()), level=self._level)

    def _ending(self, single: InSingle) -> Callable[..., Any]:
        """Return the program that decides about paths in single precision."""
        size, key, number = CHAINS // self.parts, jax.eval_shape(jax.random.key, 0), np.int32(0)
        with double():
            like = self._state_like(size), self._nothing(size), single.like, single.plan_like
            return soon(self._ended, *like, key, number, self.traced(self._plain()), level=self._level)

    @property
    def quantities(self) -> int:
        """How many quantities are watched: every component of every site, the log density, the coordinates."""
        return sum(self.sizes.values()) + 1 + (self.target.dim if self.watches_u else 0)

    def site_of(self, quantity: int) -> str:
        """Return the latent site that a quantity belongs to, or nothing for the log density."""
        sites = [name for name, size in self.sizes.items() for _ in range(size)]
        free = [name for name, shape in self.target.shapes.items() for _ in range(int(np.prod(shape)))]
        return [*sites, "", *free][quantity]

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
        count = self.quantities
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
        size, traced = CHAINS // self.parts, self._single.traced(whitening)
        parts = [_part(state, at, at + size) for at in range(0, CHAINS, size)]
        return max(self._single.apart(part.z, part.gradient, traced) for part in parts) <= SLOPES_APART

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
        size = CHAINS // self.parts
        parts = [_part(state, at, at + size) for at in range(0, CHAINS, size)]
        with ThreadPoolExecutor(self.parts) as pool:
            ended = list(
                pool.map(lambda number, part: self._advanced(part, key, number, given), range(self.parts), parts)
            )
        states, seen = [one for one, _ in ended], [one for _, one in ended]
        return (
            State(
                _over(np.concatenate, [one.z for one in states]),
                _over(np.concatenate, [one.log_density for one in states]),
                _over(np.concatenate, [one.gradient for one in states]),
                _over(np.mean, [one.log_step for one in states]),
                states[0].taken,
            ),
            Watched(
                _over(np.concatenate, [one.sums for one in seen]),
                _over(np.concatenate, [one.squares for one in seen]),
                _over(np.concatenate, [one.last for one in seen]),
                _over(np.mean, [one.acceptance for one in seen]),
                _over(np.sum, [one.gradients for one in seen]),
                _over(np.sum, [one.lost for one in seen]),
            ),
        )

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
        seen = self._nothing(len(state.z))
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
            return np.asarray(self._look(state, self.traced(whitening)))

    def _like(self) -> Float64[np.ndarray, "C D"]:
        return np.zeros((CHAINS, self.target.dim))

    def _plain(self) -> Whitening:
        dim = self.target.dim
        return plain(Affine(center=np.zeros(dim), factor=np.eye(dim) if self.dense else np.ones(dim)))

    def _state_like(self, size: int) -> State:
        with double():
            z = jax.ShapeDtypeStruct((size, self.target.dim), np.float64)
            value, step = jax.ShapeDtypeStruct((size,), np.float64), jax.ShapeDtypeStruct((), np.float64)
            return State(z, value, z, step, jax.ShapeDtypeStruct((), np.int32))  # type: ignore[arg-type]

    def _nothing(self, size: int) -> Watched:
        """Return what is seen before the first transition of a block."""
        empty, none = np.zeros((size, self.quantities)), np.zeros((), np.int32)
        return Watched(empty, empty, empty, np.zeros(()), none, none)  # type: ignore[arg-type]  # programs take them

    def _density(self, z: Float[Array, " D"], traced: Mapping[str, Any]) -> Float[Array, ""]:
        value = self.target.log_density(forward(z, traced), traced["data"])
        return jnp.where(jnp.isfinite(value), value, -jnp.inf)

    def _turned(
        self, points: Float[Array, "P D"], direction: Float[Array, " D"], data: Mapping[str, Any]
    ) -> Float[Array, " D"]:
        def at(point: Float[Array, " D"]) -> Float[Array, " D"]:
            return hessian_product(self.target, point, direction, data)

        found: Float[Array, "P D"] = over_draws(at, points, self.target.evaluated + self.target.dim)
        return -jnp.mean(found, axis=0)

    def _slopes(
        self, z: Float[Array, "C D"], traced: Mapping[str, Any]
    ) -> tuple[Float[Array, " C"], Float[Array, "C D"]]:
        def one(point: Float[Array, " D"]) -> tuple[Float[Array, ""], Float[Array, " D"]]:
            value, gradient = jax.value_and_grad(self._density)(point, traced)
            return value, jnp.where(jnp.isfinite(gradient), gradient, 0.0)

        found: tuple[Float[Array, " C"], Float[Array, "C D"]] = over_draws(
            one, z, self.target.evaluated + self.target.dim
        )
        return found

    def _first(self, z: Float[Array, "C D"], traced: Mapping[str, Any]) -> State:
        value, gradient = self._slopes(z, traced)
        return State(z, value, gradient, jnp.zeros(()), jnp.zeros((), jnp.int32))

    def _constrained(self, z: Float[Array, "C D"], traced: Mapping[str, Any]) -> Float[Array, "C K"]:
        def one(point: Float[Array, " D"]) -> Float[Array, " K"]:
            u = forward(point, traced)
            if self.target.many:
                parts = [self.target.packed(u, traced["data"])[0]]
            else:
                sites, _ = self.target.constrain(u, traced["data"])
                parts = [jnp.ravel(sites[name]).astype(point.dtype) for name in self.target.shapes]
            coordinates = [u] if self.watches_u else []
            found = jnp.concatenate([*parts, jnp.zeros(1), *coordinates])
            standardised: Float[Array, " K"] = (found - traced["offset"]) / traced["scale"]
            return standardised

        found: Float[Array, "C K"] = over_draws(one, z, self.target.dim)
        return found

    def _quantities(self, state: State, traced: Mapping[str, Any]) -> Float[Array, "C K"]:
        at = sum(self.sizes.values())
        energy = (state.log_density - traced["offset"][at]) / traced["scale"][at]
        watched = self._constrained(state.z, traced)
        return jnp.concatenate([watched[:, :at], energy[:, None], watched[:, at + 1 :]], axis=1)

    def _block(
        self, state: State, key: Key[Array, ""], number: Int[Array, ""], traced: Mapping[str, Any]
    ) -> tuple[State, Watched]:
        def move(carry: tuple[State, Watched], key: Key[Array, ""]) -> tuple[tuple[State, Watched], None]:
            (state, seen), keys = carry, self._keys(key, number)
            plan = planned(state.log_step, keys)
            path = followed(lambda z: self._slopes(z, traced), state.z, state.gradient, plan, keys)
            return self._decided(state, seen, path, plan, keys, traced), None

        nothing = jax.tree.map(jnp.asarray, self._nothing(len(state.z)))
        (state, seen), _ = jax.lax.scan(move, (state, nothing), jax.random.split(key, BLOCK))
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
        size = self.target.evaluated + self.target.dim
        path = path._replace(log_density=over_draws(lambda point: self._density(point, traced), path.z, size))
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
        now = self._quantities(state, traced)
        return state, Watched(
            seen.sums + now,
            seen.squares + now**2,
            now,
            seen.acceptance + acceptance / BLOCK,
            seen.gradients + plan.steps * len(state.z),
            seen.lost + jnp.sum(~(gain > -MOST_LOST)).astype(jnp.int32),
        )


def _part(state: State, begin: int, end: int) -> State:
    """Return the state of some of the chains, on the host."""
    own = [np.asarray(value)[begin:end] for value in (state.z, state.log_density, state.gradient)]
    return State(own[0], own[1], own[2], state.log_step, state.taken)  # type: ignore[arg-type]  # programs take them


def _over(function: Callable[[list[Any]], Any], parts: list[Any]) -> Any:
    """Return what is known of all chains, on the host, from what is known of parts of them."""
    return np.asarray(function(parts))
