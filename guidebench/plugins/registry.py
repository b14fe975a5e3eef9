"""Discovery of plugins: who declares what, and what is wrong with those that fail.

Each entry point is loaded in its own ``try`` and each hook is called one plugin at a time, so that
a broken plugin is named with its distribution, its hook and its reason, and never stops another.
"""

from __future__ import annotations

import difflib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

import pluggy

from guidebench.config.errors import RequestError
from guidebench.contracts import Guide, Metric, Problem, Section
from guidebench.plugins import hookspecs
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.plugins.isolation.failures import OWN, Failure, Phase

#: Names of distributions or entry points that are left out, with commas between them; or "all".
DISABLE = "GUIDEBENCH_DISABLE_PLUGINS"

_EVERYBODY = {"all", "1", "true", "yes"}

#: Each hook, and the kind of record that it declares.
HOOKS: Mapping[str, type] = {
    "guidebench_guides": Guide,
    "guidebench_problems": Problem,
    "guidebench_metrics": Metric,
    "guidebench_sections": Section,
}

#: An error names so many guides or problems, at most.
MOST_NAMED = 20

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

    def failure(self) -> Failure:
        """Return it as a failure of a run."""
        phase: Phase = "hook" if self.hook else "import"
        return Failure(
            plugin=self.plugin,
            distribution=self.distribution,
            phase=phase,
            name=self.hook,
            message=self.reason,
            traceback=self.traceback,
        )


@dataclass(frozen=True)
class Disabled:
    """An installed plugin that was not imported, because the user said so."""

    plugin: str
    distribution: str
    by: str

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} ({self.distribution}): by {self.by}"


@dataclass(frozen=True)
class Source:
    """Where a plugin comes from; `load` imports and returns its module."""

    plugin: str
    distribution: str
    load: Callable[[], Any]

    @classmethod
    def installed(cls, point: EntryPoint) -> Source:
        """Return the plugin behind an entry point."""
        return cls(point.name, _distribution(point), point.load)


@dataclass(frozen=True)
class Registry:
    """Everything the installed plugins declare, and everything that is wrong with them."""

    guides: tuple[Registered[Guide], ...] = ()
    problems: tuple[Registered[Problem], ...] = ()
    metrics: tuple[Registered[Metric], ...] = ()
    sections: tuple[Registered[Section], ...] = ()
    disputed: tuple[Registered[Any], ...] = ()
    broken: tuple[Broken, ...] = ()
    disabled: tuple[Disabled, ...] = ()

    def guide(self, name: str) -> Registered[Guide]:
        """Return the guide called `name` (an alias or ``DISTRIBUTION/NAME`` will do)."""
        return _find("guide", name, self.guides, self._disputed(Guide), self._lost())

    def problem(self, name: str) -> Registered[Problem]:
        """Return the problem called `name` (``DISTRIBUTION/NAME`` will do)."""
        return _find("problem", name, self.problems, self._disputed(Problem), self._lost())

    def default_guides(self) -> tuple[Registered[Guide], ...]:
        """Return the default set: guidebench's own guides that are marked so."""
        return tuple(one for one in self.guides if one.distribution == OWN and one.declaration.default)

    def _lost(self) -> str:
        """Return what may have kept a name from being known."""
        counts = {"broken": len(self.broken), "disabled": len(self.disabled)}
        lost = " and ".join(f"{count} {what} plugin(s)" for what, count in counts.items() if count)
        return f" ({lost}: see 'guidebench list')" if lost else ""

    def _disputed(self, kind: type) -> tuple[Registered[Any], ...]:
        return tuple(one for one in self.disputed if isinstance(one.declaration, kind))


def _find(
    kind: str,
    name: str,
    known: Sequence[Registered[Any]],
    disputed: Sequence[Registered[Any]],
    lost: str,
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
    parts = [part.strip() for part in name.split(",")]
    if len(parts) > 1 and set(parts) <= set(names):
        hint = f"name {' and '.join(map(repr, parts))} each on its own"
    elif close:
        hint = f"did you mean {close[0]!r}?"
    elif len(known) > MOST_NAMED:
        hint = f"'guidebench list' shows the {len(known)} there are"
    else:
        hint = f"known: {', '.join(one.name for one in known)}"
    raise RequestError(f"no {kind} is called {name!r}; {hint}{lost}")


def load_registry(*, third_parties: bool = True, local: Sequence[Source] = ()) -> Registry:
    """Load the installed plugins of the entry-point group ``guidebench``, once per process, and local ones.

    Parameters
    ----------
    third_parties : bool
        Whether to import the plugins of other distributions than guidebench itself.
    local : sequence of Source
        Further plugins, which are not installed.
    """
    disable = os.environ.get(DISABLE, "")
    if not local:
        return _load_installed(third_parties, disable)
    points = entry_points(group=hookspecs.PROJECT)
    return build_registry(points, third_parties=third_parties, local=local, disable=disable)


@cache
def _load_installed(third_parties: bool, disable: str) -> Registry:
    return build_registry(entry_points(group=hookspecs.PROJECT), third_parties=third_parties, disable=disable)


def others_installed(*, third_parties: bool = True) -> bool:
    """Return whether :func:`load_registry` would import a plugin of another distribution than guidebench."""
    disable = os.environ.get(DISABLE, "")
    found = (Source.installed(point) for point in entry_points(group=hookspecs.PROJECT))
    return any(one.distribution != OWN and not _disabled_by(one, third_parties, disable) for one in found)


def build_registry(
    points: Iterable[EntryPoint],
    *,
    third_parties: bool = True,
    local: Iterable[Source] = (),
    disable: str = "",
) -> Registry:
    """Load the given entry points and local plugins, and sort what they declare.

    Parameters
    ----------
    points : iterable of EntryPoint
        Of installed distributions.
    third_parties : bool
        Whether to load those of others than guidebench.
    local : iterable of Source
        Plugins that are not installed; they are loaded in any case.
    disable : str
        What :data:`DISABLE` says.
    """
    broken: list[Broken] = []
    disabled: list[Disabled] = []
    found: list[Registered[Any]] = []
    installed = sorted(
        (Source.installed(point) for point in points),
        key=lambda one: (one.distribution != OWN, one.distribution, one.plugin),
    )
    for source in installed:
        by = _disabled_by(source, third_parties, disable)
        if by:
            disabled.append(Disabled(source.plugin, source.distribution, by))
        else:
            found.extend(_declarations(source, broken.append))
    for source in local:
        found.extend(_declarations(source, broken.append))
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
        disabled=tuple(disabled),
    )


def _disabled_by(source: Source, third_parties: bool, disable: str) -> str:
    """Return what keeps an installed plugin out, or nothing; guidebench's own are always there."""
    if source.distribution == OWN:
        return ""
    if not third_parties:
        return "--no-plugins"
    names = {_normal(name) for name in disable.split(",") if name.strip()}
    if names & {_normal(source.plugin), _normal(source.distribution), *_EVERYBODY}:
        return DISABLE
    return ""


def _normal(name: str) -> str:
    """Return the name of a distribution as it is compared: Foo.Bar is foo-bar."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _distribution(point: EntryPoint) -> str:
    # The name is missing where an uninstallation was interrupted.
    if point.dist is None or "Name" not in point.dist.metadata:
        return "unknown"
    return point.dist.metadata["Name"]


def _declarations(source: Source, report: Callable[[Broken], None]) -> list[Registered[Any]]:
    """Load one plugin and return what it declares; report what is wrong with it."""

    def fail(reason: str, hook: str = "", trace: str = "") -> None:
        report(Broken(source.plugin, source.distribution, reason, hook, trace))

    def boundary(phase: Phase) -> Boundary:
        return Boundary(phase, plugin=source.plugin, distribution=source.distribution)

    module = None
    with boundary("import") as loading:
        module = source.load()
    if loading.failure is not None:
        fail(f"failed on import with {loading.failure.message}", trace=loading.failure.traceback)
        return []

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    marked: set[str] = set()
    named: set[str] = set()
    with boundary("hook") as registering:
        manager.register(module, name=source.plugin)
        marked = {caller.name for caller in manager.get_hookcallers(module) or []}
        named = {name for name in dir(module) if name.startswith(_PREFIX) and callable(getattr(module, name, None))}
    if registering.failure is not None:
        message, trace = registering.failure.message, registering.failure.traceback
        hook = next((name for name in HOOKS if repr(name) in trace), "")
        fail(f"does not fit the hooks: {message}", hook, trace)
        return []

    found: list[Registered[Any]] = []
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
        results: list[Any] = []
        declared: list[Any] = []
        with boundary("hook") as calling:
            results = getattr(manager.hook, name)()
            declared = [one for result in results for one in result]
        if calling.failure is not None:
            fail(f"raised {calling.failure.message}", name, calling.failure.traceback)
            continue
        if not results:
            fail(
                f"returned None where {HOOKS[name].__name__} records belong; return a list of them or yield them", name
            )
        for one in declared:
            if isinstance(one, HOOKS[name]):
                found.append(Registered(one, source.plugin, source.distribution))
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
