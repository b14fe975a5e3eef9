"""The optimisers of optax by name, with their arguments: ``sgd:momentum=0.9``, ``contrib.prodigy``.

An optimiser that cannot train here is found out before anything is trained: two steps of it are
traced, on parameters of the shapes that guides have.
"""

from __future__ import annotations

import inspect
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from guidebench.config import specs
from guidebench.config.errors import RequestError, opt
from guidebench.plugins.isolation.failures import reason

#: Optimisers whose ``b2`` is the memory of the second moment, with the usual default.
ADAM_FAMILY = frozenset({"adam", "adamw", "adamax", "adamaxw", "nadam", "nadamw", "amsgrad", "radam", "lamb", "yogi"})

#: What Python says of an update that takes more than gradients, its state and parameters.
_MISSING = re.compile(r"missing \d+ required keyword-only arguments?: (.*)")

#: How the names of parts of optimisers begin.
_PARTS = ("scale_by_",)

_MODULES: Mapping[str, ModuleType] = {"": optax, "contrib.": optax.contrib}


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """An optimiser of optax that takes a learning rate.

    Attributes
    ----------
    name : str
        In optax, or after ``contrib.``, in ``optax.contrib``.
    factory : callable
        Makes it.
    given : mapping
        The arguments that the user gave.
    """

    name: str
    factory: Callable[..., Any]
    given: Mapping[str, Any]

    @property
    def own_rate(self) -> float | None:
        """The learning rate that it is made for, where it says one: those that find their own step size do."""
        default = inspect.signature(self.factory).parameters["learning_rate"].default
        return float(default) if isinstance(default, (int, float)) else None

    def with_memory(self, second_moment_decay: float | None) -> Mapping[str, Any]:
        """Return its arguments with ``b2``, where it is of the Adam family and the user did not give it."""
        usual = {} if second_moment_decay is None or self.name not in ADAM_FAMILY else {"b2": second_moment_decay}
        return {**usual, **self.given}

    def describe(self) -> str:
        """Return its name and the arguments that were given."""
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.given.items())])


#: Arguments that say how much of an average is kept at a step: beyond one it grows without end.
SHARES = {"b1", "b2", "b3", "decay", "decay_rate", "momentum"}


def find(spec: str) -> Optimizer:
    """Return the optimiser that ``NAME[:opt=val,...]`` names.

    Raises
    ------
    RequestError
        Where optax has no such optimiser, or it no such argument.
    """
    name, text = specs.split(spec)
    inside, _, last = name.rpartition(".")
    module = _MODULES.get(f"{inside}." if inside else "")
    factory = getattr(module, last, None) if module is not None and not last.startswith("_") else None
    if not callable(factory):
        raise RequestError(f"{opt('optimizer')} {spec!r}: optax has no optimiser of that name{_suggestion(name)}")
    known = _arguments(factory)
    if "learning_rate" not in known or last.startswith(_PARTS):
        raise RequestError(
            f"{opt('optimizer')} {spec!r}: optax.{name} is no optimiser that takes a learning rate{_suggestion(name)}"
        )
    del known["learning_rate"]
    owner = f"{opt('optimizer')} {spec!r}: optax.{name}"
    if text is not None and "learning_rate" in (pair.partition("=")[0].strip() for pair in text.split(",")):
        raise RequestError(f"{owner}: give its learning rate as {opt('learning_rate')}")
    needed = [key for key, default in known.items() if default is inspect.Parameter.empty]
    given = {} if text is None else specs.options(owner, text, {**known, **dict.fromkeys(needed)})
    lacking = [key for key in needed if key not in given]
    if lacking:
        raise RequestError(f"{owner} needs its argument(s) {', '.join(lacking)}")
    for key, value in given.items():
        if key in SHARES and isinstance(value, (int, float)) and not 0 <= value < 1:
            raise RequestError(f"{owner}: {key} is a share that a step keeps, from 0 to below 1, not {value}")
        if key.startswith("eps") and isinstance(value, (int, float)) and not 0 <= value < math.inf:
            raise RequestError(f"{owner}: {key} is added to what is divided by: from 0 on and finite, not {value}")
    return Optimizer(name=name, factory=factory, given=given)


def build(optimizer: Optimizer, learning_rate: float, second_moment_decay: float | None = None) -> Any:
    """Return the optax transformation of an optimiser.

    Raises
    ------
    RequestError
        Where optax refuses an argument.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what optax would call it some day
            made = optimizer.factory(learning_rate=learning_rate, **optimizer.with_memory(second_moment_decay))
    except Exception as error:  # noqa: BLE001 - whatever optax says of its arguments is said in one line
        raise RequestError(f"{opt('optimizer')} {optimizer.describe()!r} cannot be made: {_one_line(error)}") from None
    if not isinstance(made, optax.GradientTransformation):
        raise RequestError(f"{opt('optimizer')} {optimizer.describe()!r} is no optax optimiser")
    return made


def check(optimizer: Optimizer, made: Any) -> None:
    """Trace two steps of an optimiser on a small tree of parameters.

    Raises
    ------
    RequestError
        Where it cannot train: it needs more than gradients, or does not keep the shapes of its state.
    """
    params = {"loc": jnp.zeros(()), "scale": jnp.ones(2), "tril": jnp.eye(2), "net": [(jnp.ones((2, 3)), ()), ()]}

    def steps(params: Any) -> Any:
        def step(carry: tuple[Any, Any], _: Any) -> tuple[tuple[Any, Any], None]:
            params, state = carry
            updates, state = made.update(params, state, params)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, made.init(params)), None, length=2)[0][0]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of dtypes and deprecations: it is but tried
            state = jax.eval_shape(made.init, params)
            if not _keeps_its_parameters_apart(state):
                jax.eval_shape(jax.vmap(steps), jax.tree.map(lambda one: one[None], params))
    except Exception as error:  # noqa: BLE001 - whatever optax or JAX says of it is said in one line
        raise RequestError(
            f"{opt('optimizer')} {optimizer.describe()!r} cannot train a guide: {_one_line(error)}"
        ) from None
    if _keeps_its_parameters_apart(state):
        raise RequestError(
            "a schedule-free optimiser keeps the parameters to use apart from those that it trains, and its own "
            f"average in the place of a schedule; take adam or sgd with {opt('schedule')}",
            option="optimizer",
            value=repr(optimizer.describe()),
        )


def _keeps_its_parameters_apart(state: Any) -> bool:
    kind = optax.contrib.ScheduleFreeState
    return any(isinstance(one, kind) for one in jax.tree.leaves(state, is_leaf=lambda one: isinstance(one, kind)))


def names() -> Iterator[str]:
    """Yield the name of every optimiser that takes a learning rate."""
    for prefix, module in _MODULES.items():
        for name in dir(module):
            factory = getattr(module, name)
            hidden = name.startswith(("_", "schedule_free", *_PARTS))
            if not hidden and callable(factory) and "learning_rate" in _arguments(factory):
                yield prefix + name


def _arguments(factory: Callable[..., Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {one.name: one.default for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}


def _suggestion(name: str) -> str:
    """Return names like the one that was typed."""
    known = {one.rpartition(".")[2]: one for one in reversed(list(names()))}
    close = get_close_matches(name.rpartition(".")[2].lower(), known, n=3)
    if close:
        return f"; did you mean {' or '.join(known[one] for one in close)}?"
    return "; try adam, adamw, sgd, rmsprop or contrib.prodigy, or see the list of optax"


def _one_line(error: Exception) -> str:
    missing = _MISSING.search(str(error))
    if missing:
        return f"its update needs {missing.group(1)} besides the gradients, which stochastic training does not have"
    return reason(error, 200)
