"""Discovery: each way in which a plugin can be broken is named, and stops nobody else."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from textwrap import dedent

import pytest

from guidebench.config.errors import RequestError
from guidebench.plugins.registry import Broken, Registry, build_registry, load_registry

IMPORTS = "from guidebench import Guide, Metric, Problem, hookimpl\n"


class InMemory(Distribution):
    """An installed distribution with one entry point, of which only the metadata exist."""

    def __init__(self, name: str | None, value: str, plugin: str) -> None:
        self._files = {"entry_points.txt": f"[guidebench]\n{plugin} = {value}\n", "METADATA": "Metadata-Version: 2.1\n"}
        if name is not None:
            self._files["METADATA"] += f"Name: {name}\nVersion: 1\n"

    def read_text(self, filename: str) -> str | None:
        return self._files.get(filename)

    def locate_file(self, path: object) -> Path:
        raise FileNotFoundError(path)


Install = Callable[..., EntryPoint]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Make a plugin from the source of its module; return its entry point."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def make(source: str, *, distribution: str | None = "acme-guides", attribute: str = "") -> EntryPoint:
        module = f"made_{len(list(tmp_path.iterdir()))}"
        (tmp_path / f"{module}.py").write_text(IMPORTS + dedent(source), encoding="utf-8")
        (point,) = InMemory(distribution, module + attribute, plugin=module).entry_points
        return point

    yield make
    for module in set(sys.modules) - before:
        if module.startswith("made_"):
            del sys.modules[module]


def bundled() -> list[EntryPoint]:
    return [point for point in entry_points(group="guidebench") if point.dist and point.dist.name == "guidebench"]


def guide(name: str, *, build: str = "lambda model: None", more: str = "") -> str:
    return f"""
@hookimpl
def guidebench_guides():
    yield Guide(name={name!r}, build={build}, {more})
"""


GOOD = guide("fine", build="lambda model, *, scale=0.1: None", more="aliases=('AutoFine',)")

HOOKS = "guidebench_guides, guidebench_problems, guidebench_metrics, guidebench_sections"

#: Source of the plugin's module, the hook it fails in, and what its reason says.
BROKEN = {
    "raises on import": (
        "raise RuntimeError('no GPU\\nin sight')",
        "",
        "failed on import with RuntimeError: no GPU in sight",
    ),
    "raises without a message": ("raise LookupError", "", "failed on import with LookupError"),
    "leaves the interpreter on import": ("raise SystemExit(3)", "", "failed on import with SystemExit: 3"),
    "does not parse": ("def build(:", "", "failed on import with SyntaxError: invalid syntax"),
    "needs what is not there": (
        "import a_module_that_nobody_has",
        "",
        "failed on import with ModuleNotFoundError: No module named 'a_module_that_nobody_has'",
    ),
    "misspells the hook": (
        guide("x").replace("_guides", "_guide"),
        "guidebench_guide",
        "there is no such hook; did you mean 'guidebench_guides'?",
    ),
    "invents a hook": (
        guide("x").replace("_guides", "_xyz_at_startup"),
        "guidebench_xyz_at_startup",
        f"there is no such hook; the hooks are {HOOKS}",
    ),
    "forgets the prefix": (
        guide("x").replace("guidebench_guides", "guides"),
        "guides",
        "there is no such hook; did you mean 'guidebench_guides'?",
    ),
    "misspells a hook and does not mark it": (
        "def guidebench_problem(): return []",
        "guidebench_problem",
        "there is no such hook; did you mean 'guidebench_problems'?",
    ),
    "does not mark the hook": (
        "def guidebench_guides(): return []",
        "guidebench_guides",
        "is not marked with @guidebench.hookimpl, so it is not called",
    ),
    "raises while yielding": (
        guide("x") + "    raise KeyError('weights')\n",
        "guidebench_guides",
        "raised KeyError: 'weights'",
    ),
    "returns nothing": (
        "@hookimpl\ndef guidebench_metrics(): pass",
        "guidebench_metrics",
        "returned None where Metric records belong; return a list of them or yield them",
    ),
    "returns a guide instead of a list": (
        guide("x").replace("yield", "return"),
        "guidebench_guides",
        "raised TypeError: 'Guide' object is not iterable",
    ),
    "yields another kind": (
        guide("x").replace("_guides", "_problems"),
        "guidebench_problems",
        "declared a Guide where a Problem belongs",
    ),
    "yields a string": (
        "@hookimpl\ndef guidebench_guides(): return ['AutoNormal']",
        "guidebench_guides",
        "declared a str where a Guide belongs",
    ),
    "asks the hook for arguments": (
        guide("x").replace("()", "(config)"),
        "guidebench_guides",
        "does not fit the hooks: PluginValidationError: ",
    ),
    "implements nothing": ("x = 1", "", f"implements no hook; the hooks are {HOOKS}"),
    "takes options by position": (
        guide("x", build="lambda model, scale=1: None"),
        "guidebench_guides",
        "raised PluginError: guide 'x': build takes options as keyword-only arguments; put a '*' before scale",
    ),
    "has an option without default": (
        guide("x", build="lambda model, *, scale: None"),
        "guidebench_guides",
        "raised PluginError: guide 'x': option 'scale' of build needs a default",
    ),
    "has a bad family": (
        guide("x", more="family='gaussian'"),
        "guidebench_guides",
        "raised PluginError: guide 'x': family 'gaussian' is not one of none, diagonal, affine",
    ),
    "takes a bundled name": (
        guide("auto_normal"),
        "guidebench_guides",
        "the guide name 'auto_normal' belongs to guidebench; choose another",
    ),
    "takes a bundled alias": (
        guide("AutoNormal".lower(), more="aliases=('AutoNormal',)"),
        "guidebench_guides",
        "the guide name 'AutoNormal' belongs to guidebench; choose another",
    ),
    "takes a bundled metric": (
        "@hookimpl\ndef guidebench_metrics(): yield Metric(name='elbo', compute=print)",
        "guidebench_metrics",
        "the metric name 'elbo' belongs to guidebench; choose another",
    ),
}


def names(registry: Registry) -> dict[str, list[str]]:
    kinds = ("guides", "problems", "metrics", "sections", "disputed")
    return {kind: [f"{one.distribution}/{one.name}" for one in getattr(registry, kind)] for kind in kinds}


@pytest.mark.parametrize(("source", "hook", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_plugin_is_named_and_stops_nobody(install: Install, source: str, hook: str, reason: str) -> None:
    bad = install(source, distribution="acme-broken")
    good = install(GOOD)
    registry = build_registry([bad, *bundled(), good])

    (broken,) = registry.broken
    assert (broken.plugin, broken.distribution, broken.hook) == (bad.name, "acme-broken", hook)
    assert broken.reason.startswith(reason)
    for part in (bad.name, "acme-broken", hook, reason):
        assert part in str(broken)
    assert "\n" not in str(broken)
    assert names(registry) == names(build_registry([*bundled(), good]))
    assert registry.guide("fine").distribution == "acme-guides"


def test_the_reason_keeps_its_traceback(install: Install) -> None:
    (broken,) = build_registry([install("raise RuntimeError('no GPU')")]).broken
    assert 'raise RuntimeError("no GPU")' in broken.traceback.replace("'", '"')


def test_arguments_that_no_hook_passes_are_named(install: Install) -> None:
    (broken,) = build_registry([install(guide("x").replace("()", "(config)"))]).broken
    assert "config" in broken.reason


def test_what_is_right_in_a_plugin_survives_what_is_wrong(install: Install) -> None:
    point = install(GOOD + "@hookimpl\ndef guidebench_metrics(): raise OSError('disk')\n")
    registry = build_registry([point])
    assert [one.name for one in registry.guides] == ["fine"]
    assert registry.broken == (Broken(point.name, "acme-guides", "raised OSError: disk", "guidebench_metrics"),)


@pytest.mark.parametrize(
    ("source", "attribute", "reason"),
    [
        pytest.param("NAMES = ('mean_field',)", ":NAMES", "implements no hook", id="an object without hooks"),
        pytest.param("x = 1", ":missing", "failed on import with AttributeError", id="no such attribute"),
        pytest.param("x = 1", ".deeper", "failed on import with ModuleNotFoundError", id="no such module"),
    ],
)
def test_an_entry_point_may_name_anything(install: Install, source: str, attribute: str, reason: str) -> None:
    registry = build_registry([install(source, attribute=attribute), *bundled()])
    assert [one.reason.startswith(reason) for one in registry.broken] == [True]
    assert registry.default_guides()


def test_hooks_may_be_methods_of_an_object(install: Install) -> None:
    source = "class Plugin:\n    @hookimpl\n    def guidebench_guides(self): yield Guide(name='fine', build=print1)\n"
    source = "def print1(model): ...\n" + source + "plugin = Plugin()\n"
    registry = build_registry([install(source, attribute=":plugin")])
    assert (registry.guide("fine").name, registry.broken) == ("fine", ())


def test_a_distribution_without_a_name_is_no_obstacle(install: Install) -> None:
    registry = build_registry([install(GOOD, distribution=None), *bundled()])
    assert registry.guide("fine").distribution == "unknown"


# Names claimed twice


def test_two_claims_on_a_name_are_both_refused_until_one_is_chosen(install: Install) -> None:
    first, second = install(guide("flow"), distribution="acme"), install(guide("flow"), distribution="zenith")
    registry = build_registry([second, *bundled(), first, install(GOOD)])

    reason = "the guide name 'flow' is also declared by {}; ask for it as '{}/flow'"
    assert registry.broken == (
        Broken(first.name, "acme", reason.format("zenith", "acme"), "guidebench_guides"),
        Broken(second.name, "zenith", reason.format("acme", "zenith"), "guidebench_guides"),
    )
    assert "flow" not in [one.name for one in registry.guides]
    for distribution in ("acme", "zenith"):
        assert registry.guide(f"{distribution}/flow").distribution == distribution
    with pytest.raises(RequestError, match="declared by several distributions; choose acme/flow or zenith/flow"):
        registry.guide("flow")


def test_an_alias_is_a_claim_too(install: Install) -> None:
    first = install(guide("planar", more="aliases=('Flow',)"), distribution="acme")
    second = install(guide("radial", more="aliases=('Flow',)"), distribution="zenith")
    registry = build_registry([first, second])
    assert [one.qualified_name for one in registry.disputed] == ["acme/planar", "zenith/radial"]
    with pytest.raises(RequestError, match="acme/planar or zenith/radial"):
        registry.guide("Flow")


def test_one_name_for_a_guide_and_a_problem_is_no_clash(install: Install) -> None:
    source = "@hookimpl\ndef guidebench_problems(): yield Problem(name='flow', model=print)\n"
    registry = build_registry([install(guide("flow")), install(source, distribution="zenith")])
    assert (registry.guide("flow").name, registry.problem("flow").name, registry.broken) == ("flow", "flow", ())


def test_a_name_declared_twice_by_one_distribution_is_kept_once(install: Install) -> None:
    source = guide("flow", more="summary='one'") + "    yield Guide(name='flow', build=print)\n"
    registry = build_registry([install(source.replace("print", "lambda model: None"))])
    assert registry.guide("flow").declaration.summary == "one"
    assert [one.reason for one in registry.broken] == ["the guide name 'flow' is declared twice"]


def test_a_refused_plugin_claims_nothing(install: Install) -> None:
    thief = install(guide("auto_normal", more="aliases=('flow',)"), distribution="acme")
    registry = build_registry([thief, install(guide("flow"), distribution="zenith"), *bundled()])
    assert registry.guide("flow").distribution == "zenith"
    assert registry.guide("auto_normal").distribution == "guidebench"
    assert [one.distribution for one in registry.broken] == ["acme"]


def test_only_bundled_guides_are_in_the_default_set(install: Install) -> None:
    registry = build_registry([*bundled(), install(guide("mine", more="default=True"))])
    assert [one.name for one in registry.default_guides()] == [
        "mean_field",
        "auto_normal",
        "auto_delta",
        "auto_multivariate_normal",
        "auto_laplace_approximation",
        "auto_iaf_normal",
    ]


def test_the_order_of_entry_points_changes_nothing(install: Install) -> None:
    sources = [*(source for source, _, _ in BROKEN.values()), guide("flow"), guide("flow"), GOOD]
    points = [install(source, distribution=f"acme-{index}") for index, source in enumerate(sources)]
    points += bundled()
    expected = build_registry(points)
    assert len(expected.broken) == len(BROKEN) + 2
    for seed in range(5):
        registry = build_registry(random.Random(seed).sample(points, len(points)))
        assert registry.broken == expected.broken
        assert names(registry) == names(expected)


# Looking up


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("fine", "acme-guides/fine"),
        ("AutoFine", "acme-guides/fine"),
        ("acme-guides/fine", "acme-guides/fine"),
        ("AutoIAFNormal", "guidebench/auto_iaf_normal"),
        ("guidebench/mean_field", "guidebench/mean_field"),
    ],
)
def test_a_guide_answers_to_its_names(install: Install, asked: str, found: str) -> None:
    assert build_registry([*bundled(), install(GOOD)]).guide(asked).qualified_name == found


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("mean-field", "no guide is called 'mean-field'; did you mean 'mean_field'?"),
        ("AutoNormall", "no guide is called 'AutoNormall'; did you mean 'AutoNormal'?"),
        ("zzz", "no guide is called 'zzz'; known: mean_field, auto_normal"),
        ("", "no guide is called ''; known: mean_field, auto_normal"),
        ("nobody/fine", "no guide is called 'nobody/fine'"),
    ],
)
def test_an_unknown_name_gets_a_hint(asked: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        build_registry(bundled()).guide(asked)
    assert str(caught.value).startswith(message)


def test_many_names_are_not_all_said(install: Install) -> None:
    many = """
    @hookimpl
    def guidebench_problems():
        return [Problem(name=f"acme/{number}", model=lambda: None) for number in range(30)]
    """
    found = build_registry([*bundled(), install(many)])
    with pytest.raises(RequestError, match=r"^no problem is called 'zzz'; 'guidebench list' shows the \d\d there are$"):
        found.problem("zzz")


def test_an_unknown_name_points_to_broken_plugins(install: Install) -> None:
    registry = build_registry([*bundled(), install("raise OSError")])
    with pytest.raises(RequestError, match=r"\(1 broken plugin\(s\): see 'guidebench list'\)"):
        registry.guide("fine")


def test_what_is_installed_loads_without_complaint() -> None:
    registry = load_registry()
    assert load_registry() is registry
    assert [one for one in registry.broken if one.distribution == "guidebench"] == []


def every(registry: Registry) -> Iterable[tuple[str, str]]:
    for kind in ("guides", "problems", "metrics", "sections"):
        for one in getattr(registry, kind):
            yield kind, one


def test_everything_bundled_says_what_it_is() -> None:
    for kind, one in every(build_registry(bundled())):
        assert one.declaration.summary, f"{kind} {one.name} has no summary"
