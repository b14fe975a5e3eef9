"""From what the user typed to guides with options, and to problems."""

from __future__ import annotations

from typing import Any

import pytest

from guidebench.config.errors import RequestError
from guidebench.contracts import Guide, Problem
from guidebench.plugins.registry import Registered, Registry
from guidebench.request.selection import choose_guides, choose_problems


def build(
    model: object,
    *,
    rank: int = 2,
    scale: float = 0.1,
    exact: bool = False,
    link: str = "relu",
    width: Any = None,
    init_loc_fn: Any = None,
) -> None:
    """One option of each kind."""


def registered(declaration: Any, distribution: str = "guidebench") -> Registered[Any]:
    return Registered(declaration, plugin="p", distribution=distribution)


GUIDES = (
    Guide(name="flow", build=build, aliases=("AutoFlow",)),
    Guide(name="plain", build=lambda model: None, default=True),
    Guide(name="other", build=lambda model: None, default=True),
)
PROBLEMS = tuple(Problem(name=name, model=print) for name in ("line", "linear", "wells"))

REGISTRY = Registry(
    guides=(*map(registered, GUIDES), registered(Guide(name="mine", build=build), "acme")),
    problems=tuple(map(registered, PROBLEMS)),
    disputed=(
        registered(Guide(name="twice", build=build), "acme"),
        registered(Guide(name="twice", build=build), "zenith"),
        registered(Problem(name="eight", model=print), "acme"),
        registered(Problem(name="eight", model=repr), "zenith"),
    ),
)


@pytest.mark.parametrize(
    ("specs", "labels"),
    [
        (["flow"], ["flow"]),
        (["AutoFlow"], ["flow"]),
        (["guidebench/flow"], ["flow"]),
        (["default"], ["plain", "other"]),
        (["all"], ["flow", "plain", "other", "mine"]),
        (["other", "default"], ["other", "plain"]),
        (["flow", "AutoFlow", "flow"], ["flow"]),
        (["flow:rank=3", "flow"], ["flow:rank=3", "flow"]),
        (["flow:rank=3", "AutoFlow:rank=3"], ["flow:rank=3"]),
        (["flow:scale=1,rank=3", "flow:rank=3,scale=1.0"], ["flow:rank=3,scale=1.0"]),
        (["flow: rank = 3 "], ["flow:rank=3"]),
        (["acme/twice", "zenith/twice:rank=1"], ["acme/twice", "zenith/twice:rank=1"]),
        ([], []),
    ],
)
def test_specs_become_labels(specs: list[str], labels: list[str]) -> None:
    assert [guide.label for guide in choose_guides(REGISTRY, specs)] == labels


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("rank=3", {"rank": 3}),
        ("rank=-3", {"rank": -3}),
        ("scale=3", {"scale": 3.0}),
        ("scale=1e-3", {"scale": 0.001}),
        ("exact=true", {"exact": True}),
        ("exact=False", {"exact": False}),
        ("link=elu", {"link": "elu"}),
        ("link=16", {"link": "16"}),
        ("link=none", {"link": "none"}),
        ("width=16", {"width": 16}),
        ("width=none", {"width": None}),
        ("width=wide", {"width": "wide"}),
        ("width={[]: 1}", {"width": "{[]: 1}"}),
        ("exact=true,rank=1", {"rank": 1, "exact": True}),
    ],
)
def test_options_have_the_type_of_their_default(text: str, options: dict[str, Any]) -> None:
    (chosen,) = choose_guides(REGISTRY, [f"flow:{text}"])
    assert chosen.options == options
    assert [type(value) for value in chosen.options.values()] == [type(value) for value in options.values()]
    assert chosen.declaration is GUIDES[0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("flow:rank=2.5", "guide 'flow': option 'rank' takes int (default 2), not '2.5'"),
        ("flow:rank=true", "guide 'flow': option 'rank' takes int (default 2), not 'true'"),
        ("flow:scale=true", "guide 'flow': option 'scale' takes float (default 0.1), not 'true'"),
        ("flow:scale=", "guide 'flow': option 'scale' takes float (default 0.1), not ''"),
        ("flow:exact=1", "guide 'flow': option 'exact' takes bool (default False), not '1'"),
        ("flow:rank", "guide 'flow': 'rank' is not OPTION=VALUE"),
        ("flow:", "guide 'flow': '' is not OPTION=VALUE"),
        ("flow:rank=1,", "guide 'flow': '' is not OPTION=VALUE"),
        ("flow:rank=1,rank=2", "guide 'flow': option 'rank' is given twice"),
        ("flow:depth=1", "guide 'flow' has no option 'depth'; its options are rank, scale, exact, link, width"),
        ("flow:init_loc_fn=1", "guide 'flow' has no option 'init_loc_fn'; its options are "),
        ("plain:rank=1", "guide 'plain' has no option 'rank'; its options are none"),
        ("flown", "no guide is called 'flown'; did you mean 'flow'?"),
        ("flow, plain", "no guide is called 'flow, plain'; name 'flow' and 'plain' each on its own"),
        ("twice", "guide 'twice' is declared by several distributions; choose acme/twice or zenith/twice"),
        ("all:rank=1", "no guide is called 'all'; "),
    ],
)
def test_a_wrong_spec_is_explained(spec: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        choose_guides(REGISTRY, ["plain", spec])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", ["default", "all"])
def test_an_empty_set_is_no_choice(name: str) -> None:
    with pytest.raises(RequestError, match=f"the guide set '{name}' is empty; see 'guidebench list'"):
        choose_guides(Registry(), [name])


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["line"], ["line"]),
        (["wells", "line"], ["wells", "line"]),
        (["lin*"], ["line", "linear"]),
        (["lin[ex]ar"], ["linear"]),
        (["*", "line"], ["line", "linear", "wells"]),
        (["wells", "*"], ["wells", "line", "linear"]),
        (["guidebench/line"], ["line"]),
        (["acme/eight"], ["eight"]),
        (["acme/eight", "acme/eight"], ["eight"]),
    ],
)
def test_patterns_become_problems(patterns: list[str], names: list[str]) -> None:
    assert [problem.name for problem in choose_problems(REGISTRY, patterns)] == names


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["lines"], "no problem is called 'lines'; did you mean 'line'?"),
        (["line", "x*"], "no problem matches 'x*'; see 'guidebench list'"),
        (["LIN*"], "no problem matches 'LIN*'; see 'guidebench list'"),
        (["eight"], "problem 'eight' is declared by several distributions; choose acme/eight or zenith/eight"),
        (["acme/eight", "zenith/eight"], "'zenith/eight' is another problem called 'eight'; run it on its own"),
    ],
)
def test_a_wrong_pattern_is_explained(patterns: list[str], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        choose_problems(REGISTRY, patterns)
    assert str(caught.value) == message
