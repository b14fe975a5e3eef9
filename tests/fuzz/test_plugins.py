"""Declarations of any kind: a plugin that makes them is listed, or named with what is wrong."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from guidebench import Guide, Metric, Problem, Section, hookimpl
from guidebench.cli import tables
from guidebench.cli.format import print_json
from guidebench.plugins.isolation.time_limit import TimeLimit
from guidebench.plugins.registry import Source, build_registry
from guidebench.request.selection import choose_guides
from tests.fuzz.conftest import LONGEST, one_line


class Rude:
    """Cannot be told, compared or counted."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __eq__ = __hash__ = __len__ = __bool__ = __iter__ = __repr__  # type: ignore[assignment]


class Leaving:
    def __repr__(self) -> str:
        raise SystemExit(0)


def build(model: Any, *, rank: int = 3, link: str = "relu") -> None:
    """Build nothing."""


def builds(default: Any) -> Callable[..., None]:
    def one(model: Any, *, option: Any = default) -> None:
        pass

    return one


TEXTS = st.text(alphabet=st.characters(exclude_categories=()), max_size=8)
NAMES = st.sampled_from(("mine", "mean_field", "all", "funnel", "elbo", "summary", "a/b", "", "x" * 300)) | TEXTS
ANYTHING = st.one_of(
    NAMES,
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(NAMES, max_size=2),
    st.lists(NAMES, max_size=2).map(tuple),
    st.dictionaries(NAMES, st.integers(), max_size=2),
    st.sampled_from((Rude, Leaving)).map(lambda kind: kind()),
    st.sampled_from((build, print, int, Rude, lambda: None, lambda *_, **__: None, object())),
    st.sampled_from((Rude, Leaving)).map(lambda kind: builds(kind())),
    st.integers().map(builds),
)
KINDS: dict[str, tuple[type, tuple[str, ...]]] = {
    "guidebench_guides": (
        Guide,
        ("build", "summary", "family", "bound", "aliases", "fit", "supports", "cite", "default"),
    ),
    "guidebench_problems": (Problem, ("model", "args", "kwargs", "observed", "truth", "load", "notes", "summary")),
    "guidebench_metrics": (
        Metric,
        ("compute", "needs", "values", "title", "unit", "summary", "columns", "rule"),
    ),
    "guidebench_sections": (Section, ("title", "build", "order", "summary")),
}
#: Without these a declaration is none.
LEAST: dict[type, dict[str, Any]] = {
    Guide: {"build": build},
    Problem: {"model": build},
    Metric: {"compute": build},
    Section: {"title": "Mine", "build": build},
}


@st.composite
def declared(draw: st.DrawFn, hook: str) -> Callable[[], Any]:
    """Return what makes declarations inside a hook, as a plugin does."""
    kind, parts = KINDS[hook]
    given = draw(
        st.lists(st.tuples(NAMES | ANYTHING, st.dictionaries(st.sampled_from(parts), ANYTHING, max_size=3)), max_size=3)
    )
    odd = draw(st.lists(ANYTHING, max_size=1))

    def make() -> Any:
        yield from odd
        for name, more in given:
            yield kind(**{**LEAST[kind], **more, "name": name})

    return make


@st.composite
def plugins(draw: st.DrawFn) -> dict[str, Callable[[], Any]]:
    hooks = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=2, unique=True))
    return {hook: draw(declared(hook)) for hook in hooks}


def module(hooks: dict[str, Callable[[], Any]]) -> SimpleNamespace:
    found = SimpleNamespace()
    for name, make in hooks.items():
        namespace: dict[str, Any] = {"make": make}
        exec(f"def {name}():\n    return list(make())", namespace)  # noqa: S102 - a function of this name
        setattr(found, name, hookimpl(namespace[name]))
    return found


def an_option(default: Any) -> dict[str, Callable[[], Any]]:
    def make() -> Any:
        yield Guide(name="mine", build=builds(default))

    return {"guidebench_guides": make}


@given(hooks=plugins())
@example(hooks=an_option(Rude()))
@example(hooks=an_option(Leaving()))
@example(hooks=an_option("\x1b[31m\ud800"))
def test_any_declaration_is_listed_or_named(hooks: dict[str, Callable[[], Any]]) -> None:
    with TimeLimit(LONGEST), redirect_stdout(io.StringIO()) as said:
        registry = build_registry((), local=[Source("mine", "acme", lambda: module(hooks))])
        tables.print_registry(registry)
        print_json(tables.plain_registry(registry))
        for one in registry.guides:
            one_line(lambda one=one: choose_guides(registry, [one.name]))  # type: ignore[misc]
    assert "\x1b" not in said.getvalue()
    listed = (*registry.guides, *registry.problems, *registry.metrics, *registry.sections, *registry.broken)
    assert listed or not any(list(_made(make)) for make in hooks.values())


def _made(make: Callable[[], Any]) -> Any:
    try:
        yield from make()
    except BaseException:  # noqa: BLE001 - of whatever was generated
        yield None
