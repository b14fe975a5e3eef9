"""What to conclude, and one row per guide."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from guidebench.analysis.differences import BROKEN
from guidebench.analysis.quicker import quicker
from guidebench.plugins.isolation.failures import Failure, reason
from guidebench.report import evidence
from guidebench.report.columns import further
from guidebench.report.page import Block, Cell, Lead, Listing, Note, Number, Page, Table
from guidebench.report.palette import verdict_pill
from guidebench.report.text import listed, number, percent
from guidebench.results import Fit, ProblemRecord, Status

COLUMNS = (
    "guide",
    "verdict",
    "ELBO (nat)",
    "KL (nat)",
    "k-hat",
    "weight ESS",
    "coverage at 90 %",
    "status",
    "training (s)",
)

#: Columns that are left out where no guide has a number in them.
OPTIONAL = ("KL (nat)", "coverage at 90 %")

#: The word for a status; anything but "converged" must not read like it.
STATUS = {
    Status.CONVERGED: "converged",
    Status.MAX_STEPS: "not converged",
    Status.DIVERGED: "diverged",
    Status.UNSUPPORTED: "unsupported",
    Status.FAILED: "failed",
}


def build(page: Page) -> Block:
    """Return the table of guides and what its cells mean; of several problems the conclusion, too."""
    return Block(
        # Of one problem the report begins with these.
        *(Note(text, "warning") for text in page.problem.warnings if page.several),
        *(conclusion(page) if page.several else ()),
        *sampling(page),
        table(page) if page.fits else "There are no fits.",
        *warnings(page.fits),
        *broken(page.comparison.failures),
        *modes(page),
        evidence.details(page),
        Listing(notes(page.fits, page.problem)),
    )


def conclusion(page: Page) -> list[Lead | Note]:
    """Return the recommendation in words; the table stands without it where that fails."""
    try:
        from guidebench.analysis.recommendation import recommend

        return [Lead(recommend(page.fits, page.problem))]
    except Exception as error:  # noqa: BLE001 - the numbers must not go down with the words
        return [Note(f"No recommendation could be made: {reason(error)}", "warning")]


def sampling(page: Page) -> list[Note]:
    """Return whether NUTS was the quicker way, where it was."""
    found = quicker(page.fits, page.problem)
    return [Note(found, "info")] if found else []


def table(page: Page) -> Table:
    """Return the table of guides, without the columns that would be empty."""
    more = further(page)
    names = [*COLUMNS[:-2], *(name for name, _ in more), *COLUMNS[-2:]]
    found = [
        [*row[:-2], *(cells(fit) for _, cells in more), *row[-2:]]
        for row, fit in zip(rows(page), page.fits, strict=True)
    ]
    kept = [at for at, name in enumerate(names) if name not in OPTIONAL or any(row[at] is not None for row in found)]
    return Table(
        [names[at] for at in kept],
        [[row[at] for at in kept] for row in found],
        remarks=[remark(fit) for fit in page.fits],
    )


def rows(page: Page) -> list[list[Cell]]:
    """Return one row per fit."""
    return [
        [
            page.key(fit),
            verdict_pill(fit.verdict, evidence.hover(fit)),
            elbo(fit),
            None if fit.bound == "none" else _defined(fit, "kl", digits=2),
            khat(fit),
            ess(fit),
            coverage(fit, "coverage_90", page.problem.heldout_size),
            STATUS[Status(fit.status)],
            Number(fit.train_s, digits=2),
        ]
        for fit in page.fits
    ]


def elbo(fit: Fit) -> Number | None:
    """Return the ELBO, marked where it must not be compared as it stands."""
    found = fit.metric("elbo")
    if found is None or fit.bound == "none":
        return None
    marks = []
    if fit.status is not Status.CONVERGED:
        marks.append("not converged")
    if fit.bound == "augmented":
        marks.append("bound over a larger space")
    spread, far, starts = restarts(fit)
    if far:
        marks.append(f"{far} of {starts} starts far below")
    detail = "" if spread is None else f"restart sd {number(spread, digits=2)}"
    return Number(found.value, found.mcse, detail=detail, mark=", ".join(marks))


def restarts(fit: Fit) -> tuple[float | None, int, int]:
    """Return the sd of the ELBO over restarts, how many were left out for being far below, and how many there are.

    One restart that broke down makes the sd of all of them a number like 3e20, which says nothing of the others.
    """
    found = fit.value("elbo_restart_sd")
    elbos = np.array([one.elbo for one in fit.restarts if one.elbo is not None], dtype=float)
    near = elbos[elbos > np.nanmax(elbos, initial=-np.inf) - BROKEN]
    far = len(elbos) - len(near)
    if found is None or not far:
        return found, 0, len(elbos)
    return float(np.std(near, ddof=1)) if len(near) > 1 else None, far, len(elbos)


def khat(fit: Fit) -> Number | None:
    """Return k-hat, with its threshold where it is not clearly below it."""
    found, threshold = fit.metric("khat"), fit.value("khat_threshold")
    if found is None:
        return None
    mark = ""
    if threshold is not None:
        # Within two standard errors the number cannot tell on which side of the threshold it is.
        near = 2 * (found.mcse or 0.0)
        if not found.value <= threshold + near:
            mark = f"above {threshold:.2f}"
        elif found.value > threshold - near:
            mark = f"near {threshold:.2f}"
    return Number(found.value, found.mcse, digits=2, mark=mark)


def ess(fit: Fit) -> Number | None:
    """Return the effective sample size of the weights, and the share of the draws that it is."""
    found, share = fit.metric("ess"), fit.value("ess_share")
    if found is None:
        return None
    return Number(found.value, found.mcse, digits=3, detail="" if share is None else percent(share))


def coverage(fit: Fit, name: str, size: int) -> Number | None:
    """Return an observed coverage with its binomial standard error."""
    found = fit.metric(name)
    if found is None:
        return None
    # Also where the error was given as zero: see binomial_error.
    return Number(found.value, found.mcse or binomial_error(found.value, size), digits=3)


def binomial_error(share: float, size: int) -> float | None:
    """Return the standard error of a share of `size` points.

    Half a success and half a failure are added first: a coverage of exactly one out of few points
    would otherwise claim to have no error.
    """
    if size < 1:
        return None
    adjusted = (share * size + 0.5) / (size + 1)
    return math.sqrt(adjusted * (1 - adjusted) / size)


def remark(fit: Fit) -> str:
    """Return why the verdict is what it is, and what happened in training."""
    parts = [" ".join(part.split()) for part in (fit.reason, fit.message) if part.strip()]
    parts = [part[:1].upper() + part[1:] for part in parts]
    return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in dict.fromkeys(parts))


def warnings(fits: Sequence[Fit]) -> list[Note]:
    """Return what must be seen before a number of the table is believed."""
    unsettled = [fit for fit in fits if fit.status is Status.MAX_STEPS]
    found = []
    if trained := [fit.guide for fit in unsettled if not fit.method]:
        found.append(
            f"Not converged: {listed(trained)}. The loss was still improving, or too noisy to tell, when the steps "
            "were used up; such an ELBO says how far training came, not how good the family is."
        )
    if own := [fit.guide for fit in unsettled if fit.method]:
        found.append(
            f"Not converged, by what its own method of fitting says: {listed(own)}. Such an ELBO says how far the "
            "method came, not how good the family is."
        )
    return [Note(text, "warning") for text in found]


def broken(failures: Sequence[Failure]) -> list[Note]:
    """Return which plugins took no part because they are broken."""
    named = [str(one) for one in failures if one.phase in ("import", "hook")]
    return [Note(f"Broken plugin, left out: {one}", "warning") for one in named]


def mode_shares(fit: Fit) -> list[tuple[str, float, float]]:
    """Return name, estimated share of the posterior and share of the draws, of each mode that a search found."""
    return [
        (expected.variable, expected.value, given.value)
        for expected in fit.metrics
        if expected.metric == "dropped_mass_expected"
        and (given := fit.metric("dropped_mass_given", expected.variable)) is not None
    ]


def modes(page: Page) -> list[Note | Table]:
    """Return what is known of several modes, and how each guide's draws are spread over them."""
    found = {fit.guide: shares for fit in page.fits if (shares := mode_shares(fit))}
    fits = [fit for fit in page.fits if fit.guide in found]
    if not fits:
        return []
    longest = max(found.values(), key=len)
    dropping = [fit.guide for fit in fits if (fit.value("dropped_mass") or 0.0) > 0]
    text = f"A search before training found {len(longest)} modes of the posterior. "
    text += (
        f"Hardly any draws of {listed(dropping)} are at some of them, which their own ELBO, k-hat and weights cannot "
        "show: they look only where there are draws."
        if dropping
        else "Every guide that has draws has some at each of those that count."
    )
    columns = ["share at", *(name for name, _, _ in longest)]
    body: list[list[Cell]] = [["posterior (estimate)", *(percent(expected) for _, expected, _ in longest)]]
    for fit in fits:
        given = {name: share for name, _, share in found[fit.guide]}
        body.append([page.key(fit), *(percent(given[name]) if name in given else None for name, _, _ in longest)])
    caption = (
        "Share of the posterior at each mode, by Laplace's estimate, and share of each guide's draws. Good enough to "
        "tell a mode that is there from one that is not; a mode that the search did not find is not in this table."
    )
    return [Note(text, "warning" if dropping else "info"), Table(columns, body, caption=caption)]


def judged(fits: Sequence[Fit]) -> Iterator[str]:
    """Yield which draws the numbers are of, where not all of these are kept."""
    several = [fit for fit in fits if fit.draws_judged > fit.draws_kept > 0]
    if not several:
        return
    totals, kept = ({getattr(fit, name) for fit in several} for name in ("draws_judged", "draws_kept"))
    yield (
        f"Moments, ELBO, weights and verdicts are of {_counts(totals)} draws. The first {_counts(kept)} of these "
        "are kept: densities, pairs and predictions are of them."
    )


def _counts(found: set[int]) -> str:
    return " to ".join(f"{one:,}" for one in sorted({min(found), max(found)}))


def notes(fits: Sequence[Fit], problem: ProblemRecord) -> list[str]:
    """Return how to read the table."""
    dash = "An en dash (–) means that the number is not defined for this guide; it never stands for zero."
    error = "± is one Monte Carlo standard error of the number on its left, for the draws and the data at hand."
    found = [dash, error, *judged(fits)]
    if any(fit.bound == "none" for fit in fits):
        found.append(
            "A point estimate has no density, hence no ELBO, no k-hat and no weights: a number in those cells could "
            "not be compared with the other guides'. Its predictive intervals, if any, allow for the noise alone."
        )
    if any(fit.bound == "augmented" for fit in fits):
        found.append(
            "A bound over a larger space holds for log p(y), but it also pays for the auxiliary variables: it is not "
            "the ELBO of the draws of the latents alone."
        )
    if any(fit.metric("kl") for fit in fits):
        found.append(
            "KL is the Kullback-Leibler divergence from the guide to the posterior, which is log evidence minus ELBO: "
            "zero for the posterior itself. It is estimated with the guide's own weights, so it is too low where their "
            "tail is heavy (k-hat above 0.7), and blind to where the guide has no draws."
        )
    if any(fit.metric("elbo_restart_sd") for fit in fits):
        text = "Restart sd is the standard deviation of the ELBO over the starting points of a guide."
        if any(restarts(fit)[1] for fit in fits):
            text += f" Starts that ended more than {BROKEN:g} nat below the best one are left out of it and counted."
        found.append(text)
    if any(fit.metric("khat") for fit in fits):
        found.append(
            "k-hat is the tail shape of the importance weights: above its threshold, what is estimated with them "
            "settles slowly. "
            "Weight ESS is the number of independent draws that the weighted draws are worth."
        )
    if any(fit.metric("coverage_90") for fit in fits) and problem.heldout_size:
        found.append(
            f"Coverage is the share of {problem.heldout_size} held-out points inside their central 90 % predictive "
            "interval, with its binomial standard error."
        )
    elif fits:
        discrete = "The held-out data are discrete: their intervals jump, so that no coverage is given for them."
        found.append(discrete if problem.heldout_size else "Without held-out data there is no coverage.")
    if problem.log_evidence is not None:
        found.append(
            f"The exact log evidence is {problem.log_evidence:.3f} nat: but for its error, no ELBO is above it."
        )
    return found


def _defined(fit: Fit, name: str, digits: int) -> Number | None:
    found = fit.metric(name)
    return None if found is None else Number(found.value, found.mcse, digits)
