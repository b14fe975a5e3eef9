"""Turning what the user typed into guides and problems."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from guidebench.config import RunConfig, make_config, specs
from guidebench.config.errors import RequestError, opt
from guidebench.contracts import Guide, Problem, not_loaded
from guidebench.plugins.isolation.failures import reason
from guidebench.plugins.isolation.state import restored
from guidebench.plugins.registry import Registered, Registry
from guidebench.request.loading.objects import is_object_path, load_object, split_object_path
from guidebench.request.own_guides import YOURS, declare, fit_name


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


def choose_guides(registry: Registry, given: Sequence[Any]) -> tuple[ChosenGuide, ...]:
    """Return the guides that the user's words and objects stand for.

    Parameters
    ----------
    registry : Registry
        The guides there are.
    given : sequence
        ``NAME[:opt=val,...]`` with the name of a guide; ``default`` and ``all``, which are sets;
        ``FILE.py:GUIDE`` or ``PKG.MODULE:GUIDE`` of the user's own; or what
        :func:`guidebench.request.own_guides.declare` takes.

    Raises
    ------
    RequestError
        Where a guide or an option is unknown, or a value has the wrong type.
    """
    chosen: dict[str, ChosenGuide] = {}
    for position, spec in enumerate(given):
        if any(spec is earlier or (isinstance(spec, str) and spec == earlier) for earlier in given[:position]):
            continue
        for one in _chosen(registry, spec):
            label = one.label if _under_its_own_name(one) else _free(one.label, registry, chosen)
            chosen.setdefault(label, replace(one, label=label))
    return tuple(chosen.values())


def _chosen(registry: Registry, spec: Any) -> Iterator[ChosenGuide]:
    """Yield what one spec stands for: a guide, or those of a set."""
    if not isinstance(spec, str):
        yield _own(registry, spec, None)
        return
    name, colon, text = spec.partition(":")
    if name in ("default", "all") and not colon:
        members = registry.default_guides() if name == "default" else registry.guides
        yield from (ChosenGuide(registered=one, label=one.name) for one in members)
        if not members:
            raise RequestError(f"the guide set {name!r} is empty; see 'guidebench list'")
    elif is_object_path(spec) and not _is_registered(registry, name):
        path, rest = split_object_path(spec)
        found = load_object(path)
        try:
            if isinstance(found, (list, tuple)) and rest is None:
                yield from (one for member in found for one in _chosen(registry, member))
            else:
                yield _called(path.rpartition(":")[2], found, _own(registry, found, rest), rest)
        except RequestError as error:
            raise RequestError(f"{path}: {error.text}") from None
    else:
        registered = registry.guide(name)
        options = _options(registered.declaration, text) if colon else {}
        yield _labelled(registry, registered, options)


def _called(name: str, given: Any, one: ChosenGuide, text: str | None) -> ChosenGuide:
    """Return a guide under the name that it has in the user's file, where what stands there has another or none."""
    if isinstance(given, Guide) or not name.isidentifier() or getattr(given, "__name__", None) == name:
        return one
    return replace(one, label=fit_name(name) + (f":{text}" if text else ""))


def _under_its_own_name(one: ChosenGuide) -> bool:
    """Return whether a guide is a registered one, and called so."""
    names = (one.registered.name, one.registered.qualified_name)
    return one.registered.distribution != YOURS and one.label.partition(":")[0] in names


def _is_registered(registry: Registry, name: str) -> bool:
    known = (*registry.guides, *registry.disputed)
    return any(name in (*one.answers_to(), one.qualified_name) for one in known)


def _own(registry: Registry, given: Any, text: str | None) -> ChosenGuide:
    """Return a guide from an object of the user's, with the options in `text` where it has any."""
    found = declare(given, registry)
    guide = found.registered.declaration
    known = guide.options()
    values = {
        key: specs.fitting(f"guide {guide.name!r}", key, found.options[key], known[key])
        for key in known
        if key in found.options
    }
    if text is not None:
        values |= _options(guide, text)
    one = _labelled(registry, found.registered, {key: values[key] for key in known if key in values})
    return replace(one, label=f"{one.label}:{found.remark}") if found.remark else one


def _labelled(registry: Registry, registered: Registered[Guide], options: Mapping[str, Any]) -> ChosenGuide:
    short = registered.qualified_name if registered in registry.disputed else registered.name
    label = short + (":" + ",".join(f"{key}={value}" for key, value in options.items()) if options else "")
    return ChosenGuide(registered=registered, label=label, options=options)


def _free(label: str, registry: Registry, taken: Container[str]) -> str:
    """Return a label for a guide of the user's that no other guide goes by."""
    name, colon, rest = label.partition(":")
    if _is_registered(registry, name):
        name = f"{name}-own"
    unique, count = f"{name}{colon}{rest}", 1
    while unique in taken:
        count += 1
        unique = f"{name}-{count}{colon}{rest}"
    return unique


def _options(guide: Guide, text: str) -> dict[str, Any]:
    return specs.options(f"guide {guide.name!r}", text, guide.options())


def choose_problems(
    registry: Registry, patterns: Sequence[str], config: RunConfig | None = None
) -> tuple[Problem, ...]:
    """Return the problems that targets name, in the order given.

    Parameters
    ----------
    registry : Registry
        The problems there are.
    patterns : sequence of str
        Names and globs of problems; ``FILE.py:MODEL`` or ``MODULE:MODEL`` of the user's own.
    config : RunConfig, optional
        Says where the data of the user's own models are, and what to change about any problem.

    Raises
    ------
    RequestError
        Where a target matches nothing, two problems have one name, or the data do not fit.
    """
    config = make_config({}) if config is None else config
    # No problem has a colon in its name.
    own = tuple(dict.fromkeys(pattern for pattern in patterns if ":" in pattern or pattern.endswith(".py")))
    bundled = {pattern: _bundled(registry, pattern, config) for pattern in patterns if pattern not in own}
    for option, file in (("data", config.data), ("test", config.test)):
        if file is not None and not own:
            first = next(iter(bundled.values()))[0].name
            raise RequestError(
                f"{opt(option)} {file} goes with a model of your own, FILE.py:MODEL; {first} has its own data"
            )
    if config.test is not None and config.heldout is not None:
        raise RequestError(
            f"{opt('heldout')} {config.heldout:g} and {opt('test')} {config.test} both say what is held out; give one"
        )
    made: dict[str, tuple[Problem, ...]] = dict(bundled)
    if own:
        from guidebench.request.loading.problem import own_problems

        made.update({target: (problem,) for target, problem in zip(own, own_problems(own, config), strict=True)})
    chosen: dict[str, Problem] = {}
    for pattern in patterns:
        for match in made[pattern]:
            if chosen.setdefault(match.name, match) is not match:
                raise RequestError(f"{pattern!r} is another problem called {match.name!r}; run it on its own")
    if not (config.static or config.observed or config.heldout):
        return tuple(chosen.values())
    from guidebench.request.loading.problem import adapted, check_names

    check_names(tuple(chosen.values()), config)
    ours = {problem.name for target in own for problem in made[target]}
    return tuple(problem if name in ours else adapted(problem, config) for name, problem in chosen.items())


def _bundled(registry: Registry, pattern: str, config: RunConfig) -> tuple[Problem, ...]:
    if not any(mark in pattern for mark in "*?["):
        return (loaded(registry.problem(pattern), config),)
    matches = tuple(loaded(one, config) for one in registry.problems if fnmatchcase(one.name, pattern))
    if not matches:
        raise RequestError(f"no problem matches {pattern!r}; see 'guidebench list'")
    return matches


def loaded(registered: Registered[Problem], config: RunConfig) -> Problem:
    """Return a problem with its data, which are read now where it reads them itself.

    Raises
    ------
    RequestError
        Where they cannot be had.
    """
    problem = registered.declaration
    if problem.load is None:
        return problem
    try:
        with restored():
            found: object = problem.load(config)
    except RequestError:
        raise
    except (Exception, SystemExit) as error:
        where = f"problem {problem.name!r} (plugin {registered.plugin!r} of {registered.distribution})"
        raise RequestError(f"{where}: its data could not be loaded: {reason(error)}") from error
    if not isinstance(found, Problem) or found.name != problem.name or found.model is not_loaded:
        raise RequestError(f"problem {problem.name!r}: load must return it whole, under the same name")
    return found
