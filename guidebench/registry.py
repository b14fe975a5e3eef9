"""Discovery of plugins: who declares what, and what is wrong with those that fail.

Each entry point is loaded in its own ``try`` and each hook is called one plugin at a time, so that
a broken plugin is named with its distribution, its hook and its reason, and never stops another.
"""

from __future__ import annotations

import difflib
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

import pluggy

from guidebench import hookspecs
from guidebench.contracts import Guide, Metric, Problem, Section
from guidebench.errors import RequestError

#: The distribution whose names cannot be taken by anybody else.
OWN = "guidebench"

#: Each hook, and the kind of record that it declares.
HOOKS: Mapping[str, type] = {
    "guidebench_guides": Guide,
    "guidebench_problems": Problem,
    "guidebench_metrics": Metric,
    "guidebench_sections": Section,
}

_PREFIX = f"{hookspecs.PROJECT}_"

D = TypeVar("D", Guide, Problem, Metric, Section)


@dataclass(frozen=True)
class Registered(Generic[D]):
    """A declaration and who made it."""

    declaration: D
    plugin: str
    distribution: str

    @property
    def name(self) -> str:
        """The declared name."""
        return self.declaration.name

    @property
    def qualified_name(self) -> str:
        """The name that stays unique when two distributions choose the same one."""
        return f"{self.distribution}/{self.declaration.name}"

    def answers_to(self) -> tuple[str, ...]:
        """Return every short name it goes by."""
        return (self.name, *getattr(self.declaration, "aliases", ()))


@dataclass(frozen=True)
class Broken:
    """A plugin, or a part of one, that cannot be used."""

    plugin: str
    distribution: str
    reason: str
    hook: str = ""
    traceback: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        where = f", {self.hook}" if self.hook else ""
        return f"plugin {self.plugin!r} ({self.distribution}{where}): {self.reason}"


@dataclass(frozen=True)
class Registry:
    """Everything the installed plugins declare, and everything that is wrong with them."""

    guides: tuple[Registered[Guide], ...] = ()
    problems: tuple[Registered[Problem], ...] = ()
    metrics: tuple[Registered[Metric], ...] = ()
    sections: tuple[Registered[Section], ...] = ()
    disputed: tuple[Registered[Any], ...] = ()
    broken: tuple[Broken, ...] = ()

    def guide(self, name: str) -> Registered[Guide]:
        """Return the guide called `name` (an alias or ``DISTRIBUTION/NAME`` will do)."""
        return _find("guide", name, self.guides, self._disputed(Guide), self.broken)

    def problem(self, name: str) -> Registered[Problem]:
        """Return the problem called `name` (``DISTRIBUTION/NAME`` will do)."""
        return _find("problem", name, self.problems, self._disputed(Problem), self.broken)

    def default_guides(self) -> tuple[Registered[Guide], ...]:
        """Return the default set: guidebench's own guides that are marked so."""
        return tuple(one for one in self.guides if one.distribution == OWN and one.declaration.default)

    def _disputed(self, kind: type) -> tuple[Registered[Any], ...]:
        return tuple(one for one in self.disputed if isinstance(one.declaration, kind))


def _find(
    kind: str,
    name: str,
    known: Sequence[Registered[Any]],
    disputed: Sequence[Registered[Any]],
    broken: Sequence[Broken],
) -> Registered[Any]:
    for one in known:
        if name in (*one.answers_to(), one.qualified_name):
            return one
    for one in disputed:
        if name == one.qualified_name:
            return one
    claims = sorted(one.qualified_name for one in disputed if name in one.answers_to())
    if claims:
        raise RequestError(f"{kind} {name!r} is declared by several distributions; choose {' or '.join(claims)}")
    names = sorted({short for one in known for short in one.answers_to()})
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(one.name for one in known)}"
    lost = f" ({len(broken)} broken plugin(s): see 'guidebench list')" if broken else ""
    raise RequestError(f"no {kind} is called {name!r}; {hint}{lost}")


@cache
def load_registry() -> Registry:
    """Load every installed plugin of the entry-point group ``guidebench``, once per process."""
    return build_registry(entry_points(group=hookspecs.PROJECT))


def build_registry(points: Iterable[EntryPoint]) -> Registry:
    """Load the given entry points and sort what they declare."""
    broken: list[Broken] = []
    found: list[Registered[Any]] = []
    ordered = sorted(points, key=lambda point: (_distribution(point) != OWN, _distribution(point), point.name))
    for point in ordered:
        found.extend(_declarations(point, broken.append))
    accepted, disputed = _settle_names(found, broken.append)

    def kind(of: type) -> tuple[Registered[Any], ...]:
        return tuple(one for one in accepted if isinstance(one.declaration, of))

    return Registry(
        guides=kind(Guide),
        problems=kind(Problem),
        metrics=kind(Metric),
        sections=kind(Section),
        disputed=tuple(disputed),
        broken=tuple(broken),
    )


def _distribution(point: EntryPoint) -> str:
    # The name is missing where an uninstallation was interrupted.
    if point.dist is None or "Name" not in point.dist.metadata:
        return "unknown"
    return point.dist.metadata["Name"]


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _declarations(point: EntryPoint, report: Callable[[Broken], None]) -> list[Registered[Any]]:
    """Load one plugin and return what it declares; report what is wrong with it."""
    distribution = _distribution(point)

    def fail(reason: str, hook: str = "", error: BaseException | None = None) -> None:
        lines = "".join(traceback.format_exception(error)) if error is not None else ""
        report(Broken(point.name, distribution, reason, hook, lines))

    try:
        module = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises is its reason
        fail(f"failed on import with {_reason(error)}", error=error)
        return []

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, name=point.name)
    except Exception as error:  # noqa: BLE001 - as above
        hook = next((name for name in HOOKS if repr(name) in str(error)), "")
        fail(f"does not fit the hooks: {_reason(error)}", hook, error)
        return []

    found: list[Registered[Any]] = []
    marked = {caller.name for caller in manager.get_hookcallers(module) or []}
    named = {name for name in dir(module) if name.startswith(_PREFIX) and callable(getattr(module, name, None))}
    if not marked | named:
        fail(f"implements no hook; the hooks are {', '.join(HOOKS)}")
    for name in sorted(marked | named):
        if name not in HOOKS:
            # Without the prefix, which makes any two names look alike.
            last_words = {hook.removeprefix(_PREFIX): hook for hook in HOOKS}
            close = difflib.get_close_matches(name.removeprefix(_PREFIX), last_words, n=1)
            hint = f"did you mean {last_words[close[0]]!r}?" if close else f"the hooks are {', '.join(HOOKS)}"
            fail(f"there is no such hook; {hint}", name)
            continue
        if name not in marked:
            fail("is not marked with @guidebench.hookimpl, so it is not called", name)
            continue
        try:
            results = getattr(manager.hook, name)()
            declared = [one for result in results for one in result]
        except Exception as error:  # noqa: BLE001 - as above
            fail(f"raised {_reason(error)}", name, error)
            continue
        if not results:
            fail(
                f"returned None where {HOOKS[name].__name__} records belong; return a list of them or yield them", name
            )
        for one in declared:
            if isinstance(one, HOOKS[name]):
                found.append(Registered(one, point.name, distribution))
            else:
                fail(f"declared a {type(one).__name__} where a {HOOKS[name].__name__} belongs", name)
    return found


def _settle_names(
    found: Sequence[Registered[Any]], report: Callable[[Broken], None]
) -> tuple[list[Registered[Any]], list[Registered[Any]]]:
    """Keep guidebench's own names with guidebench; leave names claimed twice to the user."""

    def refuse(one: Registered[Any], name: str, why: str) -> None:
        kind = type(one.declaration)
        hook = next(hook for hook, declared in HOOKS.items() if declared is kind)
        report(Broken(one.plugin, one.distribution, f"the {kind.__name__.lower()} name {name!r} {why}", hook))

    # guidebench comes first in `found`, so its names are known before anybody else's.
    claims: defaultdict[tuple[type, str], list[Registered[Any]]] = defaultdict(list)
    candidates = []
    for one in found:
        earlier = [
            (name, rival)
            for name in dict.fromkeys(one.answers_to())
            for rival in claims[type(one.declaration), name]
            if rival.distribution in (OWN, one.distribution)
        ]
        if earlier:
            name, rival = earlier[0]
            twice = rival.distribution == one.distribution
            refuse(one, name, "is declared twice" if twice else "belongs to guidebench; choose another")
            continue
        candidates.append(one)
        for name in dict.fromkeys(one.answers_to()):
            claims[type(one.declaration), name].append(one)

    accepted, disputed = [], []
    for one in candidates:
        rivals = [
            (name, rival)
            for name in one.answers_to()
            for rival in claims[type(one.declaration), name]
            if rival is not one
        ]
        if not rivals:
            accepted.append(one)
            continue
        disputed.append(one)
        name, rival = rivals[0]
        refuse(one, name, f"is also declared by {rival.distribution}; ask for it as {one.qualified_name!r}")
    return accepted, disputed
