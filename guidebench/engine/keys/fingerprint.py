"""Digests of values and of code: two are the same only if what they stand for computes the same.

A function stands for its bytecode, its defaults, what it closes over and, where it is the user's, the
globals that it names, the functions that these are, and so on; an array for its numbers.  What is not
understood here has no fingerprint: :class:`Unknown` is raised, and nobody takes one thing for another.
"""

from __future__ import annotations

import functools
import hashlib
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from inspect import Signature
from pathlib import PurePath
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    EllipsisType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np

from guidebench.engine.keys import bytecode, sources

_PLAIN = (type(None), bool, int, float, complex, str, bytes, EllipsisType, range, slice)

#: What a class has whoever wrote it.
_OF_EVERY_CLASS = frozenset(
    {
        *("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__abstractmethods__", "_abc_impl"),
        *("__parameters__", "__orig_bases__", "__firstlineno__", "__static_attributes__", "__match_args__"),
        *("__annotate_func__", "__annotations_cache__", "__dataclass_fields__", "__dataclass_params__"),
    }
)


class Unknown(Exception):  # noqa: N818 - no error: it says that there is no fingerprint
    """There is no telling what something depends on."""


def fingerprint(*values: Any) -> str:
    """Return the SHA-256 digest of values in a canonical form.

    Raises
    ------
    Unknown
        Where there is no such form.
    """
    walk = _Walk()
    for one in values:
        walk.value(one)
    return walk.hexdigest()


class _Walk:
    """Goes through a value and everything that it depends on."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []  # an address stands for one object only as long as that is alive
        self._parts: set[tuple[int, str]] = set()

    def hexdigest(self) -> str:
        return self._digest.hexdigest()

    def _say(self, *parts: str | bytes) -> None:
        for part in parts:
            raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            self._digest.update(b"%d:" % len(raw))
            self._digest.update(raw)

    def _again(self, value: Any) -> bool:
        """Return whether a thing has been gone through already; it is then named by its number."""
        number = self._seen.setdefault(id(value), len(self._seen))
        if number < len(self._alive):
            self._say("again", str(number))
            return True
        self._alive.append(value)
        return False

    def value(self, value: Any) -> None:
        """Go through one value of any kind."""
        if isinstance(value, Enum):
            self._say("enum", type(value).__qualname__, value.name)
        elif type(value) in _PLAIN or isinstance(value, (PurePath, np.dtype)):
            self._say(type(value).__name__, repr(value))
        elif isinstance(value, (np.ndarray, np.generic)) or _is_jax_array(value):
            self._array(value)
        elif type(value) is tuple:  # whether two equal ones are one object is up to Python
            self._say("tuple", str(len(value)))
            for item in value:
                self.value(item)
        elif isinstance(value, (set, frozenset)):
            self._say(type(value).__name__, *sorted(fingerprint(item) for item in value))
        elif not self._again(value):
            self._compound(value)

    def _array(self, value: Any) -> None:
        array = _numbers(value)
        if type(array) is not np.ndarray or array.dtype.hasobject:
            if type(array) is not np.ndarray or array.dtype.kind != "O":
                raise Unknown(f"an array of type {type(value).__name__}")
            self._say("objects", repr(array.shape))
            self.value(array.ravel().tolist())
            return
        # Its type counts: a NumPy array is one thing to a model, a scalar another.
        self._say("array", type(value).__name__, str(array.dtype), repr(array.shape))
        self._say(np.ascontiguousarray(array).data.cast("B") if array.size else b"")  # type: ignore[arg-type]

    def _compound(self, value: Any) -> None:
        if isinstance(value, (dict, OrderedDict, MappingProxyType)):
            self._say("mapping", str(len(value)))
            for key, item in value.items():
                self.value(key)
                self.value(item)
        elif isinstance(value, (list, tuple)):
            self._say(type(value).__name__, str(len(value)))
            for item in value:
                self.value(item)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, MethodType):
            self._say("method")
            self.value(value.__func__)
            self.value(value.__self__)
        elif isinstance(value, functools.partial):
            self._say("partial")
            self.value((value.func, value.args, dict(value.keywords)))
        elif isinstance(value, ModuleType):
            self._module(value, ())
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, (BuiltinFunctionType, np.ufunc)):
            self._builtin(value)
        elif isinstance(value, (staticmethod, classmethod)):
            self.value(value.__func__)
        elif isinstance(value, Signature):  # NumPyro gives one to every distribution; the function has its own say
            self._say("signature", str(value))
        elif isinstance(value, property):
            self.value((value.fget, value.fset, value.fdel))
        else:
            self._instance(value)

    # Code

    def _function(self, function: FunctionType) -> None:
        name = function.__module__ or "__main__"
        self._say("function", function.__qualname__)
        self._code(function.__code__)
        self.value((function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            self._cell(cell)
        if self._place(name) == "user":
            self._globals(function.__code__, function.__globals__)

    def _cell(self, cell: CellType) -> None:
        try:
            content = cell.cell_contents
        except ValueError:
            self._say("empty")
        else:
            self.value(content)

    def _place(self, name: str) -> sources.Origin:
        """Say where a module comes from and return it.  That of a file of the user's is named after its folder."""
        found = sources.origin(name)
        if found == "user":
            self._say("user", sources.written(name))
        else:
            self._say(found, name, sources.installed(name) if found == "installed" else "")
        return found

    def _code(self, code: CodeType) -> None:
        self._say("code", code.co_name, code.co_code, code.co_exceptiontable)
        self._say(*map(repr, (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)))
        self._say(*map(str, (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)))
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._code(constant)
            else:
                self.value(constant)

    def _globals(self, code: CodeType, scope: Mapping[str, Any]) -> None:
        """Go through what code finds outside of itself, by name."""
        names = bytecode.names(code)
        looks = bytecode.looking(names)
        if looks is not None:
            raise Unknown(f"{code.co_qualname} uses {looks}")
        for name in names:
            if name in scope:
                self._say("global", name)
                found = scope[name]
                if isinstance(found, ModuleType):
                    self._module(found, names)
                else:
                    self.value(found)
        for name in bytecode.imports(code, str(scope.get("__package__") or "")):
            self._module(sources.loaded(name), names, name)

    def _module(self, module: ModuleType | None, names: Collection[str], name: str = "") -> None:
        """Go through those of the names that a module of the user's has."""
        self._say("module")
        name = name if module is None else module.__name__
        if self._place(name) != "user":
            return
        if module is None:
            raise Unknown(f"the module {name}, which is not there")
        for part in names:
            if part in vars(module) and (id(module), part) not in self._parts:
                self._parts.add((id(module), part))
                self._say(part)
                found = vars(module)[part]
                if isinstance(found, ModuleType):
                    self._module(found, names)
                else:
                    self.value(found)

    def _class(self, kind: type) -> None:
        self._say("class", kind.__qualname__)
        if self._place(kind.__module__) == "user":
            for base in kind.__bases__:
                self.value(base)
            for name, part in vars(kind).items():
                if name not in _OF_EVERY_CLASS:
                    self._say(name)
                    self.value(part)

    def _builtin(self, function: Any) -> None:
        owner = getattr(function, "__self__", None)
        if owner is not None and not isinstance(owner, (ModuleType, type)):
            raise Unknown(f"{function.__name__} of an object")
        self._say("built-in", str(getattr(function, "__module__", "")), function.__name__)

    # Objects

    def _instance(self, value: Any) -> None:
        kind = type(value)
        place = sources.origin(kind.__module__)
        if is_dataclass(value):
            self.value(kind)
            for one in fields(value):
                self._say(one.name)
                self.value(getattr(value, one.name))
        elif hasattr(value, "to_numpy") and place == "installed":  # of pandas
            self._columns(value)
        elif place == "user" or kind.__module__.startswith("numpyro.") or kind.__name__ in ("custom_jvp", "custom_vjp"):
            self.value(kind)
            if not hasattr(value, "__dict__") or any(vars(one).get("__slots__") for one in kind.__mro__):
                raise Unknown(f"an object of type {kind.__qualname__}")
            self.value(vars(value))
        elif callable(getattr(value, "__wrapped__", None)):  # compiled, or cached
            self._say("wrapped", kind.__qualname__)
            self.value(value.__wrapped__)
        else:
            raise Unknown(f"an object of type {kind.__qualname__}")

    def _columns(self, value: Any) -> None:
        self._say(type(value).__qualname__)
        if hasattr(value, "columns"):
            for name in value.columns:
                self.value(name)
                self.value(value[name].to_numpy())
        else:
            self.value(getattr(value, "name", None))
            self.value(value.to_numpy())


def _is_jax_array(value: Any) -> bool:
    jax = sources.loaded("jax")
    return jax is not None and isinstance(value, jax.Array)


def _numbers(value: Any) -> Any:
    jax = sources.loaded("jax")
    if jax is not None and isinstance(value, jax.Array) and jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    return value if type(value) is np.ndarray else np.asarray(value) if not isinstance(value, np.ndarray) else value
