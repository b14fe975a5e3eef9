"""Checks of what a guide declares, and of what declaring costs."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

from guidebench.config import specs
from guidebench.config.errors import RequestError
from guidebench.contracts import Guide
from guidebench.plugins.hookspecs import PROJECT
from guidebench.request.loading.objects import is_object_path, split_object_path
from guidebench.testing.outcomes import CheckFailed, NotApplicable
from guidebench.testing.subject import TESTED, Refused, Subject
from guidebench.testing.toys import toys

#: What takes long to import, and ``guidebench list`` does without.
HEAVY = ("arviz", "jax", "matplotlib", "numpyro", "optax", "pandas", "scipy", "seaborn", "xarray")

#: Types of defaults that a user can type after ``-g NAME:option=``.
TYPEABLE = (bool, int, float, str, tuple, type(None))

#: Seconds that declaring may take in a fresh process, on however busy a machine.
PATIENCE = 120

_LOAD = {
    "plugin": """
from importlib.metadata import entry_points
from guidebench.plugins.registry import build_registry
build_registry(point for point in entry_points(group={group!r}) if point.value == {what!r})
""",
    "path": """
from guidebench.request.loading.objects import load_object
load_object({what!r})
""",
}


def check_declaration(subject: Subject) -> None:
    """The guide can be declared, under a legal name of its own, with keyword-only options and a summary.

    One wrong declaration keeps a guide out of `guidebench list` and of every comparison.
    """
    found = subject.found
    if isinstance(found, Refused):
        raise CheckFailed(found.reason)
    if not found.declaration.summary.strip():
        raise CheckFailed("it has no summary; give it one line for guidebench list, as Guide(summary=...)")


def check_options_are_accepted(subject: Subject) -> None:
    """Every option has a default that can be typed after `-g NAME:`, and `build` takes it by keyword.

    The signature of `build` is what users see of its options, so it has to be true.
    """
    guide = subject.declaration
    options = guide.options()
    if not options:
        raise NotApplicable("it has no options")
    for name, default in options.items():
        if not isinstance(default, TYPEABLE):
            raise CheckFailed(f"option {name!r}: its default is a {type(default).__name__}, which nobody can type")
        _check_typed(guide, name, default)
        toy = toys()["independent"]
        try:
            subject.build(toy.problem.model, toy.mode, **{name: default})
        except TypeError as error:
            raise CheckFailed(f"build does not take option {name!r} by keyword: {error}") from error


def _check_typed(guide: Guide, name: str, default: object) -> None:
    try:
        read = specs.typed(f"guide {guide.name!r}", name, str(default), default)
    except RequestError as error:
        raise CheckFailed(f"its default of option {name!r} cannot be typed: {error}") from error
    if default is not None and read != default:
        raise CheckFailed(f"option {name!r}: its default {default!r}, when typed, is read as {read!r}")


def check_import_is_light(subject: Subject) -> None:
    """Declaring the guide loads none of JAX, NumPyro, ArviZ, Matplotlib and the like.

    Every plugin is loaded by `guidebench list` and `guidebench --help`; one that takes two seconds to import
    takes them from everybody.  Heavy imports belong inside `build`.
    """
    chosen = subject.chosen
    given = subject.given
    if isinstance(given, str) and is_object_path(given) and chosen.registered.distribution == TESTED:
        code = _LOAD["path"].format(what=split_object_path(given)[0])
    elif chosen.registered.distribution == TESTED:
        raise NotApplicable("it was given as an object; what its module loads is seen where it is given by name")
    else:
        code = _LOAD["plugin"].format(group=PROJECT, what=_entry_point(subject))
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path[:] = {sys.path!r}\n{code}\nprint('\\nloaded:', *sys.modules)"],
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CheckFailed(f"it cannot be declared in a fresh process: {last}")
    loaded = set(done.stdout.rpartition("\nloaded:")[2].split())
    heavy = [name for name in HEAVY if name in loaded]
    if heavy:
        raise CheckFailed(f"declaring it loads {', '.join(heavy)}; import them inside build")


def _entry_point(subject: Subject) -> str:
    """Return what the entry point of a guide's plugin names."""
    registered = subject.chosen.registered
    for point in entry_points(group=PROJECT):
        if point.name == registered.plugin and (point.dist is None or point.dist.name == registered.distribution):
            return point.value
    raise NotApplicable(f"the entry point {registered.plugin!r} is no longer installed")
