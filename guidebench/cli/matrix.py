"""What the command line prints of several problems: verdicts problem by guide, and how guides rank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guidebench.analysis.problems import (
    ELBO_GAP,
    ERROR,
    SECONDS,
    ranking,
    shared_prefix,
    table,
    usable_in_words,
    winners,
)
from guidebench.cli.cells import COLOURS, NOTHING, escape, number, show
from guidebench.config.text import without_middle
from guidebench.results import Comparison, Fit, Verdict

#: Columns of a terminal that everybody has.
WIDTH = 80

#: What guides are ranked by; of both, lower is better.
RANKED = (ERROR, ELBO_GAP)

#: A verdict in one letter, where there are too many guides for the word.
SHORT = {
    Verdict.TRUST: "T",
    Verdict.REWEIGHT: "R",
    Verdict.REFRESH: "F",
    Verdict.DISTRUST: "D",
    Verdict.POINT: "P",
    Verdict.FAILED: "!",
}

#: Letters of a problem's name, and messages, that are shown.
MOST_LETTERS = 25
MOST_MESSAGES = 8


def print_matrix(comparison: Comparison, console: Console) -> None:
    """Print the verdicts on every problem, how the guides rank, and what went wrong."""
    guides = list(dict.fromkeys(fit.guide for fit in comparison.fits))
    console.print(_guides(comparison, guides))
    show(console, _ranks_told(comparison))
    console.print()
    console.print(_verdicts(comparison, guides))
    shown = {Verdict(fit.verdict) for fit in comparison.fits}
    if not _in_words(guides, comparison):
        console.print(f"{', '.join(f'{SHORT[one]} {one}' for one in Verdict if one in shown)}.")
    found = winners(comparison)
    none = sum(not one.usable for one in found)
    show(console, f"{usable_in_words(found)}; none can be used on {none}.")
    without = [record.name for record in comparison.problems if not record.reference]
    if without:
        show(console, f"No reference on {_some(without)}: no errors are known there.", "yellow")
    _print_messages(comparison.fits, console)
    console.print()


def _guides(comparison: Comparison, guides: Sequence[str]) -> Table:
    """Return a row per guide: its number in the matrix, its verdicts and its average ranks."""
    counts = Counter((fit.guide, Verdict(fit.verdict)) for fit in comparison.fits)
    ranks = [(measure.heading, ranking(table(comparison, measure))) for measure in RANKED]
    seconds = table(comparison, SECONDS).median()
    found = _plain(f"{comparison.name}: {len(comparison.problems)} problems, {len(guides)} guides")
    found.add_column("", justify="right")
    found.add_column("guide", overflow="fold", max_width=27)
    refreshed = any(fit.verdict is Verdict.REFRESH for fit in comparison.fits)
    counted = (Verdict.TRUST, Verdict.REWEIGHT, *([Verdict.REFRESH] if refreshed else []), Verdict.DISTRUST)
    for verdict in counted:
        found.add_column(str(verdict), justify="right")
    for title, _ in ranks:
        found.add_column(f"rank by\n{title}", justify="right")
    found.add_column(SECONDS.heading, justify="right")
    for at, guide in enumerate(guides, 1):
        found.add_row(
            str(at),
            escape(guide),
            *(str(counts[guide, one] or NOTHING) for one in counted),
            *(number(one.ranks.get(guide), 1) for _, one in ranks),
            number(None if seconds[guide] != seconds[guide] else float(seconds[guide]), SECONDS.digits),
        )
    return found


def _ranks_told(comparison: Comparison) -> str:
    """Return which problems the ranks are of, and whether they say anything."""
    found = [ranking(table(comparison, measure)) for measure in RANKED]
    counts = " and ".join(str(len(one.problems)) for one in found)
    text = f"Average ranks over the {counts} problems on which all ranked guides have a number; times are medians."
    few = [one.reason for one in found if one.reason]
    return f"{text} {'Too few for a test.' if few else 'Tests are in the report.'}"


def _prefix(comparison: Comparison) -> str:
    return shared_prefix([record.name for record in comparison.problems])


def _in_words(guides: Sequence[str], comparison: Comparison) -> bool:
    """Return whether the verdicts fit beside each other as words."""
    prefix = _prefix(comparison)
    name = min(max((len(record.name) - len(prefix) for record in comparison.problems), default=0), MOST_LETTERS)
    return name + 1 + len(guides) * (len("distrust") + 1) <= WIDTH


def _verdicts(comparison: Comparison, guides: Sequence[str]) -> Table:
    """Return the matrix of verdicts; guides have their number as heading."""
    words = _in_words(guides, comparison)
    found = _plain("", gap=0)
    prefix = _prefix(comparison)
    heading = escape(without_middle(f"{prefix}…", MOST_LETTERS)) if prefix else "problem"
    found.add_column(heading, no_wrap=True, max_width=MOST_LETTERS)
    for at in range(1, len(guides) + 1):
        found.add_column(str(at), no_wrap=True)
    for record in comparison.problems:
        verdicts = {fit.guide: Verdict(fit.verdict) for fit in comparison.of(record.name)}
        cells = [_cell(verdicts.get(guide), words=words) for guide in guides]
        found.add_row(escape(without_middle(record.name.removeprefix(prefix), MOST_LETTERS)), *cells)
    return found


def _cell(verdict: Verdict | None, *, words: bool) -> Text:
    if verdict is None:
        return Text(NOTHING)
    return Text(str(verdict) if words else SHORT[verdict], style=COLOURS[verdict])


def _plain(title: str, gap: int = 1) -> Table:
    """Return an empty table; `gap` spaces between columns are in addition to the box's own."""
    return Table(
        title=escape(title) or None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, gap, 0, 0),
        pad_edge=False,
        show_edge=False,
    )


def _some(names: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _print_messages(fits: Sequence[Fit], console: Console) -> None:
    """Print why fits have no draws, the same message once, and how many did not settle."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for fit in fits:
        if not fit.status.has_draws:
            owner = f" ({fit.failures[0].owner})" if fit.failures else ""
            reasons.setdefault((fit.guide, f"{fit.message}{owner}"), []).append(fit.problem)
    for (guide, message), problems in list(reasons.items())[:MOST_MESSAGES]:
        show(console, f"{guide} on {_some(problems)}: {message}", "red")
    if len(reasons) > MOST_MESSAGES:
        console.print(f"{len(reasons) - MOST_MESSAGES} more messages are in the report.", style="red")
    unsettled = Counter(fit.guide for fit in fits if fit.status == "max_steps")
    if unsettled:
        counts = ", ".join(f"{guide} ({count})" for guide, count in unsettled.items())
        show(console, f"Not settled when the steps ran out, or by its own method: {counts}.")
