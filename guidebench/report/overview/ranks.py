"""Average ranks of guides over problems, and which pairs differ by more than chance."""

from __future__ import annotations

import math

from guidebench.analysis.problems import ERROR, MAIN, Measure, Ranking, ranking, table
from guidebench.analysis.problems.pairs import FEWEST, PairedTest, smallest_p
from guidebench.report.content import Block, Cell, Details, Listing, Number, Pill, Table, Tabs
from guidebench.report.overview.seen import Overview
from guidebench.report.text import listed, p_value

#: Holm-adjusted p-values below it are called different.
LEVEL = 0.05

#: What guides are ranked by, one behind each tab.
RANKED = (ERROR, *(measure for measure in MAIN if measure.name not in ("mean_error", "sd_error")))

#: How to read the tests, and where they mislead.
NOTES = (
    (
        "The tests take the problems for a random sample. Those of one run are often relatives (models of the same "
        "data), which makes p-values too small; they speak of problems like these, not of yours."
    ),
    (
        "Holm's correction is for the pairs of one measure. Looking through several measures for a difference finds "
        "one by chance."
    ),
    "“Not shown” is not “the same”: with few problems a large difference can go unnoticed.",
    f"A test needs {FEWEST} problems that differ: with five, the smallest p-value there is, is 0.06.",
    "Differences within Monte Carlo error count like any others here; each problem's own part has the errors.",
    (
        "Tests as in Demšar (2006), JMLR 7:1–30; Friedman's with the F of Iman & Davenport (1980), "
        "doi:10.1080/03610928008827904; Wilcoxon (1945), doi:10.2307/3001968; zeros as in Pratt (1959), "
        "doi:10.1080/01621459.1959.10501526; Holm (1979), Scand. J. Statist. 6(2)."
    ),
)


def build(overview: Overview) -> Block | None:
    """Return ranks and tests for each measure, or ``None`` where no two guides can be compared."""
    tabs = []
    for measure in RANKED:
        found = ranking(table(overview.comparison, measure), measure.better)
        if len(found.ranks) > 1:
            tabs.append((measure.title, Block(*one(overview, measure, found))))
    if not tabs:
        return None
    return Block(
        "Rank 1 is the best guide of a problem; ties share the average of their ranks. Ranks say how often a guide is "
        "ahead, not by how much.",
        Tabs(tabs),
        Listing(NOTES),
    )


def one(overview: Overview, measure: Measure, found: Ranking) -> list[str | Table | Details]:
    """Return what is said of one measure."""
    unit = f" ({measure.unit})" if measure.unit else ""
    rows: list[list[Cell]] = [
        [
            overview.key(str(guide)),
            Number(float(rank), digits=3),
            Number(float(found.medians[guide]), digits=2),
        ]
        for guide, rank in found.ranks.items()
    ]
    count = len(found.problems)
    return [
        f"{coverage(found)} {verdict(found)}",
        Table(
            ["guide", "average rank", f"median{unit}"],
            rows,
            caption=f"{measure.title}, {measure.better} is better, over {count} problem{'' if count == 1 else 's'}.",
        ),
        Details(f"Pair by pair: {pairs_told(found)}", Block(pairs(found, unit))),
    ]


def coverage(found: Ranking) -> str:
    """Return which problems and guides the ranks are of."""
    count = len(found.problems)
    text = f"Over {count} problem{'' if count == 1 else 's'} on which all compared guides have a value."
    if found.dropped:
        who = listed([f"{guide} ({number})" for guide, number in found.missing.items()])
        text += f" Left out: {len(found.dropped)} more, for lack of a value of {who}; if a guide fails where it is "
        text += "hard, its rank looks better than it is."
    if absent := [f"{guide} ({number})" for guide, number in found.left_out.items()]:
        text += f" Not compared, because defined on too few problems: {listed(absent)}."
    return text


def verdict(found: Ranking) -> str:
    """Return the result of Friedman's test in words."""
    if found.reason:
        return f"No test of whether guides differ: {found.reason}."
    value = "infinite" if math.isinf(found.f_statistic) else f"{found.f_statistic:.2f}"
    shown = p_value(found.p_value) or ""
    same = "Guides differ" if found.p_value < LEVEL else "Guides may all be alike"
    return (
        f"{same} (Friedman's test, F({found.freedom[0]}, {found.freedom[1]}) = {value}, "
        f"p {shown if shown.startswith('<') else f'= {shown}'}); Kendall's W is {found.concordance:.2f}: "
        "0 where problems do not agree on an order, 1 where they agree entirely."
    )


def pairs_told(found: Ranking) -> str:
    """Return how many pairs differ."""
    tested = [pair for pair in found.pairs if not math.isnan(pair.adjusted)]
    if not tested:
        return "too few problems for a test"
    different = sum(pair.adjusted < LEVEL for pair in tested)
    return f"{different} of {len(tested)} differ"


def pairs(found: Ranking, unit: str) -> Table:
    """Return a row per pair of guides, the better one by rank first."""
    rows: list[list[Cell]] = [
        [
            f"{pair.first} − {pair.second}",
            f"{pair.wins}–{pair.ties}–{pair.losses}",
            None if math.isnan(pair.median) else Number(pair.median, digits=2),
            f"{pair.ranks.positive:g} / {pair.ranks.negative:g}",
            p_value(pair.ranks.p_value),
            p_value(pair.adjusted),
            _pill(pair),
        ]
        for pair in found.pairs
    ]
    columns = ["guides", "better–same–worse", f"median difference{unit}", "R+ / R−", "p", "p (Holm)", "different?"]
    count = len(found.problems)
    tested = sum(not math.isnan(pair.adjusted) for pair in found.pairs)
    caption = f"Wilcoxon's signed-rank test on {count} problems, exact. Holm's correction is for {tested} pairs"
    least = smallest_p(count, tested)
    if not tested:
        caption = f"No p-values: Wilcoxon's test needs {FEWEST} problems that differ"
    elif least >= LEVEL:
        caption += f"; after it no pair can get below p = {least:.2f} with so few problems, whatever the numbers"
    return Table(columns, rows, caption=f"{caption}.")


def _pill(pair: PairedTest) -> Pill:
    if math.isnan(pair.adjusted):
        return Pill("not known", "muted")
    return Pill("different", "neutral") if pair.adjusted < LEVEL else Pill("not shown", "muted")
