"""A metric and a report section for guidebench.

Declaring them imports nothing but guidebench's public face: NumPy and Matplotlib come in when a metric
is computed or a section built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from guidebench import Metric, MetricValue, Section, hookimpl

if TYPE_CHECKING:
    from guidebench import Block, Evidence, Page


def _mmd(evidence: Evidence) -> Iterable[MetricValue]:
    from guidebench_examples.mmd import compute

    return compute(evidence)


def _quantiles(page: Page) -> Block | None:
    from guidebench_examples.quantiles import build

    return build(page)


@hookimpl
def guidebench_metrics() -> Iterator[Metric]:
    """Declare the maximum mean discrepancy."""
    yield Metric(
        name="mmd",
        compute=_mmd,
        needs=("reference spread",),
        better="lower",
        summary="Squared maximum mean discrepancy from the reference",
        cite="Gretton, Borgwardt, Rasch, Schölkopf & Smola (2012), JMLR 13, 723-773",
    )


@hookimpl
def guidebench_sections() -> Iterator[Section]:
    """Declare the quantile-quantile plots."""
    yield Section(
        name="quantiles",
        title="Quantiles against the reference",
        build=_quantiles,
        summary="Quantile-quantile plots of every guide against the reference",
    )
