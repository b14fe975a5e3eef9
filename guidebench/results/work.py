r"""What was computed: gradients and densities of the log joint, and the time it took.

The unit is one evaluation of :math:`\log p(y, \theta)`, or of its gradient, on all data and at one point.  Work that is
vectorised counts every lane, whether its result is of use or not.  A Hessian counts as D gradients and its product with
one vector as two, for that is what they cost by forward over reverse differentiation; an evaluation on a part of the
data counts for that part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: The phases of a fit, and those of a problem that all its guides share, in the order in which they are told.
OF_A_FIT = ("training", "scoring", "judging", "simulations")
OF_A_PROBLEM = ("search", "mixture", "chains", "nuts", "witness", "simulations")

#: What a phase is called in a sentence or a table.
CALLED: Mapping[str, str] = {
    "training": "training",
    "scoring": "drawing and scoring",
    "judging": "judging by chains",
    "simulations": "simulated data",
    "search": "search before training",
    "mixture": "reference by a mixture",
    "chains": "reference by chains",
    "nuts": "reference by NUTS",
    "witness": "witness to judge by",
}

#: Phases that cost what is not asked of a guide as such.
APART = ("simulations",)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one phase has computed.

    Attributes
    ----------
    gradients : int
        Gradients of the log joint; the value there comes with each and is not counted again.
    densities : int
        Values of the log joint alone.
    seconds : float
        Wall time, compiling included.  Two works that differ in it alone are equal.
    """

    gradients: int = 0
    densities: int = 0
    seconds: float = field(default=0.0, compare=False)

    def __add__(self, other: Work) -> Work:
        return Work(
            gradients=self.gradients + other.gradients,
            densities=self.densities + other.densities,
            seconds=self.seconds + other.seconds,
        )

    def of_part(self, part: int, whole: int) -> Work:
        """Return what it is worth where each evaluation saw `part` of `whole` rows, rounded up."""
        gradients, densities = (-(-count * part // max(whole, 1)) for count in (self.gradients, self.densities))
        return Work(gradients=gradients, densities=densities, seconds=self.seconds)

    def described(self) -> str:
        """Return it in words."""
        return f"{self.gradients:,} gradients, {self.densities:,} densities, {self.seconds:.2f} s"


#: Of what was not done.
NOTHING = Work()


def total(works: Iterable[Work]) -> Work:
    """Return the sum."""
    return sum(works, Work())


def merged(one: Mapping[str, Work], other: Mapping[str, Work]) -> dict[str, Work]:
    """Return the sum phase by phase."""
    return {name: one.get(name, Work()) + other.get(name, Work()) for name in dict.fromkeys((*one, *other))}
