"""What a user gives as a guide: which guide it is, and what it is called."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from numpyro.infer.autoguide import (
    AutoBNAFNormal,
    AutoContinuous,
    AutoDAIS,
    AutoDelta,
    AutoGuide,
    AutoIAFNormal,
    AutoLaplaceApproximation,
    AutoNormal,
    AutoSemiDAIS,
    AutoSurrogateLikelihoodDAIS,
)

from guidebench.config.errors import RequestError
from guidebench.contracts import Guide
from guidebench.plugins.registry import Registered, Registry, load_registry
from guidebench.request.own_guides import YOURS, declare, fitted
from guidebench.request.selection import choose_guides


def model(x: Any, y: Any = None) -> None:
    """Never run."""


def guide(x: Any, y: Any = None) -> None:
    """Say what it is.

    And more.
    """


class MyNormal(AutoNormal):  # type: ignore[misc]
    """A class of the user's own."""


class MyLaplace(AutoLaplaceApproximation):  # type: ignore[misc]
    """Another."""


KNOWN = ("auto_normal", "auto_delta", "auto_multivariate_normal", "auto_laplace_approximation", "auto_iaf_normal")
REGISTRY = Registry(guides=tuple(load_registry().guide(name) for name in KNOWN))


def labels(*specs: Any) -> list[str]:
    return [one.label for one in choose_guides(REGISTRY, specs)]


def test_a_class_that_is_registered_is_that_guide() -> None:
    by_class, _ = choose_guides(REGISTRY, [AutoNormal, "auto_multivariate_normal"])
    assert by_class.registered is REGISTRY.guide("auto_normal")
    assert labels(AutoNormal, "auto_normal", "AutoNormal") == ["auto_normal"]


def test_options_in_a_partial_are_those_of_the_command_line() -> None:
    (given,) = choose_guides(REGISTRY, [partial(AutoNormal, init_scale=1)])
    (typed,) = choose_guides(REGISTRY, ["auto_normal:init_scale=1"])
    assert given == typed
    assert isinstance(given.options["init_scale"], float)


@pytest.mark.parametrize(
    ("given", "label", "bound"),
    [
        (AutoDAIS, "auto_dais", "augmented"),
        (AutoSurrogateLikelihoodDAIS, None, "augmented"),
        (MyNormal, "my_normal", "elbo"),
        (type("AutoBest", (AutoDelta,), {}), "auto_best", "none"),
        (type("Default", (AutoNormal,), {}), "default_guide", "elbo"),
        (partial(AutoBNAFNormal, hidden_factors=[4, 2]), "auto_bnaf_normal:hidden_factors=[4, 2]", "elbo"),
        (partial(AutoIAFNormal, nonlinearity=(abs, None)), "auto_iaf_normal-own:nonlinearity=[abs, None]", "elbo"),
        (partial(AutoSemiDAIS, local_model=print, local_guide=print), None, "augmented"),
    ],
)
def test_any_other_class_becomes_a_guide(given: Any, label: str | None, bound: str) -> None:
    if given is AutoSurrogateLikelihoodDAIS:
        given = partial(given, surrogate_model=model)
    (chosen,) = choose_guides(Registry(), [given]) if label is None else choose_guides(REGISTRY, [given])
    assert chosen.declaration.bound == bound
    assert chosen.declaration.family == "none"
    assert chosen.registered.distribution == YOURS
    assert label is None or chosen.label == label


def test_options_that_a_registered_guide_does_not_have_make_it_the_users_own() -> None:
    (chosen,) = choose_guides(REGISTRY, [partial(AutoNormal, prefix="mine")])
    assert (chosen.label, chosen.registered.distribution) == ("auto_normal-own:prefix=mine", YOURS)
    assert chosen.declaration.build(model).prefix == "mine"


def test_a_class_derived_from_laplace_draws_from_its_gaussian() -> None:
    (chosen,) = choose_guides(REGISTRY, [MyLaplace])
    assert chosen.declaration.draw is REGISTRY.guide("auto_laplace_approximation").declaration.draw


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param(AutoNormal(model), "give the class, AutoNormal", id="an object"),
        pytest.param(partial(AutoNormal, model), "arguments by position", id="with its model"),
        pytest.param(partial(AutoNormal, init_loc_fn=print), "takes no init_loc_fn; use init", id="with a start"),
        pytest.param(partial(AutoNormal, init_scale="a"), "option 'init_scale' takes float", id="a wrong type"),
        pytest.param(partial(AutoDAIS, kk=3), "AutoDAIS cannot be built: got an unexpected keyword", id="no option"),
        pytest.param(AutoSemiDAIS, "missing a required argument: 'local_model'; give functools.partial", id="lacking"),
        pytest.param(dict, "the class dict is no AutoGuide", id="a class"),
        pytest.param(3, "int is no guide; give a name, a gb.Guide, an AutoGuide class or a function", id="a number"),
        pytest.param(None, "NoneType is no guide", id="nothing"),
    ],
)
def test_what_is_no_guide_is_refused_in_one_line(given: Any, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        choose_guides(REGISTRY, [given])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [AutoContinuous, AutoGuide])
def test_classes_are_told_by_their_bases(kind: type) -> None:
    assert declare(kind, Registry()).registered.declaration.bound == "elbo"


def test_a_function_is_named_after_itself() -> None:
    (chosen,) = choose_guides(REGISTRY, [guide])
    assert (chosen.label, chosen.declaration.summary) == ("guide", "Say what it is.")
    assert chosen.declaration.build(model) is guide


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("_my_guide", "my_guide"),
        ("MyGuide", "my_guide"),
        ("<lambda>", "lambda"),
        ("reference", "reference_guide"),
        ("auto_normal", "auto_normal-own"),
        ("Größe", "gr-e"),
        ("_", "guide"),
    ],
)
def test_names_are_made_fit(name: str, label: str) -> None:
    def given(x: Any) -> None:
        """Never run."""

    given.__name__ = name
    assert labels(given) == [label]


def test_labels_are_unique() -> None:
    def other() -> None:
        """Never run."""

    other.__name__ = "guide"
    assert labels(guide, other, guide, "auto_normal", Guide(name="auto_normal", build=lambda model: guide)) == [
        "guide",
        "guide-2",
        "auto_normal",
        "auto_normal-own",
    ]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (lambda y, x: (x, y), (1, 2)),
        (lambda y=None: y, 2),
        (lambda: "nothing", "nothing"),
        (lambda x, scale=3: (x, scale), (1, 3)),
        (lambda **everything: everything, {"x": 1, "y": 2}),
        (lambda *args, **kwargs: (args, kwargs), ((1,), {"y": 2})),
        (lambda y, /, *, x: (x, y), (1, 2)),
        (partial(lambda x, scale: (x, scale), scale=5), (1, 5)),
    ],
)
def test_a_guide_is_given_the_arguments_that_it_names(own: Callable[..., Any], expected: Any) -> None:
    assert fitted(own, model)(1, y=2) == expected


def test_a_guide_may_name_what_the_model_gathers() -> None:
    def own(z: int) -> int:
        return z

    assert fitted(own, lambda x, **rest: None)(1, z=3) == 3


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (lambda z: None, "it asks for the argument 'z', but the model's arguments are x, y"),
        (lambda model: None, "what builds a guide belongs into gb.Guide(name=..., build=...)"),
    ],
)
def test_an_argument_that_the_model_does_not_have_is_named(own: Callable[..., Any], words: str) -> None:
    with pytest.raises(RequestError) as caught:
        fitted(own, model)
    assert words in str(caught.value)


# From files

FILE = '''
"""Guides."""
from functools import partial
from guidebench import Guide
from numpyro.infer.autoguide import AutoDiagonalNormal, AutoNormal

def by_hand(x, y=None):
    """By hand."""

def build(model, *, rank: int = 2):
    return by_hand

declared = Guide(name="declared", build=build)
narrow = partial(AutoDiagonalNormal, init_scale=0.01)
several = [by_hand, "auto_delta"]

def made(width):
    def guide(x, y=None):
        """Of that width."""
    return guide

wide, auto_normal = made(2), made(1)
instance = AutoNormal(by_hand)
number = 3
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "guides.py").write_text(FILE)
    return tmp_path / "guides.py"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("by_hand", ["by_hand"]),
        ("declared", ["declared"]),
        ("declared:rank=3", ["declared:rank=3"]),
        ("narrow", ["narrow"]),
        ("wide", ["wide"]),
        ("auto_normal", ["auto_normal-own"]),
        ("AutoNormal", ["auto_normal"]),
        ("AutoNormal:init_scale=0.3", ["auto_normal:init_scale=0.3"]),
        ("several", ["by_hand", "auto_delta"]),
    ],
)
def test_a_guide_from_a_file(file: Path, name: str, expected: list[str]) -> None:
    assert labels(f"{file}:{name}") == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("by_hand:rank=3", "guide 'by_hand' has no option 'rank'; its options are none"),
        ("declared:rank=a", "guide 'declared': option 'rank' takes int (default 2), not 'a'"),
        ("instance", "guide object"),
        ("number", "int"),
        ("nothing", "has no 'nothing'"),
    ],
)
def test_a_wrong_guide_from_a_file_is_named_with_its_file(file: Path, name: str, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        choose_guides(REGISTRY, [f"{file}:{name}"])
    assert words in str(caught.value)
    assert "guides.py" in str(caught.value)


def test_a_registered_name_goes_before_a_module() -> None:
    dotted = Registered(Guide(name="acme.flow", build=lambda model, *, rank=2: guide), plugin="p", distribution="acme")
    (chosen,) = choose_guides(Registry(guides=(dotted,)), ["acme.flow:rank=3"])
    assert (chosen.label, chosen.options) == ("acme.flow:rank=3", {"rank": 3})
