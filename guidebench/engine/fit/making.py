"""Fresh guides from a declaration, what they train with, and the program that draws from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
from numpyro.infer.autoguide import AutoGuide, AutoGuideList
from numpyro.infer.initialization import init_to_value

from guidebench.config.seeds import derive
from guidebench.engine.fit.case import Case
from guidebench.inference.coordinates import Frame
from guidebench.inference.device.precision import as_double
from guidebench.inference.draws import Sampler, Scoring, make_sampler
from guidebench.inference.rounding import Rounding
from guidebench.inference.setting_up import set_up_cheaply
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
        found: Callable[..., Any] = set_up_cheaply(built)
        return found

    return make


def own_objective(case: Case) -> Any:
    """Return the guide's own objective, unless the user names one or it has none."""
    own = case.declaration.objective
    if own is None or case.config.loss is not None:
        return None
    with restored():
        return own(case.recipe.particles)


class Samplers:
    """Compiles the programs that draw from a guide when somebody asks for them first, and keeps them.

    Whatever is scored is scored in one precision: that of the run, unless a few draws that are scored in both say that
    float32 would add noise to the weights.
    """

    def __init__(self, case: Case, frame: Frame) -> None:
        self._case, self._frame = case, frame
        self._made: dict[bool, Sampler] = {}
        #: What float32 costs, as it was found last; ``None`` where it was not looked at.
        self.rounding: Rounding | None = None

    @property
    def x64(self) -> bool:
        """Whether the guide is scored in float64."""
        return self._case.config.x64 or (self.rounding is not None and self.rounding.too_much)

    def __call__(self, params: Params) -> Sampler:
        """Return the program, for parameters like these of one restart."""
        if not self._made:
            self._look(params)
        return self._of(params)

    def for_scoring(self, params: Params) -> Sampler:
        """Return the program for these very parameters, looked at once more in both precisions."""
        self._look(params)
        return self._of(params)

    def _look(self, params: Params) -> None:
        """Find what float32 costs, where weights are computed in it."""
        if self.x64 or self._case.declaration.bound == "none":
            return
        key = jax.random.key(derive(self._case.config.seed, *self._case.names, "rounding"))
        sampler = self._of(params)
        try:
            with raised_in("draw"), restored():
                self.rounding = sampler.rounding(params, key)
        except Exception:  # noqa: BLE001 - a guide that cannot be run in float64 is scored in float32
            self.rounding = None

    def _of(self, params: Params) -> Sampler:
        x64 = self.x64 and not self._case.config.x64
        if x64 not in self._made:
            case, frame, prepared = self._case, self._frame, self._case.prepared
            with raised_in("draw"):
                self._made[x64] = make_sampler(
                    make_guide(case.guide, frame.model),
                    frame,
                    prepared.structure,
                    params=params,
                    count=case.config.draws,
                    to_draw_from=case.declaration.draw,
                    scoring=Scoring(
                        log_joint=case.bench.log_joint if case.bench.in_blocks else None,
                        whole=prepared.minibatches is not None,
                        x64=x64,
                        exact=_exact(case, frame),
                    ),
                )
        return self._made[x64]


def _exact(case: Case, frame: Frame) -> dict[str, Any]:
    """Return the traced arguments of a frame in the precision in which they are known."""
    values, arrays = case.bench.exact_values, dict(frame.arguments.arrays)
    own = {"data": values} if frame.to_latents is not None else values
    return {name: own[name] if name in own else as_double(value) for name, value in arrays.items()}
