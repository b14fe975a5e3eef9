"""Functions of NumPyro, JAX, NumPy and Python that somebody's code replaces: noticed, named and put back.

Whoever replaces ``Normal.log_prob`` or ``jax.numpy.exp`` changes the numbers of everybody after it.  Public functions
are compared with those of the beginning of the run, the very objects and their code, and so are the methods of
NumPyro's classes.  What JAX has traced meanwhile is forgotten.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, ModuleType
from typing import Any

#: Modules whose public functions count, where they are loaded.
MODULES = (
    *("builtins", "math", "os", "os.path", "random", "time"),
    *("numpy", "numpy.linalg", "numpy.random"),
    *("jax", "jax.lax", "jax.nn", "jax.numpy", "jax.numpy.linalg", "jax.random", "jax.tree_util"),
    *("jax.scipy.linalg", "jax.scipy.special", "jax.scipy.stats"),
    *("numpyro", "numpyro.distributions", "numpyro.distributions.constraints", "numpyro.distributions.transforms"),
    *("numpyro.distributions.util", "numpyro.handlers", "numpyro.infer", "numpyro.infer.autoguide"),
    *("numpyro.infer.elbo", "numpyro.infer.svi", "numpyro.infer.util", "numpyro.primitives", "numpyro.util"),
    "optax",
)

#: What NumPyro replaces itself, and leaves replaced: ``plate``, whenever a discrete site is summed out.
ITS_OWN = frozenset({("numpyro.primitives.plate", "__new__")})

#: So many are named of those that were replaced.
MOST_NAMED = 3

_ABSENT = object()


class _Originals:
    """The functions as they were when they were first seen."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, str], tuple[Any, CodeType | None]] = {}
        self._seen: set[str] = set()
        self.look()

    def look(self) -> None:
        """Note the functions of modules that have been loaded since."""
        for name in MODULES:
            module = sys.modules.get(name)
            if (
                module is None
                or name in self._seen
                or getattr(getattr(module, "__spec__", None), "_initializing", False)
            ):
                continue
            self._seen.add(name)
            for holder, attribute, value in _functions(module):
                self._known[holder, attribute] = value, getattr(value, "__code__", None)

    def put_back(self) -> tuple[str, ...]:
        """Put back what was replaced, and return its names."""
        found = []
        for (holder, attribute), (value, code) in self._known.items():
            now = vars(holder).get(attribute, _ABSENT)
            if now is value and getattr(value, "__code__", None) is code:
                continue
            found.append(f"{_called(holder)}.{attribute}")
            if code is not None:
                value.__code__ = code
            setattr(holder, attribute, value)
        if found and (jax := sys.modules.get("jax")) is not None:
            jax.clear_caches()
        self.look()
        return tuple(found)


def _functions(module: ModuleType) -> Iterator[tuple[Any, str, Any]]:
    """Yield the public functions of a module with where they are, and the methods of NumPyro's classes."""
    for name, value in list(vars(module).items()):
        if name.startswith("_") or not callable(value):
            continue
        yield module, name, value
        if isinstance(value, type) and value.__module__.startswith("numpyro."):
            for part, method in list(vars(value).items()):
                if (f"{value.__module__}.{value.__qualname__}", part) in ITS_OWN:
                    continue
                if callable(method) or isinstance(method, (property, classmethod, staticmethod)):
                    yield value, part, method


def _called(holder: Any) -> str:
    return holder.__name__ if isinstance(holder, ModuleType) else f"{holder.__module__}.{holder.__qualname__}"


_originals: _Originals | None = None


class ReplacedError(Exception):
    """Somebody's code has replaced functions that are not its own."""


@contextmanager
def watched() -> Iterator[None]:
    """Compare with what is there now until the block is left; inside of another such block, with that one's."""
    global _originals  # noqa: PLW0603 - of the process
    outer = _originals
    if outer is None:
        _originals = _Originals()
    else:
        outer.look()
    try:
        yield
    finally:
        _originals = outer


def put_back() -> None:
    """Put back what was replaced since the beginning.

    Raises
    ------
    ReplacedError
        Where there was anything, with what it was.
    """
    names = () if _originals is None else _originals.put_back()
    if names:
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        verb = "was" if len(names) == 1 else "were"
        raise ReplacedError(f"{', '.join(names[:MOST_NAMED])}{more} {verb} replaced, and put back")
