"""Draws of the mixture, or of groups of chains, kept as the refreshed ones of a guide that they owe nothing to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from guidebench.engine.gate import Reference


class Lent(NamedTuple):
    """Draws by latent site, shape ``(S, ...)``, and per scalar component how many independent ones they are worth."""

    draws: Mapping[str, np.ndarray]
    effective: Mapping[str, float]


def lend(lender: Reference, count: int, seed: int) -> Lent:
    r"""Return so many draws of a lender, at most, each with its chance by weight, in random order.

    Its M draws are worth n to a component, of which weights or chains alone make it :math:`1 / (1/n - 1/M)`; a
    random S of the M are worth

    .. math:: \Big( \frac1n - \frac1M + \frac1S \Big)^{-1}

    Parameters
    ----------
    lender : Reference
        Its draws, and what they are worth.
    count : int
        S.
    seed : int
        Of the choice.
    """
    total = len(next(iter(lender.draws.values())))
    chosen = np.random.default_rng(seed).permutation(total)[:count]
    lost = 1 / len(chosen) - 1 / total
    return Lent(
        {name: value[chosen] for name, value in lender.draws.items()},
        {name: 1 / (1 / worth + lost) for name, worth in lender.effective.items()},
    )
