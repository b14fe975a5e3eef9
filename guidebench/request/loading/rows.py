"""Splitting rows at random: some to train on, the others for what training must not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from guidebench.config.errors import RequestError
from guidebench.config.seeds import derive


def row_arguments(values: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """Return the names of the arrays that have `count` rows: their leading axis is that long."""
    return tuple(
        name for name, value in values.items() if not isinstance(value, str) and np.shape(value)[:1] == (count,)
    )


def split_rows(
    values: Mapping[str, Any], rows: Sequence[str], share: float, seed: int, purpose: str | Sequence[str | int]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split the rows of arrays in two, at random and alike in all of them.

    Parameters
    ----------
    values : mapping
        Arguments by name, `rows` among them; the others do not matter.
    rows : sequence of str
        Names of the arrays with one value for every row, all of one length; their order does not matter.
    share : float
        Of the rows that are split off, rounded to at least one row and to at most all but one.
    seed : int
        Of the run.
    purpose : str, or sequence of str and int
        What the split is for: another purpose splits otherwise.

    Returns
    -------
    rest, part : dict
        The arrays named in `rows`, each with the rows that stay and those split off, in their old order.

    Raises
    ------
    RequestError
        Where the arrays differ in length, or have fewer than two rows.
    """
    arrays = {name: np.asarray(values[name]) for name in rows}
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) != 1:
        told = ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
        raise RequestError(f"rows can be split only where all arguments have as many: {told or 'there are none'}")
    (count,) = lengths
    if count < 2:
        raise RequestError(f"{count} row cannot be split in two")
    names = (purpose,) if isinstance(purpose, str) else tuple(purpose)
    order = np.random.default_rng(derive(seed, *names)).permutation(count)
    size = min(max(round(share * count), 1), count - 1)
    part, rest = np.sort(order[:size]), np.sort(order[size:])
    return {name: array[rest] for name, array in arrays.items()}, {name: array[part] for name, array in arrays.items()}
