"""What a run may spend: on a problem so many gradients or seconds, in a worker process so much memory."""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple

#: ``200000`` and ``200_000`` are gradients, ``60s`` and ``0.5s`` seconds.
_FORM = re.compile(r"(?P<gradients>\d[\d_]{0,20})|(?P<seconds>\d{1,12}(\.\d{1,12})?)\s*s")

#: ``512M``, ``4G``, ``1.5 GB``: powers of ten.
_SIZE = re.compile(r"(?P<number>\d{1,6}(\.\d{1,6})?)\s*(?P<unit>[MGT])B?", re.IGNORECASE)
_UNITS = {"M": 10**6, "G": 10**9, "T": 10**12}

#: Bytes that a worker process needs to have imported JAX and to train anything.
LEAST = 10**9


def size_of(text: str) -> int:
    """Return the bytes that a text says.

    Raises
    ------
    ValueError
        Where it says no size, or one that no worker can live in.
    """
    found = _SIZE.fullmatch(text.strip())
    size = 0 if found is None else int(float(found["number"]) * _UNITS[found["unit"].upper()])
    if size < LEAST:
        raise ValueError(text)
    return size


class Budget(NamedTuple):
    """An allowance for each problem of a run."""

    amount: float
    unit: Literal["gradients", "seconds"]

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Return what a text says.

        Raises
        ------
        ValueError
            Where it says neither a whole number of gradients nor a number of seconds, above zero.
        """
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise ValueError(text)
        gradients = found["gradients"]
        amount = float(found["seconds"]) if gradients is None else int(gradients.replace("_", ""))
        if not (amount > 0 and math.isfinite(amount)):
            raise ValueError(text)
        return cls(amount, "seconds" if gradients is None else "gradients")

    @property
    def text(self) -> str:
        """The same as it is given: two that say the same are one text."""
        return f"{self.amount:g}s" if self.timed else f"{self.amount:.0f}"

    @property
    def timed(self) -> bool:
        """Whether it is a time, so that what it cuts depends on the machine."""
        return self.unit == "seconds"

    @property
    def spent(self) -> str:
        """That it is spent, in words."""
        amount = f"{self.amount:g} s" if self.timed else f"{self.amount:,.0f} gradients"
        return f"the budget of {amount} was spent"
