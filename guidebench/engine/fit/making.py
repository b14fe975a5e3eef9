"""Fresh guides from a declaration, what they train with, and the program that draws from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpyro.infer.autoguide import AutoGuide, AutoGuideList
from numpyro.infer.initialization import init_to_value

from guidebench.engine.fit.case import Case
from guidebench.inference.coordinates import Frame
from guidebench.inference.draws import Sampler, Scoring, make_sampler
from guidebench.inference.start import starting_at
from guidebench.inference.train import Params
from guidebench.plugins.isolation.failures import raised_in
from guidebench.plugins.isolation.state import restored
from guidebench.request.selection import ChosenGuide

#: Draws that compare restarts, or rounds of one, where each density means a pass over large data.
RANKED = 400


def make_guide(
    guide: ChosenGuide, model: Callable[..., Any], *, in_parts: bool = False
) -> Callable[[Mapping[str, Any]], Callable[..., Any]]:
    """Return a maker of fresh guides that start where they are told; `in_parts` if the model shows parts of them."""

    def make(start: Mapping[str, Any]) -> Callable[..., Any]:
        init = starting_at(start) if in_parts else init_to_value(values=dict(start))
        reserved = {"init_loc_fn": init} if guide.declaration.wants_start() else {}
        options = guide.declaration.options_for("build", guide.options)
        with raised_in("build"), restored():
            built = guide.declaration.build(model, **options, **reserved)
            if not callable(built):
                raise TypeError(f"build must return a guide, which is a function, not {type(built).__name__}")
        for part in built if isinstance(built, AutoGuideList) else (built,):
            if isinstance(part, AutoGuide):
                part.init_loc_fn = init
        return built

    return make


def own_objective(case: Case) -> Any:
    """Return the guide's own objective, unless the user names one or it has none."""
    own = case.declaration.objective
    if own is None or case.config.loss is not None:
        return None
    with restored():
        return own(case.recipe.particles)


class Samplers:
    """Compiles the program that draws from a guide when somebody asks for it first, and keeps it."""

    def __init__(self, case: Case, frame: Frame) -> None:
        self._case, self._frame = case, frame
        self._made: Sampler | None = None

    def __call__(self, params: Params) -> Sampler:
        """Return the program, for parameters like these of one restart."""
        if self._made is None:
            case, frame, prepared = self._case, self._frame, self._case.prepared
            with raised_in("draw"):
                self._made = make_sampler(
                    make_guide(case.guide, frame.model),
                    frame,
                    prepared.structure,
                    params=params,
                    count=case.config.draws,
                    to_draw_from=case.declaration.draw,
                    scoring=Scoring(
                        log_joint=case.bench.log_joint,
                        alone=case.bench.in_blocks,
                        whole=prepared.minibatches is not None,
                    ),
                )
        return self._made
