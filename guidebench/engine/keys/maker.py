"""Keys of fits: two are the same only where everything is that the numbers depend on.

What has no fingerprint, a guide that reads a file or closes over an object of a foreign kind, has no key
and is trained every time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import jax

from guidebench.config import OPTIONS, REFERENCES, RunConfig
from guidebench.contracts import Metric, Problem
from guidebench.engine.keys import environment, sources
from guidebench.engine.keys.fingerprint import Unknown, fingerprint
from guidebench.engine.recipe import recipe_of
from guidebench.engine.tasks import Task
from guidebench.plugins.isolation.failures import LOCAL, OWN
from guidebench.plugins.registry import Registered
from guidebench.request.own_guides import YOURS
from guidebench.request.selection import ChosenGuide

#: Part of every key: what was kept before the layout or the meaning of keys changed is not found again.
LAYOUT = 1

#: Options of JAX that change what a program computes.
JAX_OPTIONS = ("jax_enable_x64", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_threefry_partitionable")


class Keys(NamedTuple):
    """The key of a problem, and those of its fits by guide; ``None`` where there is none."""

    problem: str | None
    fits: Mapping[str, str | None]


class KeyMaker:
    """Makes the keys of one run.

    Parameters
    ----------
    config : RunConfig
        The settings.
    metrics : sequence
        All metrics that there are.
    given : mapping, optional
        Draws that take the place of the reference in `config`.
    """

    def __init__(
        self, config: RunConfig, metrics: Sequence[Registered[Metric]], given: Mapping[str, Any] | None
    ) -> None:
        self._run = _fingerprint(
            LAYOUT,
            _environment(),
            {name: value for name, value in config.model_dump().items() if OPTIONS[name].changes == "numbers"},
            _reference(config),
            None if given is None else dict(given),
        )
        self._metrics = _all(_declared(one) for one in metrics)
        self._budget = config.budget is not None

    def keys(self, problem: Problem, guides: Sequence[ChosenGuide]) -> Keys:
        """Return the keys of a problem and of all guides on it."""
        shared = _all((self._run, _fingerprint(*_parts(problem))))
        found = {
            guide.label: _all(
                (shared, self._metrics, _declared(guide.registered), _fingerprint(guide.label, dict(guide.options)))
            )
            for guide in guides
        }
        if not self._budget:
            return Keys(problem=shared, fits=found)
        together = _all(found.values())  # what one may spend, and is judged for, hangs on all of them
        return Keys(_all((shared, together)), {label: _all((one, together)) for label, one in found.items()})


def _fingerprint(*values: Any) -> str | None:
    try:
        return fingerprint(*values)
    except (Unknown, RecursionError):
        return None


def _all(parts: Any) -> str | None:
    """Return one key made of several, if none is missing."""
    found = list(parts)
    return None if None in found else hashlib.sha256("\n".join(found).encode()).hexdigest()


def _parts(declaration: Any) -> list[Any]:
    return [part for one in fields(declaration) for part in (one.name, getattr(declaration, one.name))]


def _declared(one: Registered[Any]) -> str | None:
    """Return the fingerprint of a declaration and of who made it."""
    if one.distribution == OWN:  # its sources are part of every key
        return _fingerprint(OWN, one.name, getattr(one.declaration, "bound", ""))
    number = ""
    if one.distribution not in (LOCAL, YOURS):
        try:
            number = version(one.distribution)
        except PackageNotFoundError:
            number = "unknown"
    return _fingerprint(one.distribution, number, one.plugin, *_parts(one.declaration))


def _reference(config: RunConfig) -> str:
    """Return what the file of the reference holds, where it is one."""
    file = Path(config.reference)
    if config.reference in REFERENCES or not file.is_file():
        return config.reference
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _environment() -> dict[str, Any]:
    values = {name: getattr(jax.config, name, None) for name in JAX_OPTIONS}
    return {
        **environment.describe(),
        "guidebench sources": sources.own(Task.__module__, recipe_of.__module__),
        "device kinds": environment.machine()["devices"],
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        **{name: value if isinstance(value, (bool, str)) else repr(value) for name, value in values.items()},
    }
