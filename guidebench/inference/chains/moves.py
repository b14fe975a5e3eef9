r"""The compiled program of the chains: Hamiltonian Monte Carlo with one step size for all of them.

With a whitening :math:`u = m + F z` a transition draws a momentum :math:`p \sim \mathrm{N}(0, I)` for every chain,
follows Hamilton's equations for the density of z by n leapfrog steps of size :math:`\epsilon` and accepts the end
with probability :math:`\min(1, e^{-\Delta H})`.  The length :math:`n \epsilon` is drawn anew for every transition, the
same for all chains; :math:`\log \epsilon` moves with the mean acceptance of all chains.  Of many dimensions, halves of
the chains move in two threads: within a block each by its own acceptance, after it by the mean of both.

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

from guidebench.inference.chains.whitening import PROBES, Whitening, forward, plain
from guidebench.inference.coordinates import Affine
from guidebench.inference.derivatives import hessian_product
from guidebench.inference.device.compiled import compile_for, level_for, over_draws
from guidebench.inference.device.precision import double
from guidebench.inference.modes import in_double

#: Chains side by side.
CHAINS = 256

#: Transitions of one call of the program.
BLOCK = 2

#: Shortest and longest trajectory, in standard deviations of the whitening, and the most leapfrog steps of one.  Along
#: one of length t a Gaussian of that scale keeps cos(t) of where it was, and cos(t)^2 of its square: on average over
#: these lengths -.03 and .11, so that its draws are all but independent.
SHORTEST, LONGEST = 1.0, 2.2
MOST_STEPS = 48

#: Energy, in nats, that a path may lose: one that loses more has met what is too narrow for its steps.
MOST_LOST = 10.0

#: One transition in so many goes as many steps of a quarter of the size, for chains that are stuck where the posterior
#: is narrow.
CAREFUL = 8

#: Dimensions up to which the whitening is a full matrix.
MOST_DENSE = 100

#: Parts that chains of more dimensions are advanced in on a CPU, each in a thread: with one, XLA hardly uses a second
#: core.
PARTS = 2

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
    """The program of one target, in float64.

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
        #: Compiled where a whitening asks for it.
        self._curved: Callable[..., Any] | None = None
        with double():
            self._data = jax.tree.map(jnp.asarray, dict(in_double(target, values)))
            target.record(self._data)
            point = jnp.zeros(target.dim)
            shapes = jax.eval_shape(lambda flat, data: target.constrain(flat, data)[0], point, self._data)
            self.sizes = {name: int(np.prod(shapes[name].shape)) for name in target.shapes}
            self.shapes = {name: tuple(shapes[name].shape) for name in target.shapes}
            level = min(level_for(target.evaluated + target.dim), 1)
            self._begin = compile_for(self._first, self._like(), self._traced_like(), level=level)
            state = self._begin(self._like(), self._traced_like())
            part = _part(state, 0, CHAINS // self.parts)
            self._advance = compile_for(
                self._block, part, jax.random.key(0), np.int32(0), self._traced_like(), level=level
            )
            self._look = compile_for(self._quantities, state, self._traced_like(), level=0)

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
            return state._replace(log_step=jnp.log(jnp.asarray(step)))

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
            return {"data": self._data, **jax.tree.map(jnp.asarray, given)}

    def advance(self, state: State, key: Key[Array, ""], traced: Mapping[str, Any]) -> tuple[State, Watched]:
        """Take the transitions of one block; parts have momenta of their own, and share lengths and the step size."""
        if self.parts == 1:
            return self._advanced(state, key, 0, traced)
        size = CHAINS // self.parts
        parts = [_part(state, at, at + size) for at in range(0, CHAINS, size)]
        with ThreadPoolExecutor(self.parts) as pool:
            ended = list(
                pool.map(lambda number, part: self._advanced(part, key, number, traced), range(self.parts), parts)
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

    def _advanced(
        self, state: State, key: Key[Array, ""], number: int, traced: Mapping[str, Any]
    ) -> tuple[State, Watched]:
        with double():  # of this thread
            found: tuple[State, Watched] = self._advance(state, key, np.int32(number), dict(traced))
            return found if self.parts == 1 else jax.device_get(found)

    def unconstrained(self, state: State, whitening: Whitening) -> Float64[np.ndarray, "C D"]:
        """Return where chains are, in unconstrained coordinates."""
        return whitening.forward(np.asarray(state.z))

    def curvature(
        self, points: Float64[np.ndarray, "P D"], scales: Float64[np.ndarray, " D"]
    ) -> Callable[[Float64[np.ndarray, " D"]], Float64[np.ndarray, " D"]]:
        """Return the product of a vector with the mean of minus the Hessian over points, in units of `scales`."""
        with double():
            chosen = jnp.asarray(points[np.linspace(0, len(points) - 1, PROBES).astype(int)])
            if self._curved is None:
                self._curved = compile_for(self._turned, chosen, chosen[0], self._data, level=1)
        program = self._curved

        def product(vector: Float64[np.ndarray, " D"]) -> Float64[np.ndarray, " D"]:
            with double():
                turned = np.asarray(program(chosen, jnp.asarray(scales * vector), self._data))
            return np.asarray(turned * scales)

        return product

    def watched(self, state: State, whitening: Whitening) -> Float64[np.ndarray, "C K"]:
        """Return the quantities where chains are, in their own units."""
        with double():
            return np.asarray(self._look(state, self.traced(whitening)))

    def _like(self) -> Float[Array, "C D"]:
        return jnp.zeros((CHAINS, self.target.dim))

    def _traced_like(self) -> dict[str, Any]:
        dim = self.target.dim
        return self.traced(plain(Affine(center=np.zeros(dim), factor=np.eye(dim) if self.dense else np.ones(dim))))

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
            state, seen = carry
            state, acceptance, steps, lost = self._transition(state, key, number, traced)
            now = self._quantities(state, traced)
            return (
                state,
                Watched(
                    seen.sums + now,
                    seen.squares + now**2,
                    now,
                    seen.acceptance + acceptance / BLOCK,
                    seen.gradients + steps * len(state.z),
                    seen.lost + lost,
                ),
            ), None

        empty = jnp.zeros((len(state.z), self.quantities))
        none = jnp.zeros((), jnp.int32)
        nothing = Watched(empty, empty, empty, jnp.zeros(()), none, none)
        (state, seen), _ = jax.lax.scan(move, (state, nothing), jax.random.split(key, BLOCK))
        return state, seen

    def _transition(
        self, state: State, key: Key[Array, ""], number: Int[Array, ""], traced: Mapping[str, Any]
    ) -> tuple[State, Float[Array, ""], Int[Array, ""], Int[Array, ""]]:
        for_momentum, for_length, for_accepting, for_care = jax.random.split(key, 4)
        if self.parts > 1:
            for_momentum, for_accepting = (jax.random.fold_in(one, number) for one in (for_momentum, for_accepting))
        careful = jax.random.uniform(for_care) < 1 / CAREFUL
        length = jax.random.uniform(for_length, minval=SHORTEST, maxval=LONGEST)
        count = jnp.clip(jnp.ceil(length / jnp.exp(state.log_step)), 1, MOST_STEPS).astype(jnp.int32)
        step = jnp.exp(state.log_step) * jnp.where(careful, 0.25, 1.0)
        momentum = jax.random.normal(for_momentum, state.z.shape)

        def leap(_: Any, point: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
            z, p, _, gradient = point
            p = p + step / 2 * gradient
            z = z + step * p
            value, gradient = self._slopes(z, traced)
            return z, p + step / 2 * gradient, value, gradient

        start = state.z, momentum, state.log_density, state.gradient
        z, p, value, gradient = jax.lax.fori_loop(0, count, leap, start)
        gain = value - state.log_density - (jnp.sum(p**2, axis=1) - jnp.sum(momentum**2, axis=1)) / 2
        probability = jnp.where(jnp.isfinite(gain), jnp.exp(jnp.minimum(gain, 0.0)), jnp.where(gain > 0, 1.0, 0.0))
        taken = jax.random.uniform(for_accepting, probability.shape) < probability
        acceptance = jnp.mean(probability)
        rate = jnp.where(careful, 0.0, jnp.maximum(1.0 / jnp.sqrt(1.0 + state.taken), 0.1))
        return (
            State(
                jnp.where(taken[:, None], z, state.z),
                jnp.where(taken, value, state.log_density),
                jnp.where(taken[:, None], gradient, state.gradient),
                state.log_step + rate * (acceptance - traced["accept"]),
                state.taken + jnp.where(careful, 0, 1).astype(jnp.int32),
            ),
            acceptance,
            count,
            jnp.sum(~(gain > -MOST_LOST)).astype(jnp.int32),
        )


def _part(state: State, begin: int, end: int) -> State:
    """Return the state of some of the chains, on the host."""
    own = [np.asarray(value)[begin:end] for value in (state.z, state.log_density, state.gradient)]
    return State(own[0], own[1], own[2], state.log_step, state.taken)  # type: ignore[arg-type]  # programs take them


def _over(function: Callable[[list[Any]], Any], parts: list[Any]) -> Any:
    """Return what is known of all chains, on the host, from what is known of parts of them."""
    return np.asarray(function(parts))
