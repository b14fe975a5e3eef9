"""A guide of the user's own, from whatever it is: a declaration, a class of NumPyro's, or a function."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from guidebench.config.errors import RequestError
from guidebench.contracts import RESERVED_NAMES, Bound, Guide
from guidebench.plugins.registry import Registered, Registry

#: Stands for the distribution of a guide that no distribution brought.
YOURS = "your own"

#: What is said of a guide object: it cannot be built again for another start.
_INSTANCE = (
    "this {name} is a guide object, which remembers its first initialisation; "
    "give the class, {name} (with options, functools.partial({name}, option=value))"
)

#: NumPyro's guides, and those derived from them, whose density lives on a larger space, and its point estimate.
_BOUNDS: Mapping[str, Bound] = {
    "AutoDAIS": "augmented",
    "AutoSemiDAIS": "augmented",
    "AutoSurrogateLikelihoodDAIS": "augmented",
    "AutoDelta": "none",
}


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What an object of the user's is: a guide, its options by value, and what else its label should say."""

    registered: Registered[Guide]
    options: Mapping[str, Any] = field(default_factory=dict)
    remark: str = ""


def declare(given: Any, registry: Registry) -> Declared:
    """Return the guide that an object stands for.

    Parameters
    ----------
    given : Guide, class, functools.partial or callable
        A declaration; a class derived from :class:`numpyro.infer.autoguide.AutoGuide`, which is the
        registered guide of that class where there is one; either of these with options in a
        :func:`functools.partial`; or a function with the sites of the guide in it, which takes any of the
        model's arguments by name.
    registry : Registry
        Knows which classes are registered guides.

    Raises
    ------
    RequestError
        Where it is none of these.
    """
    if isinstance(given, Guide):
        return Declared(registered=_yours(given))
    target = given.func if isinstance(given, partial) else given
    if _is_auto_guide(type(target)):
        raise RequestError(f"guides: {_INSTANCE.format(name=type(target).__name__)}")
    if isinstance(target, type):
        if not _is_auto_guide(target):
            raise RequestError(f"guides: the class {target.__name__} is no AutoGuide of NumPyro's")
        return _of_class(given, target, registry)
    if not callable(target):
        raise RequestError(
            f"guides: {type(target).__name__} is no guide; give a name, a gb.Guide, an AutoGuide class or a function"
        )
    return Declared(registered=_yours(_of_function(given)))


def _yours(guide: Guide) -> Registered[Guide]:
    return Registered(guide, plugin=YOURS, distribution=YOURS)


def _is_auto_guide(kind: type) -> bool:
    # Without importing NumPyro: who gives one of its classes has it loaded.
    return any(one.__name__ == "AutoGuide" and one.__module__.startswith("numpyro.") for one in kind.__mro__)


# Classes


def _of_class(given: Any, kind: type, registry: Registry) -> Declared:
    keywords = dict(given.keywords) if isinstance(given, partial) else {}
    if isinstance(given, partial) and given.args:
        raise RequestError(f"guides: {kind.__name__} is given arguments by position; the model is guidebench's to give")
    if "init_loc_fn" in keywords:
        raise RequestError(
            f"guides: all guides start at the same points, so {kind.__name__} takes no init_loc_fn; use init"
        )
    registered = _registered_as(kind, registry)
    if registered is not None and keywords.keys() <= registered.declaration.options().keys():
        return Declared(registered=registered, options=keywords)
    _check_call(kind, keywords)
    remark = ",".join(f"{key}={_short(value)}" for key, value in keywords.items())
    likeness = next((found for base in kind.__mro__ if (found := _registered_as(base, registry)) is not None), None)
    like = None if likeness is None else likeness.declaration
    declaration = Guide(
        name=fit_name(kind.__name__),
        build=lambda model: kind(model, **keywords),
        summary=_summary(kind),
        bound=next((_BOUNDS[one.__name__] for one in kind.__mro__ if one.__name__ in _BOUNDS), "elbo"),
        objective=None if like is None else like.objective,
        draw=None if like is None else like.draw,
        cite="" if like is None else like.cite,
    )
    return Declared(registered=_yours(declaration), remark=remark)


def _registered_as(kind: type, registry: Registry) -> Registered[Guide] | None:
    """Return the registered guide that is this very class of NumPyro's."""
    if not _is_auto_guide(kind) or not kind.__module__.startswith("numpyro."):
        return None
    return next((one for one in registry.guides if kind.__name__ in one.declaration.aliases), None)


def _check_call(kind: type, keywords: Mapping[str, Any]) -> None:
    try:
        inspect.signature(kind).bind(None, **keywords)
    except TypeError as error:
        raise RequestError(
            f"guides: {kind.__name__} cannot be built: {error}; give functools.partial({kind.__name__}, option=value)"
        ) from None


def _short(value: Any) -> str:
    """Return an option's value without the address of an object, which differs from run to run."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_short, value))}]"
    if value is None or isinstance(value, (bool, int, float, str)):
        return str(value)
    return str(getattr(value, "__name__", type(value).__name__))


def fit_name(text: str) -> str:
    """Return the name of a class or a function as a guide may be called."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text).lower()
    name = re.sub(r"[^a-z0-9_.-]+", "-", words).lstrip("-_.0123456789").rstrip("-_.") or "guide"
    return f"{name}_guide" if name in RESERVED_NAMES else name


def _summary(given: Any) -> str:
    if getattr(given, "__module__", "").startswith("numpyro."):
        return f"NumPyro's {given.__name__}"
    text = (getattr(given, "__doc__", None) or "").strip()
    return " ".join(text.split("\n\n")[0].split())


# Functions


def _of_function(function: Callable[..., Any]) -> Guide:
    named = function.func if isinstance(function, partial) else function
    return Guide(
        name=fit_name(getattr(named, "__name__", type(named).__name__)),
        build=lambda model: fitted(function, model),
        summary=_summary(named) if inspect.isroutine(named) else "",
    )


def fitted(guide: Callable[..., Any], model: Callable[..., Any]) -> Callable[..., Any]:
    """Return `guide` as a function of the model's arguments, of which it is given those it names.

    Raises
    ------
    RequestError
        Where it asks for an argument that the model does not have.
    """
    wanted, offered = inspect.signature(guide), inspect.signature(model)
    kinds = inspect.Parameter
    if [(one.name, one.kind) for one in wanted.parameters.values()] == [
        (one.name, one.kind) for one in offered.parameters.values()
    ] or any(one.kind is kinds.VAR_POSITIONAL for one in wanted.parameters.values()):
        return guide  # it is called as the model is
    greedy = any(one.kind is kinds.VAR_KEYWORD for one in offered.parameters.values())
    for one in wanted.parameters.values():
        required = one.default is kinds.empty and one.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
        if required and one.name not in offered.parameters and not greedy:
            known = ", ".join(offered.parameters) or "none"
            hint = "; what builds a guide belongs into gb.Guide(name=..., build=...)" if one.name == "model" else ""
            raise RequestError(f"it asks for the argument {one.name!r}, but the model's arguments are {known}{hint}")

    def by_name(*args: Any, **kwargs: Any) -> Any:
        given = _named(offered, args, kwargs)
        first = [
            given.pop(one.name)
            for one in wanted.parameters.values()
            if one.kind is kinds.POSITIONAL_ONLY and one.name in given
        ]
        gathers = any(one.kind is kinds.VAR_KEYWORD for one in wanted.parameters.values())
        return guide(*first, **{name: value for name, value in given.items() if gathers or name in wanted.parameters})

    return by_name


def _named(signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name; those that ``*args`` gathers have none."""
    given: dict[str, Any] = {}
    for name, value in signature.bind_partial(*args, **kwargs).arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            given |= value
        elif kind is not inspect.Parameter.VAR_POSITIONAL:
            given[name] = value
    return given
