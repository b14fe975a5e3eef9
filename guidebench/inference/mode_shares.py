"""How a guide's draws are spread over the modes of the posterior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from scipy.special import softmax

from guidebench.inference.peaks import Mode, moved_without, nearest

#: Half of what a mean may be off, in sds; an sd counts with two thirds of its share.
HALF_WRONG = 0.05


def mode_shares(modes: Sequence[Mode], points: Float64[np.ndarray, "S D"]) -> list[tuple[float, float]]:
    r"""Return per mode its share of the posterior by what masses are estimated at, and that of draws that are its.

    Which draw belongs to which mode is said by :func:`guidebench.inference.peaks.nearest`.  Modes without
    which no mean and no sd would be off by half of what draws that are right may be off are left out.

    Parameters
    ----------
    modes : sequence of Mode
        Those that a search found.
    points : ndarray
        Draws in unconstrained coordinates, shape ``(S, D)``.
    """
    points = points[np.isfinite(points).all(axis=1)]  # a draw may round to the edge of its support
    expected = softmax([mode.log_mass for mode in modes])
    counts = np.bincount(nearest(modes, points), minlength=len(modes))
    shares = [(float(share), float(count / max(len(points), 1))) for share, count in zip(expected, counts, strict=True)]
    light = {number for number in range(len(modes)) if moved_without(modes, {number}) <= HALF_WRONG}
    if moved_without(modes, light) > HALF_WRONG:  # each is light, and all of them are not
        light = set()
    heavy = [one for number, one in enumerate(shares) if number not in light]
    return heavy if len(heavy) > 1 else []
