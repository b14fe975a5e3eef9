"""What the data alone show: numbers that are not finite, columns that differ wildly in size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from guidebench.inference.arguments import is_array

#: How far sds of columns, or a mean and its sd, may lie apart: float32 knows seven digits.
FAR = 1e4

#: Rows that are looked at for their size.
MOST_ROWS = 100_000

#: Columns that are named.
MOST_NAMED = 3


def not_finite(values: Mapping[str, Any], *, finite: bool) -> Iterator[str]:
    """Yield a line for every argument with NaN or, in an array, infinity.

    Parameters
    ----------
    values : mapping
        The arguments of the model.
    finite : bool
        Whether the log density is finite all the same.
    """
    then = (
        "The log density is finite all the same, so the model masks them or makes no use of them."
        if finite
        else "No log density was finite with them: leave these rows out, or mask them in the model."
    )
    for name, array in _real(values):
        missing, endless = int(np.isnan(array).sum()), int(np.isinf(array).sum()) if array.ndim else 0
        counts = [f"{count:,} {what}" for count, what in ((missing, "NaN"), (endless, "infinite")) if count]
        if counts:
            yield f"The argument {name} holds {' and '.join(counts)} among {_numbers(array.size)}. {then}"


def sizes(values: Mapping[str, Any], observed: tuple[str, ...]) -> Iterator[str]:
    """Yield a line for every argument with columns that differ wildly in size, or lie far from zero for their sd.

    Parameters
    ----------
    values : mapping
        The arguments of the model.
    observed : tuple of str
        Those that hold observations: their columns are no predictors and may differ.
    """
    for name, array in _real(values):
        if array.ndim not in (1, 2) or len(array) < 2:
            continue
        part = array[:: -(-len(array) // MOST_ROWS)].astype(np.float64)
        with np.errstate(all="ignore"):
            mean, sd = np.atleast_1d(part.mean(axis=0)), np.atleast_1d(part.std(axis=0))
        columns = np.flatnonzero(np.isfinite(sd) & (sd > np.abs(mean) * np.finfo(array.dtype).eps))
        if array.ndim == 2 and name not in observed and len(columns) > 1:
            small, large = columns[np.argmin(sd[columns])], columns[np.argmax(sd[columns])]
            if sd[large] > FAR * sd[small]:
                yield (
                    f"The columns of {name} differ wildly in size: the sd of column {small} is {sd[small]:.2g}, that "
                    f"of column {large} is {sd[large]:.2g}. Standardise them: one prior for all coefficients means "
                    "another thing for each."
                )
        far = columns[np.abs(mean[columns]) > FAR * sd[columns]]
        if len(far):
            most = max(far, key=lambda one: abs(mean[one]) / sd[one])
            yield (
                f"{_columns(name, far, array.ndim)} from zero for the sd: the mean is {mean[most]:.4g} and the sd "
                f"{sd[most]:.2g}. Subtract the mean: float32 knows seven digits"
                + ("." if name in observed else ", and an intercept would have to undo the slope.")
            )


def _real(values: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arguments that are real numbers."""
    for name, value in values.items():
        if is_array(value) and np.dtype(value.dtype).kind == "f":
            yield name, np.asarray(value)


def _numbers(count: int) -> str:
    return f"{count:,} number{'s' * (count != 1)}"


def _columns(name: str, columns: np.ndarray, axes: int) -> str:
    """Return which columns of an argument lie far."""
    if axes == 1:
        return f"The argument {name} lies far"
    listed = ", ".join(map(str, columns[:MOST_NAMED])) + (", ..." if len(columns) > MOST_NAMED else "")
    return f"Column{'s' * (len(columns) > 1)} {listed} of {name} {'lie' if len(columns) > 1 else 'lies'} far"
