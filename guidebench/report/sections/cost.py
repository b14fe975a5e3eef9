"""What each guide cost, phase by phase, beside what NUTS takes."""

from __future__ import annotations

from collections.abc import Mapping

from guidebench.analysis.quicker import beside_nuts
from guidebench.report.page import Block, Cell, Number, Page, Table
from guidebench.results import Fit, Work
from guidebench.results.work import APART, CALLED, OF_A_FIT, OF_A_PROBLEM, total


def build(page: Page) -> Block | None:
    """Return gradients and seconds of every guide by phase, and those that all of them share; ``None`` without any."""
    if not page.problem.work and not any(fit.work for fit in page.fits):
        return None
    return Block(
        "Gradients of the log joint, a Hessian counted as one for each coordinate. Drawing and scoring take densities "
        "alone, which cost about a third of a gradient each.",
        own(page) if any(fit.work for fit in page.fits) else None,
        shared(page) if page.problem.work else None,
        beside_nuts(page.fits, page.problem),
        *page.problem.left_out,
    )


def own(page: Page) -> Table:
    """Return a row per guide, with gradients, densities and seconds of every phase that any of them has."""
    phases = [phase for phase in OF_A_FIT if any(phase in fit.work for fit in page.fits)]
    columns = ["guide", *(name for phase in phases for name in _columns(phase)), "gradients in all"]
    rows = [
        [page.key(fit), *(cell for phase in phases for cell in _cells(phase, fit.work)), fit.gradients]
        for fit in page.fits
    ]
    caption = None
    if missing := [fit for fit in page.fits if fit.status.has_draws and "training" not in fit.work]:
        caption = f"{', '.join(fit.guide for fit in missing)}: its own method does not count its gradients."
    apart = [CALLED[phase] for phase in phases if phase in APART]
    if apart:
        caption = " ".join(filter(None, (caption, f"Not in the last column: {', '.join(apart)}.")))
    return Table(columns, rows, caption=caption or "", remarks=[_left_out(fit) for fit in page.fits])


def _columns(phase: str) -> tuple[str, ...]:
    second = "densities" if phase == "scoring" else "gradients"
    return f"{CALLED[phase]}: {second}", f"{CALLED[phase]} (s)"


def _cells(phase: str, work: Mapping[str, Work]) -> tuple[Cell, ...]:
    found = work.get(phase)
    if found is None:
        return None, None
    return found.densities if phase == "scoring" else found.gradients, Number(found.seconds, digits=2)


def _left_out(fit: Fit) -> str:
    return "; ".join(fit.left_out)


def shared(page: Page) -> Table:
    """Return a row per phase that all guides of a problem share, and their sum."""
    work = page.problem.work
    found = [(CALLED[phase], work[phase]) for phase in OF_A_PROBLEM if phase in work]
    if len(found) > 1:
        found.append(("together", total(one for _, one in found)))
    rows: list[list[Cell]] = [
        [name, one.gradients, one.densities, Number(one.seconds, digits=2)] for name, one in found
    ]
    return Table(["shared by all guides", "gradients", "densities", "seconds"], rows)
