"""What the draws of chains are worth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from guidebench.metrics.blocks import blocks


def effective(latents: Mapping[str, np.ndarray]) -> dict[str, float]:
    r"""Return how many independent draws those of independent chains are worth, per scalar component.

    With :math:`\bar x_c` the mean along chain c, :math:`C \operatorname{var}(x) / \operatorname{var}(\bar x_c)`
    draws would give the mean its error; the same of :math:`(x - \mu)^2` for the sd.  The fewer count.

    Parameters
    ----------
    latents : mapping
        Draws by site, shape ``(C, S, ...)``.
    """
    worth: dict[str, float] = {}
    shape = next(iter(latents.values())).shape[:2]
    for names, flat in blocks({name: value.reshape(-1, *value.shape[2:]) for name, value in latents.items()}):
        draws = flat.reshape(len(names), *shape)
        squares = (draws - draws.mean(axis=(1, 2), keepdims=True)) ** 2
        each = np.minimum(_worth(draws), _worth(squares))
        worth |= dict(zip(names, np.minimum(each, float(flat.shape[1])).tolist(), strict=True))
    return worth


def _worth(draws: np.ndarray) -> np.ndarray:
    """Return how many independent draws would give means their errors, shape ``(K,)``, of draws ``(K, C, S)``."""
    between = draws.mean(axis=2).var(axis=1, ddof=1)
    within = draws.shape[1] * draws.var(axis=(1, 2))
    return np.where(between > 0, within / np.where(between > 0, between, 1.0), float(draws[0].size))
