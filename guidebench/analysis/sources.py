"""What each source of evidence says of a guide's draws, and what it cannot see.

- The guide's *weights* p/q look where it has draws: they are blind to tails, modes and basins in which it has none,
  and they say nothing where the tail shape k-hat is above 0.7.
- The *modes* that a search found before training tell of draws that are missing, and only of that.
- *Chains* that began at its draws move away from what is wrong.  They say what has moved once they have settled, and
  nothing of how much of the posterior is in which mode: they do not cross between far ones.  Where draws of the
  posterior were made of what the search found and accepted, these decide, and no chains are run.
- The *witness* is made where there is no reference: in few dimensions, draws of the posterior by importance sampling
  from a mixture about what a search or chains found.
- The *reference* is taken as the truth, as well as its draws tell it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from guidebench.analysis.limits import MEAN_ERROR, RESOLUTION, SLACK, Errors, Numbers, errors
from guidebench.contracts import MetricValue
from guidebench.results import Chaining, Finding
from guidebench.results.findings import Source

#: Tail shape of the weights up to which what is estimated with them settles.
TELLING_KHAT = 0.7

#: Tail shape beyond which weights have no mean.
NO_MEAN = 1.0

#: KL(q || p), in nats, below which weights are all but equal: then the shape of their tail says little.
NEGLIGIBLE = 0.02

#: Where weights are all that there is: the largest KL(q || p), in nats, at which they repair the draws, and the
#: largest shift of a mean, in posterior sds, and of an sd, as a share, in draws that are trusted.
REPAIRABLE = 0.2
MEAN_SHIFT = 0.07
SD_SHIFT = 0.10

#: Largest change of a moment between the halves of chains that did not settle, in sds, that noise may explain.
DRIFT = 0.3

#: Sites that are named in a sentence.
MOST_NAMES = 5

#: The reference's errors, and those against settled chains, of each kind of draws.
_AGAINST_REFERENCE = {
    "raw": ("mean_error", "sd_error"),
    "reweighted": ("reweighted_mean_error", "reweighted_sd_error"),
    "refreshed": ("refreshed_mean_error", "refreshed_sd_error"),
}
_AGAINST_CHAINS = {
    "raw": ("mean_moved", "sd_moved"),
    "reweighted": ("reweighted_mean_moved", "reweighted_sd_moved"),
}

_AGAINST_WITNESS = {kind: (f"witness_{mean}", f"witness_{sd}") for kind, (mean, sd) in _AGAINST_REFERENCE.items()}

#: Metrics of the components of a site that decide.
DECIDING = frozenset(
    name
    for pair in (
        *_AGAINST_REFERENCE.values(),
        *_AGAINST_WITNESS.values(),
        *_AGAINST_CHAINS.values(),
        ("mean_shift", "sd_shift"),
    )
    for name in pair
)

#: Metrics that come from the reference.
FROM_REFERENCE = frozenset(name for pair in _AGAINST_REFERENCE.values() for name in pair)


class Found(NamedTuple):
    """What every source said, whether the weights are all that there is, and whether chains were not needed."""

    weights: Finding
    modes: Finding
    chains: Finding
    reference: Finding
    alone: bool
    needless: bool


def look(
    numbers: Numbers,
    chains: Chaining | None,
    doubts: Sequence[str] = (),
    apart: str = "",
    unchecked: Sequence[str] = (),
) -> Found:
    """Return what every source says of draws with these metrics; the rest is as in :func:`look_at_reference`."""
    reference = look_at_reference(numbers, doubts, apart, unchecked)
    modes = look_at_modes(numbers, reference)
    several = len(numbers.get("dropped_mass_expected", ())) > 1
    even = _shares_agree(numbers)
    # What chains prove nothing of, the weights may tell: they compare all modes in which there are draws.
    blind = several and not even and not modes.numbers.get("dropped")
    needless = chains is not None and bool(chains.instead)
    alone = not needless and (chains is None or not chains.chains or (chains.settled and blind))
    return Found(
        weights=look_at_weights(numbers, alone=alone),
        modes=modes,
        chains=look_at_chains(numbers, chains, apart=several and not even),
        reference=reference,
        alone=alone,
        needless=needless,
    )


def look_at_reference(
    numbers: Numbers, doubts: Sequence[str] = (), apart: str = "", unchecked: Sequence[str] = ()
) -> Finding:
    """Return what the reference says, or the witness where there is none.

    Where there is neither, chains that were to be the reference and contradict each other still speak: what no four
    chains agree on nobody is trusted with.  `doubts` are the sites that they contradict each other about.  `apart` says
    how two kinds of reference contradict each other: then neither has a say.  A reference that has no draws of some
    sites, which are `unchecked`, may call draws wrong, but not right.
    """
    sources: tuple[tuple[Source, Mapping[str, tuple[str, str]]], ...] = (
        ("reference", _AGAINST_REFERENCE),
        ("witness", _AGAINST_WITNESS),
    )
    for source, names in sources:
        found = dict(_each(numbers, names))
        if (raw := found.get("raw")) is not None:
            said = f"Against the {source} {raw.said}{_others(found)}."
            told = Finding(source=source, said=said, **_opinions(found))
            return _in_part(told, unchecked) if unchecked and source == "reference" else told
    if doubts:
        said = f"There is no reference: chains of NUTS contradict each other about {', '.join(doubts)}."
        return Finding(source="reference", raw=False, reweighted=False, refreshed=False, said=said)
    if apart:
        said = f"There is no reference, for two kinds of it disagree: {apart}."
        return Finding(source="reference", said=said)
    return Finding(source="reference", said="There is no reference.")


def _in_part(found: Finding, unchecked: Sequence[str]) -> Finding:
    """Return what a reference says of draws that it knows only in part."""
    names = f"{', '.join(unchecked[:MOST_NAMES])}{' and others' * (len(unchecked) > MOST_NAMES)}"
    raw, reweighted, refreshed = (None if one else one for one in (found.raw, found.reweighted, found.refreshed))
    said = f"{found.said} It says nothing of {names}."
    return replace(found, raw=raw, reweighted=reweighted, refreshed=refreshed, said=said)


def look_at_chains(numbers: Numbers, chains: Chaining | None, *, apart: bool) -> Finding:
    """Return what chains say; `apart` where there are several modes and the guide's shares of them may be wrong."""
    if chains is None or not (chains.settled or chains.chains):
        why = "" if chains is None or not chains.note else f": {chains.note.rstrip('.')}"
        return Finding(source="chains", said=f"No chains were run from its draws{why}.")
    seen = {name: value for name in ("drift", "remembered") if (value := getattr(chains, name)) is not None}
    if not chains.settled:
        moving = chains.drift is not None and chains.drift > DRIFT
        why = f": {chains.note.rstrip('.')}" if chains.note else ""
        still = f" (a moment moved by {chains.drift:.2f} sd between their halves)" if chains.drift is not None else ""
        shown, more = chains.unknown[:MOST_NAMES], len(chains.unknown) - MOST_NAMES
        names = f"{', '.join(shown)}{f' and {more} more' if more > 0 else ''}"
        unknown = f"; what they would say of {names} is not known" if shown else ""
        said = f"Chains from its draws did not settle{why}{still}{unknown}."
        return Finding(source="chains", raw=False if moving else None, said=said, numbers=seen)
    found = dict(_each(numbers, _AGAINST_CHAINS))
    raw = found.get("raw")
    told = _opinions(found)
    told["numbers"] = {**told["numbers"], **seen}
    if raw is None:
        said = "Chains from its draws settled, but how far its draws are from theirs is not known."
        return Finding(source="chains", said=said, refreshed=None if apart else True, numbers=seen)
    place = "in the coordinates of the flow" if chains.in_flow else "from its draws"
    said = f"By chains {place} {raw.said}{_others(found)}"
    if not apart:
        return Finding(source="chains", said=f"{said}.", refreshed=True, **told)
    told["raw"] = False if raw.right is False else None
    told["reweighted"] = None
    said += "; how much is in which of the modes that a search found they cannot tell, for they do not cross between"
    return Finding(source="chains", said=f"{said} them.", **told)


def look_at_modes(numbers: Numbers, reference: Finding) -> Finding:
    """Return what the modes that a search found say; their masses are estimates, and a reference knows better."""
    dropped = _single(numbers, "dropped_mass")
    if dropped is None:
        return Finding(source="modes", said="No search found several modes.")
    seen = {"dropped": dropped.value}
    if not dropped.value > 0:
        said = "It has draws at every mode that a search found and that counts."
        return Finding(source="modes", said=said, numbers=seen)
    said = (
        f"It has hardly any draws at modes that hold about {dropped.value:.0%} of what a search found of the "
        "posterior, which its weights and chains cannot see."
    )
    lost = None if reference.raw else False
    refreshed = None if reference.refreshed else lost
    return Finding(source="modes", raw=lost, reweighted=lost, refreshed=refreshed, said=said, numbers=seen)


def look_at_weights(numbers: Numbers, *, alone: bool) -> Finding:
    """Return what the guide's own weights say; where they are `alone`, they are held to more."""
    found = errors(numbers, "mean_shift", "sd_shift")
    khat, kl = _single(numbers, "khat"), _single(numbers, "smoothed_kl")
    if found is None or khat is None or kl is None:
        said = "The density of its draws is not known, so it has no weights."
        return Finding(source="weights", said=said)
    gap = kl.value
    seen = {"khat": khat.value, "kl": gap, "mean": found.mean, "sd": found.sd}
    even = math.isfinite(khat.value) and gap <= NEGLIGIBLE
    shape = f"k-hat {khat.value:.2f}, {gap:.2f} nat by KL(q||p)"
    near = _largest(numbers, "mean_shift") <= MEAN_SHIFT and _largest(numbers, "sd_shift") <= SD_SHIFT
    said = f"By its weights {found.said} ({shape})."
    if alone:
        if not even and not khat.value - 2 * (khat.mcse or 0.0) <= NO_MEAN:
            return Finding(source="weights", said=_no_mean(numbers, khat), numbers=seen)
        if not gap <= REPAIRABLE:
            said = f"It is {gap:.2f} nat from the posterior by KL(q||p), too far for weights alone to tell."
            return Finding(source="weights", said=said, numbers=seen)
        raw = True if near else False if found.right is False else None
        return Finding(source="weights", raw=raw, reweighted=True, said=said, numbers=seen)
    if khat.value <= TELLING_KHAT:
        return Finding(source="weights", raw=found.right, reweighted=True, said=said, numbers=seen)
    if even and near:
        return Finding(source="weights", raw=True, said=said, numbers=seen)
    if not khat.value <= NO_MEAN:
        return Finding(source="weights", said=_no_mean(numbers, khat), numbers=seen)
    said = f"Its weights settle too slowly to tell ({shape})."
    return Finding(source="weights", said=said, numbers=seen)


def _no_mean(numbers: Numbers, khat: MetricValue) -> str:
    """Return why weights say nothing: k-hat of infinity is no number, but has a reason."""
    ess = _single(numbers, "ess")
    if math.isfinite(khat.value):
        return (
            f"Its weights have no mean (k-hat {khat.value:.2f}): it misses part of the posterior, and they say nothing."
        )
    if ess is not None and ess.value < 2:
        return (
            "A single draw has nearly all of its weight (so k-hat has no value): its weights have no mean to speak of."
        )
    return f"The tail of its weights has no shape (k-hat {khat.value:.2f}): they have no mean to speak of."


def _each(numbers: Numbers, names: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, Errors]]:
    """Yield the errors of each kind of draws that have any."""
    for kind, pair in names.items():
        resolution = RESOLUTION if kind == "raw" else SLACK
        if (found := errors(numbers, *pair, resolution)) is not None:
            yield kind, found


def _opinions(found: Mapping[str, Errors]) -> dict[str, Any]:
    """Return the parts of a finding that errors decide."""
    seen: dict[str, float] = {}
    for kind, one in found.items():
        prefix = "" if kind == "raw" else f"{kind}_"
        seen |= {f"{prefix}mean": one.mean, f"{prefix}sd": one.sd}
    return {**{kind: one.right for kind, one in found.items()}, "numbers": seen}


def _others(found: Mapping[str, Errors]) -> str:
    """Return what is said of repaired draws where the raw ones are not right."""
    if found["raw"].right:
        return ""
    return "".join(f"; {kind}, {one.said}" for kind, one in found.items() if kind != "raw")


def _shares_agree(numbers: Numbers) -> bool:
    r"""Return whether the guide has as much in each mode as the posterior, as far as a mean would show it.

    To move a share d from one mode of share s to all others moves a mean by :math:`d / \sqrt{s (1 - s)}` posterior
    sds at the most.
    """
    given = {one.variable: one.value for one in numbers.get("dropped_mass_given", ())}
    return all(
        abs(given.get(one.variable, 0.0) - one.value) <= MEAN_ERROR * math.sqrt(max(one.value * (1 - one.value), 0.0))
        for one in numbers.get("dropped_mass_expected", ())
    )


def _single(numbers: Numbers, name: str) -> MetricValue | None:
    return next((one for one in numbers.get(name, ()) if not one.variable), None)


def _largest(numbers: Numbers, name: str) -> float:
    """Return the largest value of a metric over all components, each with its error added."""
    return max(one.value + (one.mcse or 0.0) for one in numbers[name])
