"""What the draws of chains are worth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from guidebench.metrics.evidence import scalars


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
    for name, flat in scalars({name: value.reshape(-1, *value.shape[2:]) for name, value in latents.items()}):
        draws = flat.reshape(shape).astype(np.float64)
        squares = (draws - draws.mean()) ** 2
        each = [_worth(one) for one in (draws, squares) if np.ptp(one) > 0]
        worth[name] = min([*each, float(draws.size)])
    return worth


def _worth(draws: np.ndarray) -> float:
    """Return how many independent draws would give their mean its error."""
    between = float(draws.mean(axis=1).var(ddof=1))
    return float(draws.shape[0] * draws.var() / between) if between > 0 else float(draws.size)
