"""Declarations check themselves, so that a mistake is told where it was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from functools import partial
from typing import Any

import pytest

from guidebench.config.errors import PluginError
from guidebench.contracts import Guide, Metric, Problem, Section


def build(model: object, *, rank: int = 2, init_loc_fn: Any = None, width: Any = None) -> None:
    """Take the model, two options and the start."""


def no_model(*, rank: int = 2) -> None:
    """Take no model."""


NOT_A_NAME = "use a lower-case letter, then lower-case letters, digits, '_', '-' or '.'"


@pytest.mark.parametrize("name", ["flow", "auto_iaf_normal", "linear-regression", "v1.2", "posteriordb/wells"])
def test_names_that_are_allowed(name: str) -> None:
    assert Problem(name=name, model=print).name == name


@pytest.mark.parametrize("name", ["", "Flow", "_flow", "1d", "a b", "a:b", "a,b", "../x", "a/", "a/b/c", "é", None, 3])
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda name: Guide(name=name, build=build), id="guide"),
        pytest.param(lambda name: Problem(name=name, model=print), id="problem"),
        pytest.param(lambda name: Metric(name=name, compute=print), id="metric"),
        pytest.param(lambda name: Section(name=name, title="T", build=print), id="section"),
    ],
)
def test_names_that_are_not(make: Callable[[Any], object], name: Any) -> None:
    with pytest.raises(PluginError) as caught:
        make(name)
    assert str(caught.value).endswith(f"name {name!r} is not allowed: {NOT_A_NAME}")


@pytest.mark.parametrize(
    ("kind", "parts", "message"),
    [
        (Guide, {"build": None}, "guide 'x': build must be callable, not NoneType"),
        (Guide, {"build": no_model}, "guide 'x': build must take the model as its first argument"),
        (Guide, {"build": lambda: None}, "guide 'x': build must take the model as its first argument"),
        (
            Guide,
            {"build": lambda model, rank, scale=1: None},
            "guide 'x': build takes options as keyword-only arguments; put a '*' before rank, scale",
        ),
        (Guide, {"build": lambda model, *, rank: None}, "guide 'x': option 'rank' of build needs a default"),
        (
            Guide,
            {"build": lambda model, **kwargs: None},
            "guide 'x': build must name its options, each with a default, in place of **kwargs",
        ),
        (
            Guide,
            {"build": lambda model, *args: None},
            "guide 'x': build must name its options, each with a default, in place of *args",
        ),
        (Guide, {"family": "full"}, "guide 'x': family 'full' is not one of none, diagonal, affine"),
        (Guide, {"bound": "tight"}, "guide 'x': bound 'tight' is not one of elbo, augmented, none"),
        (Guide, {"objective": 3}, "guide 'x': objective must be callable, not int"),
        (Guide, {"draw": 3}, "guide 'x': draw must be callable, not int"),
        (Guide, {"fit": 3}, "guide 'x': fit must be callable, not int"),
        (Guide, {"fit": lambda: None}, "guide 'x': fit must take the task as its first argument"),
        (Guide, {"fit": lambda task, *, tries: None}, "guide 'x': option 'tries' of fit needs a default"),
        (
            Guide,
            {"fit": lambda task, init_loc_fn: None},
            "guide 'x': fit takes options as keyword-only arguments; put a '*' before init_loc_fn",
        ),
        (
            Guide,
            {"fit": lambda task, **kwargs: None},
            "guide 'x': fit must name its options, each with a default, in place of **kwargs",
        ),
        (
            Guide,
            {"fit": lambda task, *, rank=3: None},
            "guide 'x': option 'rank' is 2 by default in build and 3 in fit; give it one default, or two names",
        ),
        (Guide, {"supports": "all"}, "guide 'x': supports must be callable, not str"),
        (Guide, {"summary": None}, "guide 'x': summary must be text, not NoneType"),
        (Guide, {"cite": ["Kingma"]}, "guide 'x': cite must be text, not list"),
        (Guide, {"aliases": "AutoX"}, "guide 'x': aliases must be a tuple of strings, not 'AutoX'"),
        (Guide, {"aliases": (1,)}, "guide 'x': aliases must be a tuple of strings, not (1,)"),
        (Guide, {"name": "all"}, "guide 'all': 'all' is the name of a set of guides; choose another"),
        (Guide, {"aliases": ("default",)}, "guide 'x': 'default' is the name of a set of guides; choose another"),
        (Problem, {"model": 3}, "problem 'x': model must be callable, not int"),
        (Problem, {"summary": 3}, "problem 'x': summary must be text, not int"),
        (Metric, {"compute": 3}, "metric 'x': compute must be callable, not int"),
        (Metric, {"needs": "truth"}, "metric 'x': needs must be a tuple of strings, not 'truth'"),
        (Metric, {"better": "up"}, "metric 'x': better 'up' is not one of higher, lower, nominal, none"),
        (Metric, {"unit": None}, "metric 'x': unit must be text, not NoneType"),
        (Section, {"build": 3}, "section 'x': build must be callable, not int"),
        (Section, {"title": None}, "section 'x': title must be text, not NoneType"),
        (Section, {"order": "first"}, "section 'x': order must be a whole number, not 'first'"),
    ],
)
def test_a_wrong_declaration_is_explained(kind: type, parts: dict[str, Any], message: str) -> None:
    complete = {
        Guide: {"build": build},
        Problem: {"model": print},
        Metric: {"compute": print},
        Section: {"build": print, "title": "T"},
    }
    with pytest.raises(PluginError) as caught:
        kind(**{"name": "x", **complete[kind], **parts})
    assert str(caught.value) == message


def test_the_signature_is_the_schema() -> None:
    guide = Guide(name="x", build=build)
    assert guide.options() == {"rank": 2, "width": None}
    assert guide.wants_start()
    assert not Guide(name="x", build=lambda model, *, rank=1: None).wants_start()


def test_the_options_of_build_and_fit_are_those_of_the_guide() -> None:
    def fit(task: object, *, rank: int = 2, tries: int = 1) -> Any:
        """Try, as often
        as it takes.

        And so on.
        """

    guide = Guide(name="x", build=build, fit=fit)
    assert guide.options() == {"rank": 2, "width": None, "tries": 1}
    assert guide.options_for("build", {"rank": 4, "tries": 5}) == {"rank": 4}
    assert guide.options_for("fit", {"rank": 4, "tries": 5, "width": 1}) == {"rank": 4, "tries": 5}
    assert guide.method() == "Try, as often as it takes"
    assert Guide(name="x", build=build, fit=lambda task: None).method() == "a method of its own"  # type: ignore[arg-type, return-value]
    assert Guide(name="x", build=build, fit=partial(fit, tries=3)).method() == "Try, as often as it takes"
    assert Guide(name="x", build=build).method() == ""
    assert Guide(name="x", build=build).options_for("fit", {"rank": 4}) == {}


def test_a_class_can_be_the_builder() -> None:
    class Family:
        def __init__(self, model: object, *, scale: float = 0.1) -> None:
            self.scale = scale

    assert Guide(name="x", build=Family).options() == {"scale": 0.1}


def test_declarations_are_frozen_and_by_keyword() -> None:
    guide = Guide(name="x", build=build)
    with pytest.raises(FrozenInstanceError):
        guide.name = "y"
    with pytest.raises(TypeError):
        Guide("x", build)


def model(x: object, y: object = None, *, scale: float = 1.0) -> None:
    """Take arguments of each kind."""


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((1,), {}, {"x": 1, "y": None, "scale": 1.0}),
        ((1, 2), {"scale": 3.0}, {"x": 1, "y": 2, "scale": 3.0}),
        ((), {"y": 2, "x": 1}, {"x": 1, "y": 2, "scale": 1.0}),
    ],
)
def test_the_arguments_of_a_problem_have_names(
    args: tuple[Any, ...], kwargs: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert Problem(name="x", model=model, args=args, kwargs=kwargs).arguments() == expected


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"z": 1})])
def test_arguments_that_do_not_fit_the_model(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match="problem 'x': its arguments do not fit its model: "):
        Problem(name="x", model=model, args=args, kwargs=kwargs).arguments()
