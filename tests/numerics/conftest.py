from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from guidebench import cache, engine
from guidebench.config import make_config
from guidebench.contracts import Guide, Problem
from guidebench.registry import Registered, load_registry
from guidebench.results import Comparison
from guidebench.selection import ChosenGuide, choose_guides, choose_problems

if os.environ.get(cache.VARIABLE):
    cache.enable()  # as the command line does; compiling is most of what these tests take

Run = Callable[..., Comparison]


@pytest.fixture(scope="session")
def run() -> Run:
    """Compare guides (names, or declarations of the test's own) on a problem (likewise)."""

    def compare(problem: Problem | str = "linear-regression", *guides: Guide | str, **options: Any) -> Comparison:
        registry = load_registry()
        problems = choose_problems(registry, (problem,)) if isinstance(problem, str) else (problem,)
        # NUTS takes longer than most of these tests; those that are about it ask for it.
        config = make_config({"reference": "none" if problems[0].reference is None else "exact", **options})
        chosen: list[ChosenGuide] = []
        for guide in guides or ("default",):
            if isinstance(guide, str):
                chosen.extend(choose_guides(registry, (guide,)))
            else:
                chosen.append(ChosenGuide(registered=Registered(guide, "test", "test"), label=guide.name))
        return engine.compare(problems[0].name, problems, chosen, config, registry)

    return compare


@pytest.fixture(scope="session")
def seed_problem(run: Run) -> Comparison:
    """The main job: the default guides on the seed problem with default settings."""
    return run()
