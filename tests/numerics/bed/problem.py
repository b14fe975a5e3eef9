"""What a problem of the test bed is: a model, and an answer that does not come from any sampler's chains.

The answer is never given to guidebench: the problem that it sees has no reference.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from guidebench.contracts import Problem
from guidebench.metrics.evidence import scalars

Draws = dict[str, np.ndarray]

#: Draws from the exact posterior by latent site, each of shape ``(count, ...)``.
Sample = Callable[[np.random.Generator, int], Draws]

#: Means and sds by latent site.
Moments = Mapping[str, tuple[Any, Any]]

#: Numbers that a large sample may hold, and most of its draws.
NUMBERS, MOST = 20_000_000, 400_000


@dataclass(frozen=True, kw_only=True)
class Known:
    """Mean and sd of one scalar component; no sd where exact draws would not find it either."""

    mean: float
    sd: float
    ask_sd: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class BedProblem:
    """A model, its data, and its answer.

    Attributes
    ----------
    name, kind : str
        What it is called, and its class.
    problem : Problem
        What guidebench sees.
    sample : callable, optional
        Exact draws; none where there is no posterior.
    moments : callable, optional
        Means and sds by latent site, where they are known better than from a large sample.
    unsteady : tuple of str
        Sites with a variance and no fourth moment to speak of: 10,000 exact draws may miss their sd by 15 %.
    boundless : tuple of str
        Sites without a variance: nothing is asked of them.
    mode : callable, optional
        In which mode each draw lies, as an integer, where there are several.
    escape : callable, optional
        Where there is no posterior, a path in unconstrained coordinates along which the density never falls.
    """

    name: str
    kind: str
    problem: Problem
    sample: Sample | None = None
    moments: Callable[[], Moments] | None = None
    unsteady: tuple[str, ...] = ()
    boundless: tuple[str, ...] = ()
    mode: Callable[[Draws], np.ndarray] | None = None
    escape: Callable[[float], dict[str, Any]] | None = None

    @property
    def proper(self) -> bool:
        """Whether there is a posterior."""
        return self.sample is not None

    @property
    def held_out(self) -> bool:
        """Whether nothing may be tuned on it: so it is for a third, chosen by name."""
        return zlib.crc32(f"bed/{self.name}".encode()) % 3 == 0

    def draws(self, seed: int, count: int) -> Draws:
        """Return independent draws from the posterior, in float64."""
        assert self.sample is not None
        found = self.sample(np.random.default_rng(seed), count)
        return {name: np.asarray(values, float) for name, values in found.items()}

    @cached_property
    def answer(self) -> dict[str, Known]:
        """Mean and sd of every scalar component that is asked for.

        Those from a large sample have errors of 1 / sqrt(400,000) = 0.0016 sd and, at a kurtosis of 10, 0.24 % up to
        50 components; as many draws as make 20 million numbers beyond.
        """
        if self.sample is None:
            return {}
        if self.moments is None:
            few = self.draws(0, 2)
            width = sum(values[0].size for values in few.values())
            sample = self.draws(20, min(MOST, NUMBERS // width))
            pairs = {name: (values.mean(axis=0), values.std(axis=0)) for name, values in sample.items()}
        else:
            pairs = {name: (np.asarray(mean), np.asarray(sd)) for name, (mean, sd) in self.moments().items()}
        known = {}
        for site, (mean, sd) in pairs.items():
            if site in self.boundless:
                continue
            both = zip(scalars({site: mean[None]}), scalars({site: sd[None]}), strict=True)
            for (component, at), (_, spread) in both:
                known[component] = Known(mean=float(at[0]), sd=float(spread[0]), ask_sd=site not in self.unsteady)
        return known


def made(kind: str, name: str, model: Callable[..., Any], data: Mapping[str, Any] | None = None, **parts: Any) -> Any:
    """Return a problem of the bed; `data` are the model's arguments by name."""
    arguments = {key: np.asarray(value) for key, value in (data or {}).items()}
    problem = Problem(name=name, model=model, kwargs=arguments, summary=f"Test bed: {kind}")
    return BedProblem(name=name, kind=kind, problem=problem, **parts)
