"""Scalar components a block at a time: of thousands of them none costs a pass of its own, and memory is bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Shaped

from guidebench.metrics.evidence import labels

#: Numbers that a block holds, about.
NUMBERS = 1_000_000


class Block(NamedTuple):
    """Some components with their draws, one component after the other in memory.

    Attributes
    ----------
    names : list of str
        As :func:`guidebench.metrics.evidence.scalars` names them, K of them.
    draws : ndarray
        Shape ``(K, S)``.
    """

    names: list[str]
    draws: Float64[np.ndarray, "K S"]


def blocks(sites: Mapping[str, Shaped[np.ndarray, "S ..."]]) -> Iterator[Block]:
    """Yield the scalar components of draws of sites in their order, as many at a time as a block holds.

    Parameters
    ----------
    sites : mapping of str to ndarray
        Draws by site, shape ``(S, ...)``.
    """
    names: list[str] = []
    parts: list[np.ndarray] = []
    for site, draws in sites.items():
        flat, own = np.reshape(draws, (len(draws), -1)), labels(site, draws.shape[1:])
        each = max(NUMBERS // max(len(flat), 1), 1)
        for first in range(0, flat.shape[1], each):
            some = flat[:, first : first + each]
            if parts and len(names) + some.shape[1] > each:
                yield _joined(names, parts)
                names, parts = [], []
            names = [*names, *own[first : first + each]]
            parts.append(some)
    if parts:
        yield _joined(names, parts)


def _joined(names: list[str], parts: list[np.ndarray]) -> Block:
    columns = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
    return Block(names, np.ascontiguousarray(columns.T, dtype=np.float64))
