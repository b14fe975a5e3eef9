r"""What float32 costs the weights of a guide: 64 of its draws, scored in both precisions from the same random numbers.

With :math:`\delta_s` the difference of the two log weights of draw s, the spread :math:`\operatorname{sd}(\delta)` is
noise that weights, ELBO and everything made of them would have in float32.  It comes from sums over many observations
(of -300,000 nats float32 knows the hundredths only), from an offset that cancels, and from draws that float32 cannot
tell apart.  What is the same in all draws changes no weight.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

#: Draws that are scored in both precisions.
PROBED = 64

#: Largest spread, in nats, that weights may have from rounding.
MOST_ROUNDING = 0.01


class Rounding(NamedTuple):
    """What was found: the spread in nats, and how many draws float32 has no finite log weight for, and float64 has."""

    spread: float
    lost: int

    @property
    def too_much(self) -> bool:
        """Whether the guide is to be scored in float64."""
        return self.lost > 0 or self.spread > MOST_ROUNDING


def rounding_of(single: Float64[np.ndarray, " S"], double: Float64[np.ndarray, " S"]) -> Rounding:
    """Compare log weights of the same draws that were computed in float32 and in float64."""
    in_both = np.isfinite(single) & np.isfinite(double)
    difference = (single - double)[in_both]
    spread = float(np.std(difference)) if len(difference) else 0.0
    return Rounding(spread, int(np.sum(np.isfinite(double) & ~np.isfinite(single))))
