"""What a verdict rests on, as data: what each source of evidence said, and what chains from a guide's draws did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

#: What can say something of a guide's draws, in the order in which it is told.
Source = Literal["weights", "modes", "chains", "guides", "witness", "reference", "mixture", "groups"]

#: Whose draws are kept as the refreshed ones: those of chains from the guide's draws, or of the mixture or of groups
#: of chains from what the search found, which owe nothing to the guide.
Refresher = Literal["", "chains", "mixture", "groups"]

#: Those that owe nothing to the guide, and what they are called.
LENDERS: Mapping[Refresher, str] = {"mixture": "the mixture", "groups": "the groups of chains"}


@dataclass(frozen=True, kw_only=True)
class ModeRecord:
    """A mode of the posterior that a search has met.

    Attributes
    ----------
    share : float
        Of the mass of all of them, by Laplace's estimate.
    values : mapping of str to float
        Where it is, in the components in which the modes differ most.
    """

    share: float
    values: Mapping[str, float]


class Verdict(StrEnum):
    """How far a guide's draws can be trusted."""

    TRUST = "trust"
    REWEIGHT = "reweight"
    REFRESH = "refresh"
    DISTRUST = "distrust"
    POINT = "point"
    FAILED = "failed"

    @property
    def usable(self) -> bool:
        """Whether there are draws to go on with: the guide's own, those with weights, or the refreshed ones."""
        return self in (Verdict.TRUST, Verdict.REWEIGHT, Verdict.REFRESH)


@dataclass(frozen=True, kw_only=True)
class Chaining:
    """What chains from a guide's draws did.

    Attributes
    ----------
    settled : bool
        Whether they forgot where they began and their moments stopped moving: then their draws are the posterior's,
        as far as they can reach.
    note : str
        Why they did not settle, or could not be run; nothing where they settled.
    chains, transitions, gradients : int
        How many chains there were, how many transitions each made, and the gradients that all of them took.
    acceptance : float or None
        Mean acceptance probability.
    remembered : float or None
        Largest rank correlation of where chains began and where they are, noise taken off.
    unknown : tuple of str
        Latent sites that chains which did not settle tell nothing of; nothing where it is no one site that keeps them.
    drift : float or None
        Largest change of a moment between the halves, in sds.
    in_flow : bool
        Whether they were run in the coordinates that a flow draws from, after others had not settled.
    instead : {"", "mixture", "groups"}
        Whose draws of the posterior, accepted before any guide was looked at, the guide is judged by alone, so that no
        chains were run.
    """

    settled: bool
    note: str = ""
    chains: int = 0
    transitions: int = 0
    gradients: int = 0
    acceptance: float | None = None
    remembered: float | None = None
    drift: float | None = None
    unknown: tuple[str, ...] = ()
    in_flow: bool = False
    instead: Refresher = ""


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """Two kinds of reference that contradict each other, so that neither is taken for the truth.

    Attributes
    ----------
    between : tuple of str
        Which two.
    said : str
        How far they are apart, as a clause.
    components : tuple of str
        The scalar components that they differ about, the farthest first.
    means, sds : tuple of float
        What the two say of the first of them.
    """

    between: tuple[str, str]
    said: str
    components: tuple[str, ...] = ()
    means: tuple[float, ...] = ()
    sds: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one source of evidence says of a guide's draws.

    Attributes
    ----------
    source : {"weights", "modes", "chains", "guides", "witness", "reference", "mixture", "groups"}
        The guide's own weights, the modes that a search found, chains from its draws, the draws of other guides, a
        witness, or the reference; or the mixture or groups of chains, where their draws stand in for those of the
        guide's chains.
    raw, reweighted, refreshed : bool or None
        Whether by this source the guide's draws are right, these with their weights, and those of its chains (from
        the mixture and from groups: their own, which are kept in the place of these); ``None`` where it cannot tell.
    said : str
        What was seen, with its numbers, or why it could not be looked at, in one sentence.
    numbers : mapping of str to float
        The numbers behind it.
    """

    source: Source
    raw: bool | None = None
    reweighted: bool | None = None
    refreshed: bool | None = None
    said: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
