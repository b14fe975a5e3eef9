"""What verdicts rest on: what each source of evidence said of a guide's draws, and the verdict on each site."""

from __future__ import annotations

from collections.abc import Sequence

from guidebench.analysis.limits import MEAN_ERROR, SD_ERROR
from guidebench.report.content import Block, Cell, Details, Pill, Table
from guidebench.report.page import Page
from guidebench.report.palette import verdict_pill
from guidebench.results import Finding, Fit

#: What a source says of draws: right, wrong, or that it cannot tell.
_WORDS: dict[bool | None, Cell] = {True: Pill("right", "good"), False: Pill("wrong", "bad"), None: None}

#: Most sites whose verdicts are shown.
MOST_SITES = 12


def hover(fit: Fit) -> str:
    """Return what the verdict rests on, a line for each source; the reason where nothing else was kept."""
    return "\n".join(f"{one.source}: {one.said}" for one in fit.evidence) or fit.reason


def details(page: Page) -> Details | None:
    """Return what each source said of each guide, folded, or ``None`` where there is nothing."""
    fits = [fit for fit in page.fits if fit.evidence]
    if not fits:
        return None
    rows = [_row(page, fit, one) for fit in fits for one in fit.evidence]
    caption = (
        "What each source says of a guide's draws, of these with their weights, and of the draws of the chains that "
        "began at them (or of those that were lent in their place): right where no mean is off by more than "
        f"{MEAN_ERROR:g} posterior sds and no sd by more than {SD_ERROR:.0%}. A dash means that it cannot tell."
    )
    columns = ["guide", "source", "draws", "reweighted", "refreshed", "what was seen"]
    return Details("What the verdicts rest on", Block(Table(columns, rows, caption=caption), sites(page, fits)))


def _row(page: Page, fit: Fit, one: Finding) -> list[Cell]:
    told = (_WORDS[one.raw], _WORDS[one.reweighted], _WORDS[one.refreshed])
    return [page.key(fit), one.source, *told, one.said]


def sites(page: Page, fits: Sequence[Fit]) -> Table | None:
    """Return the verdict on each site, where sites differ."""
    if not any(len(set(fit.sites.values())) > 1 for fit in fits):
        return None
    names = [name for name in page.problem.latents if any(name in fit.sites for fit in fits)]
    shown = names[:MOST_SITES]
    rows: list[list[Cell]] = [
        [page.key(fit), *(verdict_pill(fit.sites[name]) if name in fit.sites else None for name in shown)]
        for fit in fits
    ]
    caption = "The verdict on each latent site alone, by the same rule."
    if len(names) > len(shown):
        caption += f" The first {len(shown)} of {len(names)} sites."
    return Table(["guide", *shown], rows, caption=caption)
