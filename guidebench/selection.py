"""Turning what the user typed into guides and problems."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from guidebench.contracts import Guide, Problem
from guidebench.errors import RequestError
from guidebench.registry import Registered, Registry


@dataclass(frozen=True, kw_only=True)
class ChosenGuide:
    """A guide with the options to build it with.

    ``label`` is what the results call it: its name, followed by the options that were given.
    """

    registered: Registered[Guide]
    label: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def declaration(self) -> Guide:
        """The guide's declaration."""
        return self.registered.declaration


def choose_guides(registry: Registry, specs: Sequence[str]) -> tuple[ChosenGuide, ...]:
    """Return the guides that ``NAME[:opt=val,...]`` specs name; ``default`` and ``all`` are sets.

    Raises
    ------
    RequestError
        Where a guide or an option is unknown, or a value has the wrong type.
    """
    chosen: dict[str, ChosenGuide] = {}
    for spec in specs:
        name, colon, text = spec.partition(":")
        if name in ("default", "all") and not colon:
            members = registry.default_guides() if name == "default" else registry.guides
            for one in members:
                chosen.setdefault(one.name, ChosenGuide(registered=one, label=one.name))
            if not members:
                raise RequestError(f"the guide set {name!r} is empty; see 'guidebench list'")
            continue
        registered = registry.guide(name)
        short = registered.qualified_name if registered in registry.disputed else registered.name
        options = _options(registered.declaration, text) if colon else {}
        label = short + (":" + ",".join(f"{key}={value}" for key, value in options.items()) if options else "")
        chosen.setdefault(label, ChosenGuide(registered=registered, label=label, options=options))
    return tuple(chosen.values())


def _options(guide: Guide, text: str) -> dict[str, Any]:
    known = guide.options()
    options: dict[str, Any] = {}
    for pair in text.split(","):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            raise RequestError(f"guide {guide.name!r}: {pair!r} is not OPTION=VALUE")
        if key not in known:
            allowed = ", ".join(known) if known else "none"
            raise RequestError(f"guide {guide.name!r} has no option {key!r}; its options are {allowed}")
        if key in options:
            raise RequestError(f"guide {guide.name!r}: option {key!r} is given twice")
        options[key] = _typed(guide.name, key, value, known[key])
    # In the order of the signature, so that one choice has one label.
    return {key: options[key] for key in known if key in options}


def _typed(guide: str, key: str, text: str, default: Any) -> Any:
    """Read `text` as a Python literal of the kind of the option's default."""
    if isinstance(default, str):
        return text
    try:
        value = ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text.lower(), text))
    except (ValueError, SyntaxError, TypeError):
        value = text
    kind = type(default)
    if default is None or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise RequestError(f"guide {guide!r}: option {key!r} takes {kind.__name__} (default {default!r}), not {text!r}")


def choose_problems(registry: Registry, patterns: Sequence[str]) -> tuple[Problem, ...]:
    """Return the problems that names or globs name, in the order given.

    Raises
    ------
    RequestError
        Where a name or a pattern matches nothing, or two problems have one name.
    """
    chosen: dict[str, Problem] = {}
    for pattern in patterns:
        if any(mark in pattern for mark in "*?["):
            matches = [one.declaration for one in registry.problems if fnmatchcase(one.name, pattern)]
            if not matches:
                raise RequestError(f"no problem matches {pattern!r}; see 'guidebench list'")
        else:
            matches = [registry.problem(pattern).declaration]
        for match in matches:
            if chosen.setdefault(match.name, match) is not match:
                raise RequestError(f"{pattern!r} is another problem called {match.name!r}; run it on its own")
    return tuple(chosen.values())
