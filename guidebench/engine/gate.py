"""What a reference is, and when Markov chains may be taken for one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from guidebench.metrics.evidence import scalars
from guidebench.results import Disagreement, Refresher, Work
from guidebench.results.inference_data import mixing

#: What every scalar component must reach (Vehtari et al. 2021, doi:10.1214/20-BA1221).
MOST_RHAT = 1.01
LEAST_ESS = 400

#: Chains that are farther apart contradict each other: what they say of such a site, nothing may be trusted about.
DOUBTFUL_RHAT = 1.05

#: What importance sampling from a mixture is called as a reference.
MIXTURE = "mixture"

#: Names that are listed in a sentence.
MOST_NAMES = 5

#: Draws that are kept of longer chains.
MOST_DRAWS = 40_000


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Draws that count as the true posterior, or the reason why there are none.

    Attributes
    ----------
    label : str
        What it is ("exact posterior", "mixture", "NUTS", the name of a file); empty where none is used.
    chains : mapping
        Draws by latent site, shape ``(chain, draw, ...)``; empty where none is used.
    effective : mapping
        Per scalar component, how many independent draws they are worth; one that is missing has
        independent draws.
    checks : mapping
        ``chains``, ``draws`` (of all chains), the worst ``rhat``, ``ess_bulk`` and ``ess_tail``, and
        ``divergences``, as far as they are known; of a mixture ``draws``, ``khat`` and ``ess``.
    doubts : tuple of str
        Sites of which chains contradict each other, whether the draws are used or not.
    unchecked : tuple of str
        Latent sites of which it holds no draws; it may hold those of deterministic sites.
    note : str
        What a reader should know of it, or why there is none.
    disagreement : Disagreement or None
        Two kinds of reference that contradict each other, in whose place this stands.
    witness : Reference or None
        What guides are judged by where there is no reference; no error is shown against it.
    lends : {"", "mixture", "groups"}
        What made its draws of what the search found, so that they may stand in for those of a guide.
    seconds : float or None
        Wall time that its draws took, where they were drawn for this.
    work : mapping of str to Work
        What each kind of reference that was tried has computed, and those that were tried as a witness.
    left_out : tuple of str
        What the budget of the run did not allow.
    """

    label: str = ""
    chains: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    effective: Mapping[str, float] = field(default_factory=dict, repr=False)
    checks: Mapping[str, float] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    note: str = ""
    disagreement: Disagreement | None = None
    witness: Reference | None = None
    lends: Refresher = ""
    seconds: float | None = None
    work: Mapping[str, Work] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @cached_property
    def draws(self) -> dict[str, np.ndarray]:
        """Draws by latent site, shape ``(M, ...)``, one chain after the other."""
        return {name: value.reshape(-1, *value.shape[2:]) for name, value in self.chains.items()}

    @property
    def lender(self) -> Reference | None:
        """Draws that were made of what the search found and accepted, its own or those of its stand-in."""
        return next((one for one in (self, self.witness) if one is not None and one.label and one.lends), None)


class Judgement(NamedTuple):
    """What checks of chains found, as in :class:`Reference`, and why they fail (empty where they pass)."""

    checks: dict[str, float]
    effective: dict[str, float]
    failure: str
    doubts: tuple[str, ...] = ()

    def disagreement(self) -> str:
        """Return a sentence that names the sites of which the chains contradict each other, or nothing."""
        if not self.doubts:
            return ""
        shown, more = self.doubts[:MOST_NAMES], len(self.doubts) - MOST_NAMES
        return f" Its chains contradict each other about {', '.join(shown)}{f' and {more} more' if more > 0 else ''}."


def judge(chains: Mapping[str, np.ndarray], divergences: int | None) -> Judgement:
    """Check that chains agree with one another and are long enough.

    Every scalar component needs a rank-normalised split R-hat below 1.01 and bulk and tail effective
    sample sizes above 400, and no transition may have diverged.  A component that does not vary at all
    is left out.

    Parameters
    ----------
    chains : mapping
        Draws by site, shape ``(chain, draw, ...)``.
    divergences : int or None
        How many transitions diverged, where that is known.
    """
    count = next(iter(chains.values())).shape[:2]
    checks = {"chains": float(count[0]), "draws": float(math.prod(count))}
    if divergences is not None:
        checks["divergences"] = float(divergences)
    for name, value in chains.items():
        if not np.isfinite(value).all():
            return Judgement(checks, {}, f"its draws of {name} are not finite")
    by_component = {
        name: mixing(draws.reshape(count))
        for name, draws in scalars({name: value.reshape(-1, *value.shape[2:]) for name, value in chains.items()})
        if np.ptp(draws) > 0
    }
    if not by_component:
        return Judgement(checks, {}, "none of its components varies")
    rhats = {name: found.rhat for name, found in by_component.items()}
    bulk = {name: found.ess_bulk for name, found in by_component.items()}
    tail = {name: found.ess_tail for name, found in by_component.items()}
    # NaN, which no comparison finds, is the worst of all.
    worst = (
        max(rhats, key=lambda name: np.nan_to_num(rhats[name], nan=np.inf)),
        min(bulk, key=lambda name: np.nan_to_num(bulk[name], nan=-np.inf)),
        min(tail, key=lambda name: np.nan_to_num(tail[name], nan=-np.inf)),
    )
    checks |= {"rhat": rhats[worst[0]], "ess_bulk": bulk[worst[1]], "ess_tail": tail[worst[2]]}
    failures = []
    if not checks["rhat"] < MOST_RHAT:
        failures.append(f"R-hat of {worst[0]} is {checks['rhat']:.4g} (below {MOST_RHAT} is needed)")
    for kind, name in (("bulk", worst[1]), ("tail", worst[2])):
        found = checks[f"ess_{kind}"]
        if not found > LEAST_ESS:
            failures.append(f"the {kind} ESS of {name} is {found:.0f} (above {LEAST_ESS} is needed)")
    if divergences:
        failures.append(f"{divergences:,} transition{'s' * (divergences > 1)} diverged (none may)")
    doubts = dict.fromkeys(name.partition("[")[0] for name, rhat in rhats.items() if not rhat <= DOUBTFUL_RHAT)
    # The tails say more about errors of spreads than the bulk, and more than the draws there are is too good.
    effective = {name: min(bulk[name], tail[name], checks["draws"]) for name in by_component}
    return Judgement(
        checks, {name: value for name, value in effective.items() if value > 0}, ", ".join(failures), tuple(doubts)
    )


def used(label: str, chains: Mapping[str, np.ndarray], found: Judgement, note: str) -> Reference:
    """Return the reference that chains make which have passed their checks, or whose checks are said in the note."""
    kept = {name: _thinned(value) for name, value in chains.items()}
    size = float(np.prod(next(iter(kept.values())).shape[:2]))
    effective = {name: min(value, size) for name, value in found.effective.items()}
    return Reference(label=label, chains=kept, effective=effective, checks=found.checks, doubts=found.doubts, note=note)


def _thinned(chains: np.ndarray) -> np.ndarray:
    """Return evenly spaced draws of every chain, as many as are kept."""
    count, most = chains.shape[1], max(MOST_DRAWS // len(chains), 1)
    return chains if count <= most else chains[:, np.arange(most) * count // most]
