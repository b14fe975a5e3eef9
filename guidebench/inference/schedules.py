"""Schedules of the learning rate: how it rises and decays over a round of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from guidebench.config import specs
from guidebench.config.errors import RequestError, opt

#: The share of the peak at which the exponential decay ends, unless the user says; it cannot be nothing.
EXPONENTIAL_FINAL = 0.001

#: The largest share of the peak at the end that counts as decayed: parameters then hardly wander.
DECAYED = 0.01


def _cosine(share: Any, final: float) -> Any:
    falling = 0.5 * (1 + jnp.cos(jnp.pi * share))
    return final + (1 - final) * falling if final else falling


def _linear(share: Any, final: float) -> Any:
    return 1 - (1 - final) * share


def _exponential(share: Any, final: float) -> Any:
    return final**share


#: How the rate, over its peak, falls from 1 to `final` while `share` goes from 0 to 1.
_DECAYS: Mapping[str, Callable[[Any, float], Any]] = {
    "cosine": _cosine,
    "linear": _linear,
    "exponential": _exponential,
}

NAMES = (*_DECAYS, "constant")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    r"""The learning rate over its peak, as a function of the share s of a round that is done.

    During the warm-up w it rises in proportion to s.  After it, with :math:`r = (s - w) / (1 - w)` and
    the final share f, it is

    =============  =====================================
    ``cosine``     :math:`f + (1 - f) (1 + \cos \pi r) / 2`
    ``linear``     :math:`1 - (1 - f) r`
    ``exponential``  :math:`f^r`
    ``constant``   1
    =============  =====================================

    Attributes
    ----------
    name : str
        One of these.
    warmup, final : float
        w and f.
    """

    name: str
    warmup: float = 0.0
    final: float = 0.0

    @classmethod
    def parse(cls, spec: str) -> Schedule:
        """Return the schedule that ``NAME[:warmup=SHARE,final=SHARE]`` names.

        Raises
        ------
        RequestError
            Where it is unknown, or a share is none.
        """
        name, text = specs.split(spec)
        if name not in NAMES:
            raise RequestError(f"{opt('schedule')} {spec!r} is not known; choose one of {', '.join(NAMES)}")
        known = {"warmup": 0.0}
        if name != "constant":
            known["final"] = EXPONENTIAL_FINAL if name == "exponential" else 0.0
        owner = f"{opt('schedule')} {spec!r}: {name}"
        made = cls(name=name, **{**known, **({} if text is None else specs.options(owner, text, known))})
        if not 0 <= made.warmup < 1:
            raise RequestError(
                f"{owner}: warmup is the share of the steps during which the rate rises: 0 <= warmup < 1"
            )
        if name == "exponential" and not 0 < made.final <= 1:
            raise RequestError(f"{owner}: final is a share of the peak that a rate can decay to: 0 < final <= 1")
        if not 0 <= made.final <= 1:
            raise RequestError(f"{owner}: final is a share of the peak: 0 <= final <= 1")
        return made

    def varies(self) -> bool:
        """Return whether the rate is ever another than its peak."""
        return self.name != "constant" or self.warmup > 0

    def decays(self) -> bool:
        """Return whether it ends at nothing, or next to it."""
        return self.name != "constant" and self.final <= DECAYED

    def at(self, share: Any) -> Any:
        """Return the rate over its peak when a share of the round is done."""
        after = share if not self.warmup else jnp.clip((share - self.warmup) / (1 - self.warmup), 0.0, 1.0)
        rate = jnp.ones_like(after) if self.name == "constant" else _DECAYS[self.name](after, self.final)
        return rate if not self.warmup else jnp.where(share < self.warmup, share / self.warmup, rate)

    def describe(self) -> str:
        """Return it in words."""
        warmup = f"warm-up over {100 * self.warmup:g}% of the steps, " if self.warmup else ""
        if self.name == "constant":
            return f"{warmup}constant"
        return f"{warmup}{self.name} decay to {f'{self.final:.3g} of it' if self.final else '0'}"


class Pace(NamedTuple):
    """How far a round of training is: the step, its steps in all, and its peak rate over the recipe's."""

    step: Any
    steps: Any
    peak: Any


def decaying(steps: int, schedule: Schedule) -> optax.GradientTransformation:
    """Return a transformation that scales updates by a schedule.

    The steps of the round and its peak are part of its state, so that one compiled program serves
    every round.
    """

    def init(_: Any) -> Pace:
        return Pace(jnp.zeros((), jnp.int32), jnp.asarray(steps, jnp.int32), jnp.ones(()))

    def update(updates: Any, state: Pace, params: Any = None) -> tuple[Any, Pace]:
        share = jnp.minimum(state.step / state.steps, 1.0)
        scale = state.peak * schedule.at(share)
        return jax.tree.map(lambda one: scale * one, updates), state._replace(step=state.step + 1)

    return optax.GradientTransformation(init, update)
