"""How a task and what it comes to travel from process to process.

What travels is pickled by cloudpickle, over a pipe or a cluster's own connections, and never written to a file.

* What an installed plugin has declared travels as its name: the other process looks it up among its own plugins.
* A function from a module of the user's, ``FILE.py`` or a module beside the working directory, travels by place and
  digest: the other process imports it from the same place, and says so where it finds another text there.
* What was written down in a notebook or a script travels by value.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import cloudpickle
import jax
import jax.numpy as jnp

from guidebench.engine.executors.places import Place, TravelError, place_of, settle
from guidebench.inference.device import precision
from guidebench.plugins.isolation.failures import LOCAL, reason
from guidebench.plugins.registry import Registered, Registry
from guidebench.request.find_plugins import find_plugins
from guidebench.request.own_guides import YOURS


class Packed(NamedTuple):
    """Something that is ready to travel: the modules of the user's that it names, and the rest."""

    places: tuple[Place, ...]
    data: bytes


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.places: dict[str, Place] = {}

    def persistent_id(self, obj: Any) -> tuple[str, str, str, str] | None:
        """Return what stands for the declaration of an installed plugin."""
        if isinstance(obj, Registered) and obj.distribution not in (YOURS, LOCAL):
            return type(obj.declaration).__name__, obj.name, obj.plugin, obj.distribution
        return None

    def reducer_override(self, obj: Any) -> Any:
        """Note the modules that are named, and say how arrays of JAX's are made again.

        A typed random key JAX does not pickle, and a float64 it would make a float32 where the other thread or process
        has no float64 of its own.
        """
        if isinstance(obj, ModuleType):
            self._note(obj)
        elif isinstance(module := getattr(obj, "__module__", None), str):
            self._note(sys.modules.get(module))
        if isinstance(obj, jax.Array):
            if jnp.issubdtype(obj.dtype, jax.dtypes.prng_key):
                return _key, (str(jax.random.key_impl(obj)), jax.device_get(jax.random.key_data(obj)))
            return _array, obj.__reduce__()
        return super().reducer_override(obj)

    def _note(self, module: ModuleType | None) -> None:
        if module is not None and module.__name__ not in self.places and (place := place_of(module)) is not None:
            self.places[module.__name__] = place


def _key(implementation: str, data: Any) -> jax.Array:
    found: jax.Array = jax.random.wrap_key_data(jnp.asarray(data), impl=implementation)
    return found


def _array(make: Callable[..., jax.Array], arguments: tuple[Any, ...]) -> jax.Array:
    with precision.double():
        return make(*arguments)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, *, no_plugins: bool) -> None:
        super().__init__(file)
        self._no_plugins = no_plugins

    def persistent_load(self, pid: tuple[str, str, str, str]) -> Registered[Any]:
        """Return the declaration of an installed plugin that a name stands for here."""
        kind, name, plugin, distribution = pid
        registry = find_plugins(no_plugins=self._no_plugins, running=True)
        for one in _declared(registry):
            found = type(one.declaration).__name__, one.name, one.plugin, one.distribution
            if found == pid:
                return one
        why = "".join(f"; {one}" for one in registry.broken if one.distribution == distribution)
        raise TravelError(
            f"the process that ran the task has no {kind.lower()} {name!r} of plugin {plugin!r} ({distribution}); "
            f"it has to be installed there, too{why}"
        )


def _declared(registry: Registry) -> tuple[Registered[Any], ...]:
    return (*registry.guides, *registry.problems, *registry.metrics, *registry.sections, *registry.disputed)


def pack(value: Any) -> Packed:
    """Return something ready to travel.

    Raises
    ------
    TravelError
        Where a part of it cannot.
    """
    file = io.BytesIO()
    pickler = _Pickler(file)
    try:
        pickler.dump(value)
    except Exception as error:
        raise TravelError(f"it cannot be sent to another process: {reason(error)}") from error
    return Packed(tuple(pickler.places.values()), file.getvalue())


def unpack(packed: Packed, *, no_plugins: bool = False) -> Any:
    """Return what has travelled.

    Raises
    ------
    TravelError
        Where something that it names is not here, or is another thing here.
    """
    for place in packed.places:
        settle(place)
    try:
        return _Unpickler(io.BytesIO(packed.data), no_plugins=no_plugins).load()
    except (ImportError, AttributeError) as error:
        raise TravelError(f"what it needs is not there where the task ran: {error}") from error
