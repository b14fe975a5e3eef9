"""Colours: one per guide, the same in every figure and table, and one tone per verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from guidebench.report.content import Pill, Tone
from guidebench.results import Verdict

#: seaborn's "colorblind" palette, written out so that a table needs no plotting library, and six darker colours
#: that lie as far from these as can be.  Pink and yellow, which are hardly visible on white, come last.
COLOURS = (
    "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#56b4e9", "#ca9161", "#949494",
    "#9b30ff", "#332288", "#b2182b", "#7a7a00", "#882255", "#005f5f", "#fbafe4", "#ece133",
)  # fmt: skip

#: A Matplotlib line style: solid, or an offset and the lengths of dashes and gaps.
Dashes: TypeAlias = Literal["-"] | tuple[float, tuple[float, ...]]

#: Every eight guides have another dash pattern: so many colours are not told apart by everybody.
DASHES_PER = 8
DASHES: tuple[Dashes, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1, 1, 1)))

#: Ink for truth marks and outlines, which belong to no guide.
INK = "#222222"

#: The area under the reference's density, light enough for lines of any colour upon it.
REFERENCE = "#dcdcdc"


def mark(colour: str) -> str:
    """Return the class of whatever a page has of a guide, or of the reference, by the colour that is its alone."""
    return f"g-{colour.removeprefix('#')}"


TONES: dict[Verdict, tuple[Tone, str]] = {
    Verdict.TRUST: ("good", "✓"),
    Verdict.REWEIGHT: ("fair", "↻"),
    Verdict.REFRESH: ("fair", "⟳"),
    Verdict.DISTRUST: ("bad", "✕"),
    Verdict.POINT: ("neutral", "•"),
    Verdict.FAILED: ("muted", "!"),
}


@dataclass(frozen=True)
class Style:
    """How one guide is drawn."""

    colour: str
    dashes: Dashes = "-"


def styles(guides: Iterable[str]) -> dict[str, Style]:
    """Return one style per guide, in order of first appearance."""
    names = list(dict.fromkeys(guides))
    return {
        name: Style(COLOURS[index % len(COLOURS)], DASHES[index // DASHES_PER % len(DASHES)])
        for index, name in enumerate(names)
    }


def verdict_pill(verdict: Verdict, hover: str = "") -> Pill:
    """Return the verdict as a word on a coloured ground."""
    tone, symbol = TONES[Verdict(verdict)]
    return Pill(str(Verdict(verdict)), tone, symbol, hover)
