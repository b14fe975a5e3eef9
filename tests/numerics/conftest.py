from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guidebench.api import Comparison
from guidebench.api.trained import Sources
from guidebench.config import make_config
from guidebench.contracts import Guide, Problem
from guidebench.engine import run as engine
from guidebench.engine import sampled
from guidebench.engine.request import Request
from guidebench.inference import nuts
from guidebench.inference.device import cache
from guidebench.plugins.registry import Registered, load_registry
from guidebench.request.selection import ChosenGuide, choose_guides, choose_problems
from tests.numerics.referenced import SHORT

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
        request = Request(
            name=problems[0].name, problems=problems, guides=tuple(chosen), config=config, registry=registry
        )
        sources = Sources({one.name: one for one in problems}, {one.label: one for one in chosen}, config)
        return Comparison.from_record(engine.compare(request), sources=sources)

    return compare


@pytest.fixture(scope="session")
def seed_problem(run: Run) -> Comparison:
    """The main job: the default guides on the seed problem with default settings."""
    return run()


@pytest.fixture
def kept_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where references are kept: a folder of the test's own."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "references"


@pytest.fixture
def short_nuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """NUTS long enough for what is easy, and for what cannot pass however long it runs."""
    monkeypatch.setattr(sampled, "SETTINGS", SHORT)


class SampledError(Exception):
    """Raised where a sampler would have run."""


@pytest.fixture
def no_sampler(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on nothing may be sampled."""

    def raises(*_: Any) -> Any:
        raise SampledError

    return lambda: monkeypatch.setattr(nuts, "rounds", raises)
