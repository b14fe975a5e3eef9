"""The guides that ship with guidebench, declared as any third party would declare its own."""

from __future__ import annotations

from collections.abc import Iterator

from guidebench import Guide, hookimpl
from guidebench_guides import (
    auto_bnaf_normal,
    auto_dais,
    auto_delta,
    auto_diagonal_normal,
    auto_iaf_normal,
    auto_laplace_approximation,
    auto_low_rank_multivariate_normal,
    auto_multivariate_normal,
    auto_normal,
    mean_field,
)

#: The default set first, in the order of the report.
_MODULES = (
    mean_field,
    auto_normal,
    auto_delta,
    auto_multivariate_normal,
    auto_laplace_approximation,
    auto_iaf_normal,
    auto_diagonal_normal,
    auto_low_rank_multivariate_normal,
    auto_bnaf_normal,
    auto_dais,
)


@hookimpl
def guidebench_guides() -> Iterator[Guide]:
    """Declare each bundled guide."""
    for module in _MODULES:
        yield module.GUIDE
