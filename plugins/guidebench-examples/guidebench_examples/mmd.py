r"""The maximum mean discrepancy between a guide's draws and the reference's.

.. math:: \mathrm{MMD}^2 = E\,k(x, x') - 2\,E\,k(x, y) + E\,k(y, y')

with x, x' from the guide, y, y' from the reference, and k a Gaussian kernel: zero if and only if both have
the same distribution.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from guidebench import Evidence, MetricValue

#: Pairs of draws that the width of the kernel is taken from.
PAIRS = 2_000


def compute(evidence: Evidence) -> Iterator[MetricValue]:
    """Yield the squared discrepancy, estimated without bias, with its standard error."""
    names = [name for name, draws in evidence.reference_scalars() if np.ptp(draws) > 0]
    guide, reference = dict(evidence.scalars()), dict(evidence.reference_scalars())
    shared = [name for name in names if name in guide]
    if not shared:
        return
    y = np.stack([reference[name] for name in shared], axis=1).astype(float)
    x = np.stack([guide[name] for name in shared], axis=1).astype(float)
    centre, scale = y.mean(axis=0), y.std(axis=0)
    # Draws of a chain resemble their neighbours; shuffled, those of a pair are all but independent.
    shuffled = np.random.default_rng(0).permutation(len(y))
    value, error = squared_mmd((x - centre) / scale, ((y - centre) / scale)[shuffled])
    yield MetricValue(value=value, mcse=error)


def squared_mmd(x: np.ndarray, y: np.ndarray, width: float | None = None) -> tuple[float, float]:
    """Return the squared discrepancy of two samples and its standard error.

    It is a mean over disjoint pairs of draws (Gretton et al., 2012, section 6), so that its error is that
    of a mean; by chance it may be below zero.

    Parameters
    ----------
    x, y : ndarray
        Independent draws, shapes ``(S, D)`` and ``(M, D)``.
    width : float, optional
        Of the kernel; by default the median distance of two draws of `y`.
    """
    count = min(len(x), len(y)) // 2
    first, second = slice(0, 2 * count, 2), slice(1, 2 * count, 2)
    if width is None:
        half = min(PAIRS, len(y) // 2)
        width = float(np.median(np.linalg.norm(y[:half] - y[half : 2 * half], axis=1)))

    def kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(-np.sum((one - other) ** 2, axis=1) / (2 * width**2)))

    terms = (
        kernel(x[first], x[second])
        + kernel(y[first], y[second])
        - kernel(x[first], y[second])
        - kernel(x[second], y[first])
    )
    return float(terms.mean()), float(terms.std(ddof=1) / np.sqrt(count))
