r"""Draws from the posterior itself, by NUTS: slow, exact in the limit, and believed only where they pass checks.

NumPyro's No-U-Turn sampler runs on the target in standardised coordinates :math:`u = m + F z`, in
float64, with several chains side by side.  Warm-up and sampling are one program that is run again and
again: it is compiled once, sampling can go on where more draws are needed, and Ctrl-C is heard in between.

References
----------
Hoffman & Gelman (2014), The No-U-Turn Sampler, JMLR 15(47).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jaxtyping import Array, Bool, Float, Float64, Int, Key, Shaped
from numpyro.infer import NUTS

from guidebench.inference.coordinates import Affine, apply
from guidebench.inference.device.compiled import compile_for, over_draws
from guidebench.inference.device.jaxprs import inside
from guidebench.inference.device.precision import as_double, double
from guidebench.inference.modes import Landscape
from guidebench.inference.target import Target

#: Steps that one call of the compiled program takes.
BLOCK = 250

#: A start whose local Gaussian has an ELBO this many nats below the best holds no mass that counts.
FAR = 10.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How long NUTS runs; `warmup` and `draws` are multiples of :data:`BLOCK`.

    Attributes
    ----------
    chains : int
        Chains side by side.
    warmup, draws : int
        Steps per chain that adapt, and that are kept in the first round.
    doublings : int
        How often the number of draws may be doubled after that.
    accept : float
        Mean acceptance probability that step sizes are adapted to.
    """

    chains: int = 4
    warmup: int = 1_000
    draws: int = 1_000
    doublings: int = 2
    accept: float = 0.9


class Chains(NamedTuple):
    """Draws by latent site, shape ``(chain, draw, ...)``, and which of them ended a diverging path.

    `gradients` counts the leapfrog steps of all chains from the very beginning, warm-up included, and the gradients
    where they began.
    """

    draws: dict[str, Shaped[np.ndarray, "C T ..."]]
    diverging: Bool[np.ndarray, "C T"]
    gradients: int = 0


class Places(NamedTuple):
    """Unconstrained points, one per chain, and noise that may be added to them, both of shape ``(chains, D)``."""

    centres: Float64[np.ndarray, "C D"]
    noise: Float64[np.ndarray, "C D"]


def chain_starts(landscape: Landscape | None, points: Float[np.ndarray, "R D"], chains: int, seed: int) -> Places:
    """Return where chains start: as far apart as what is known of the target allows.

    With several modes the chains take turns at them, so that modes between which NUTS does not travel
    show up as chains that disagree.  With one they start in the local Gaussians that a search found from
    different places, or in the best of all where these are far worse, and without any at the `points` themselves; the
    noise is of that scale.
    """
    found: list[tuple[np.ndarray, np.ndarray]] = [(point, np.ones_like(point)) for point in points]
    if landscape is not None and landscape.best is not None:
        local = [one for one in (*landscape.local, landscape.best) if one is not None]
        least = max(one.elbo for one in local) - FAR
        found = [(one.mean, one.factor) for one in local if one.elbo > least]
    if landscape is not None and len(landscape.modes) > 1:
        found = [(mode.location, mode.factor) for mode in landscape.modes]
    turns = [found[index % len(found)] for index in range(chains)]
    noise = np.random.default_rng(seed).uniform(-1, 1, (chains, points.shape[1]))
    return Places(
        centres=np.stack([centre for centre, _ in turns]),
        noise=np.stack(
            [factor @ one if factor.ndim == 2 else factor * one for one, (_, factor) in zip(noise, turns, strict=True)]
        ),
    )


def rounds(
    target: Target,
    values: Mapping[str, Any],
    affine: Affine,
    starts: Places,
    seed: int,
    settings: Settings,
    on_steps: Callable[[int, int], None] = lambda done, total: None,
    enough: Callable[[int], bool] = lambda gradients: False,
) -> Iterator[Chains]:
    """Yield the chains after the first round, and after each doubling that is asked for.

    Parameters
    ----------
    target : Target
        The posterior.
    values : mapping
        The traced arguments in the precision they were given in.
    affine : Affine
        Standardises the unconstrained coordinates.
    starts : Places
        Where the chains start; noise that leads out of the support is left out.
    seed : int
        Of all random numbers.
    settings : Settings
        How long to run.
    on_steps : callable, optional
        Is told how many steps of the round are done, and of how many.
    enough : callable, optional
        Is told before every block how many gradients were taken, and says whether there are to be no more.
    """
    programs = _Programs(target, values, affine, starts, seed, settings)
    found: list[Chains] = []
    spent = programs.begun
    for number in range(settings.doublings + 1):
        new = settings.draws if number == 0 else settings.draws * 2 ** (number - 1)
        skipped = settings.warmup if number == 0 else 0
        for done in range(0, skipped + new, BLOCK):
            on_steps(done, skipped + new)
            if enough(spent):
                return
            block = programs.advance()
            spent += block.gradients
            if done >= skipped:
                found.append(block)
        yield _joined(found, target)._replace(gradients=spent)


def _joined(blocks: list[Chains], target: Target) -> Chains:
    return Chains(
        draws={name: np.concatenate([one.draws[name] for one in blocks], axis=1) for name in target.shapes},
        diverging=np.concatenate([one.diverging for one in blocks], axis=1),
    )


class _Programs:
    """The compiled pieces of a sampler and the state it is in, in float64."""

    def __init__(
        self,
        target: Target,
        values: Mapping[str, Any],
        affine: Affine,
        starts: Places,
        seed: int,
        settings: Settings,
    ) -> None:
        size = target.arguments.size() + target.dim

        def kernel(traced: Mapping[str, Any]) -> NUTS:
            def potential(z: Float[Array, " D"]) -> Float[Array, ""]:
                point, _ = apply(traced["center"], traced["factor"], z)  # its Jacobian is a constant
                return -target.log_density(point, traced["data"])

            return NUTS(potential_fn=potential, target_accept_prob=settings.accept)

        def begin(keys: Key[Array, " C"], z: Float[Array, "C D"], traced: Mapping[str, Any]) -> Any:
            return kernel(traced).init(keys, settings.warmup, z, (), {})

        def block(
            state: Any, keys: Key[Array, " C"], traced: Mapping[str, Any]
        ) -> tuple[Any, Any, Bool[Array, "C T"], Int[Array, ""]]:
            sampler = kernel(traced)
            sampler.init(keys, settings.warmup, state.z, (), {})  # makes its step; XLA drops what it computes

            def step(
                state: Any, _: None
            ) -> tuple[Any, tuple[Float[Array, "C D"], Bool[Array, " C"], Int[Array, " C"]]]:
                state = sampler.sample(state, (), {})
                return state, (state.z, state.diverging, state.num_steps)

            def latents(z: Float[Array, " D"]) -> dict[str, Array]:
                point, _ = apply(traced["center"], traced["factor"], z)
                return target.constrain(point, traced["data"])[0]

            state, (z, diverging, steps) = jax.lax.scan(step, state, None, length=BLOCK)
            sites = over_draws(latents, z.reshape(-1, z.shape[-1]), size)
            by_chain = {
                name: jnp.swapaxes(value.reshape(*z.shape[:2], *value.shape[1:]), 0, 1) for name, value in sites.items()
            }
            return state, by_chain, diverging.T, jnp.sum(steps)

        with double():
            traced = {"data": as_double(dict(values)), "center": affine.center, "factor": affine.factor}
            self._traced = jax.tree.map(jnp.asarray, traced)
            self._keys = jax.random.split(jax.random.key(seed), len(starts.centres))
            z = affine.inverse(starts.centres + starts.noise)
            start = compile_for(begin, self._keys, z, self._traced, level=0)
            state = start(self._keys, z, self._traced)
            #: Gradients where chains began.
            self.begun = len(z)
            lost = ~np.isfinite(np.column_stack([state.potential_energy, state.z_grad])).all(axis=1)
            if lost.any():
                z[lost] = affine.inverse(starts.centres)[lost]
                state = start(self._keys, z, self._traced)
                self.begun += len(z)
            self._state = state
            self._block = compile_for(block, state, self._keys, self._traced, level=1)

    def advance(self) -> Chains:
        """Take one block of steps."""
        with double():
            self._state, *found = self._block(self._state, self._keys, self._traced)
            draws, diverging, steps = jax.device_get(tuple(found))
            return Chains(draws, diverging, int(steps))


def fingerprint(target: Target, values: Mapping[str, Any]) -> str | None:
    """Return a text that two targets share only if they are the same function of the same data.

    It is made of the target's program, so it does not depend on names, on the order of hashing or on
    where the model was written down.  A model that calls back into Python has none: what it calls is not
    in its program.

    Parameters
    ----------
    target : Target
        The posterior.
    values : mapping
        Its traced arguments.
    """
    with double():
        traced = as_double(dict(values))
        program = jax.make_jaxpr(target.log_density)(np.zeros(target.dim), traced)
        text = re.sub(r"0x[0-9a-f]+", "", str(program))
        if "callback" in text:
            return None
        digest = hashlib.sha256(f"{list(target.shapes.items())}\n{text}".encode())
        for value in (*_constants(program), *(traced[name] for name in sorted(traced))):
            array = _plain(value)
            digest.update(f"\n{array.shape} {array.dtype}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _constants(program: ClosedJaxpr | Jaxpr) -> Iterator[Any]:
    """Yield what a program holds in numbers, those of the programs inside it included: their text leaves them out."""
    if isinstance(program, ClosedJaxpr):
        yield from program.consts
        program = program.jaxpr
    for equation in program.eqns:
        yield from (one.val for one in equation.invars if isinstance(one, Literal))
        for part in inside(equation):
            if isinstance(part, (ClosedJaxpr, Jaxpr)):
                yield from _constants(part)
            elif isinstance(part, (np.ndarray, jax.Array)):
                yield part


def _plain(value: Any) -> np.ndarray:
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    return np.asarray(value)
