"""How to use what this run has found: the lines of Python that load the very guide, and the draws."""

from __future__ import annotations

from pathlib import Path

from guidebench.analysis.recommendation import by_word
from guidebench.report.content import Code
from guidebench.report.page import Block, Page
from guidebench.results import Fit
from guidebench.results.guide_state import GROUP
from guidebench.results.passport import path_of
from guidebench.results.store import POSTERIOR


def build(page: Page) -> Block | None:
    """Return code that takes home a guide and the draws to use; ``None`` where no guide was kept."""
    kept = [fit for fit in page.fits if page.group(fit, GROUP) is not None]
    words = by_word(kept)
    usable = words.usable
    if not kept:
        return None
    fit = usable[0] if usable else _best(kept)
    parts = [Code(loading(page.problem.name, fit))]
    if words.trusted:
        text = f"This loads {fit.guide}, in the folder of this report, with the model that it was trained on:"
    elif usable:
        text = (
            f"This loads {fit.guide}, in the folder of this report. Its own draws are not to be taken as they are; the "
            "draws to use, repaired, are in the file further below."
        )
    else:
        text = f"This loads {fit.guide}, in the folder of this report. No guide's draws can be used as the posterior."
    if usable or words.lent or (page.problem.reference and not page.problem.unchecked):
        parts.append(Code(draws(page.problem.name)))
    return Block(text, *parts)


def _best(fits: list[Fit]) -> Fit:
    """Return the fit with the best ELBO, or the first where there is none."""
    known = [fit for fit in fits if fit.value("elbo") is not None]
    return max(known, key=lambda fit: fit.value("elbo") or 0.0) if known else fits[0]


def loading(problem: str, fit: Fit) -> str:
    """Return the lines that load a guide and draw from it."""
    file = path_of(Path(), problem, fit.guide).as_posix()
    own = ", guide=guide" if fit.plugin == "your own" else ""
    return (
        "import guidebench as gb\n"
        f'trained = gb.load_guide("{file}", model{own})\n'
        "draws = trained.sample(seed=0, n=1000)  # or trained.predict(...), trained.guide and trained.params"
    )


def draws(problem: str) -> str:
    """Return the lines that read the draws to use."""
    file = path_of(Path(), problem, "").parent.name
    opened = f'xr.open_dataset("{POSTERIOR}/{file}.nc", group="posterior", engine="h5netcdf")'
    return f"import xarray as xr\nposterior = {opened}"
