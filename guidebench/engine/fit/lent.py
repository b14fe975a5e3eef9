"""Draws of the mixture, kept as refreshed ones where a guide has none to go on with: they owe nothing to the guide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from guidebench.engine.gate import MIXTURE, Reference


class Lent(NamedTuple):
    """Draws by latent site, shape ``(S, ...)``, and per scalar component how many independent ones they are worth."""

    draws: Mapping[str, np.ndarray]
    effective: Mapping[str, float]


def mixture_of(reference: Reference) -> Reference | None:
    """Return the accepted mixture, be it the reference itself or its stand-in, or ``None``."""
    return next((one for one in (reference, reference.witness) if one is not None and one.label == MIXTURE), None)


def lend(mixture: Reference, count: int, seed: int) -> Lent:
    r"""Return so many of a mixture's draws, at most, each with its chance by weight.

    The mixture's M draws are worth n to a component, of which the weights alone make it :math:`1 / (1/n - 1/M)`; a
    random S of the M are worth

    .. math:: \Big( \frac1n - \frac1M + \frac1S \Big)^{-1}

    Parameters
    ----------
    mixture : Reference
        Its draws, and what they are worth.
    count : int
        S.
    seed : int
        Of the choice.
    """
    total = len(next(iter(mixture.draws.values())))
    chosen = np.sort(np.random.default_rng(seed).permutation(total)[:count])
    lost = 1 / len(chosen) - 1 / total
    return Lent(
        {name: value[chosen] for name, value in mixture.draws.items()},
        {name: 1 / (1 / worth + lost) for name, worth in mixture.effective.items()},
    )
