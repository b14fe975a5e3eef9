"""What is inside the operations of a jaxpr."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr


def inside(step: Any) -> Iterator[Any]:
    """Yield what an operation is told, one after the other where it is several: programs, arrays and others."""
    for told in step.params.values():
        yield from told if isinstance(told, (tuple, list)) else (told,)


def steps(program: ClosedJaxpr | Jaxpr) -> Iterator[Any]:
    """Yield the operations of a program, and of all programs inside them."""
    for step in (program.jaxpr if isinstance(program, ClosedJaxpr) else program).eqns:
        yield step
        for part in inside(step):
            if isinstance(part, (ClosedJaxpr, Jaxpr)):
                yield from steps(part)
