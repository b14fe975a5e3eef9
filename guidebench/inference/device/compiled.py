"""Compilation, tuned to how often a program will run.

The programs here are small and run for milliseconds, while XLA takes seconds to optimise them.  On
the CPU a program that runs once is therefore compiled without optimisation.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr
from jaxtyping import Array, Key

from guidebench.config.cores import cores
from guidebench.inference.device.jaxprs import steps

#: Numbers of data and latents up to which a program is not worth optimising, and from which on it is worth all of it.
TINY, LARGE = 200, 10_000

#: Numbers held at a time while mapping over draws: what memory takes, and on the CPU what its caches hold.  There, as
#: many draws as that at a time are two to four times as quick as all at once; but so many of them at least, to share
#: what is the same for all.
BATCH_VALUES = 20_000_000
CACHED_VALUES = 250_000
LEAST_AT_ONCE = 32

#: Numbers that a program looks up at a time to be one of lookups, and by how much matrices may be larger.
MANY_LOOKUPS, MATRICES = 1_000, 10

#: Programs that are compiled side by side, at most.
MOST_COMPILED = 4

#: XLA's option for the way in which it fuses loops on a CPU.
_EMITTERS = "xla_cpu_use_fusion_emitters"


def over_draws(function: Callable[..., Any], draws: Any, values_per_draw: int) -> Any:
    """Map `function` over the leading axis of `draws`, as many at a time as fit in bounded memory, and are quick."""
    count = len(jax.tree.leaves(draws)[0])
    batch = at_once(count, max(values_per_draw, 1))
    return jax.vmap(function)(draws) if batch >= count else jax.lax.map(function, draws, batch_size=batch)


def at_once(count: int, values: int) -> int:
    """Return how many of so many draws, of so many values each, are computed at a time."""
    most = BATCH_VALUES // values
    if jax.default_backend() == "cpu":
        most = min(most, max(CACHED_VALUES // values, LEAST_AT_ONCE))
    most = min(max(most, 1), count)
    # Where none are left over, no second program is compiled for them.
    return next((one for one in range(most, most // 2, -1) if count % one == 0), most)


def level_for(numbers: int) -> int:
    """Return the optimisation level of a program that runs hundreds of times on so many numbers each time."""
    return 0 if numbers <= TINY else 1 if numbers < LARGE else 3


def level_for_few(numbers: int) -> int:
    """Return the optimisation level of a program that runs only some times on so many numbers each time."""
    return 0 if numbers < LARGE else 1


def options(level: int, *, plain: bool = False) -> dict[str, Any] | None:
    """Return the compiler options of an LLVM optimisation level (CPU only), with XLA's emitters or `plain` without.

    What is not to be optimised is not fused by emitters either, without which it is compiled in half the time.
    """
    if jax.default_backend() != "cpu":
        return None
    without = {_EMITTERS: False} if (plain or level == 0) and _knows(_EMITTERS) else {}
    return {"xla_backend_optimization_level": level, **without}


@cache
def _knows(option: str) -> bool:
    """Return whether this XLA has a compiler option, which comes and goes with its versions."""
    try:
        jax.jit(lambda: 0).lower().compile(compiler_options={option: False})
    except jax.errors.JaxRuntimeError:
        return False
    return True


def compile_for(function: Callable[..., Any], *args: Any, level: int) -> Callable[..., Any]:
    """Return `function` compiled for arguments like `args` at LLVM optimisation `level` (CPU only)."""
    return jax.jit(function).lower(*args).compile(compiler_options=options(level))


def values_soon(function: Callable[..., Any], *args: Any, level: int) -> Soon:
    """Return what :func:`soon` returns, for a program of densities without their slopes.

    XLA's emitters do not vectorise a loop that looks up what was computed, as the effect of each row's group: without
    them a density is three to six times as quick.  One whose matrix products are larger than its lookups is as many
    times slower.
    """
    traced = jax.jit(function).trace(*args)
    return _in_a_thread(traced, options(level, plain=mostly_looked_up(traced.jaxpr)))


def mostly_looked_up(program: ClosedJaxpr) -> bool:
    """Return whether a jaxpr looks up many numbers, and multiplies no matrix that is large beside them."""
    looked_up, multiplied = 0, 0
    for step in steps(program):
        if step.primitive.name == "gather":
            looked_up = max(looked_up, step.outvars[0].aval.size)
        elif step.primitive.name == "dot_general":
            multiplied = max(multiplied, *(one.aval.size for one in step.invars))
    return looked_up >= MANY_LOOKUPS and multiplied <= MATRICES * looked_up


@dataclass(frozen=True, kw_only=True)
class Soon:
    """A program that a thread compiles while Python goes on; whoever calls it, or asks for it, waits.

    Attributes
    ----------
    compiling : Future
        The compiled program, once it is there.
    shapes : pytree of jax.ShapeDtypeStruct
        What it returns, known before it is compiled: another program can be traced with that as its argument.
    """

    compiling: Future[Any]
    shapes: Any

    def __call__(self, *given: Any) -> Any:
        """Run it."""
        return self.wait()(*given)

    def wait(self) -> Callable[..., Any]:
        """Return the compiled program, once it is there."""
        try:
            program: Callable[..., Any] = self.compiling.result()
        except BaseException:
            # Out of time, or interrupted: nobody who comes after shall wait for what nobody wants any more.
            if not (self.compiling.done() or self.compiling.cancel()):
                _compiling.cache_clear()
            raise
        return program


def soon(function: Callable[..., Any], *args: Any, level: int) -> Soon:
    """Return what :func:`compile_for` returns, traced now and compiled in a thread.

    The arguments may be shapes: nothing is run.
    """
    return _in_a_thread(jax.jit(function).trace(*args), options(level))


def _in_a_thread(traced: Any, how: dict[str, Any] | None) -> Soon:
    compiling = _compiling().submit(traced.lower().compile, compiler_options=how)
    found, structure = jax.tree.flatten(traced.out_info)
    shapes = [
        jax.ShapeDtypeStruct(one.shape, one.dtype, weak_type=kind.weak_type)
        for one, kind in zip(found, traced.jaxpr.out_avals, strict=True)
    ]
    return Soon(compiling=compiling, shapes=jax.tree.unflatten(structure, shapes))


@cache
def _compiling() -> ThreadPoolExecutor:
    """Return the threads that compile: XLA holds up no other thread of Python while it does."""
    return ThreadPoolExecutor(min(max(cores(), 2), MOST_COMPILED), thread_name_prefix="compile")


def once(function: Callable[..., Any], *args: Any) -> Any:
    """Compile `function` cheaply, run it on `args` and wait for the result."""
    return jax.block_until_ready(compile_for(function, *args, level=0)(*args))


def split(key: Key[Array, ""], count: int) -> Key[Array, " S"]:
    """Return what ``jax.random.split`` returns, by a program that is compiled in less than half the time."""
    keys: Key[Array, " S"] = _splitting()(key, count)
    return keys


@cache
def _splitting() -> Callable[..., Any]:
    """Return the program that splits keys; what runs for microseconds is not worth optimising."""
    return jax.jit(jax.random.split, static_argnums=1, compiler_options=options(0))
