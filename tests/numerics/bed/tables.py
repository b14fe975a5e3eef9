"""What a run over the test bed found, in Markdown: by class, where it was wrong, where it was too careful."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tests.numerics.bed.catalogue import KINDS
from tests.numerics.bed.held import VOUCHED, ends_right, right, sound, too_careful

Record = Mapping[str, Any]

_COLUMNS = (
    "class",
    "problems",
    "fits",
    *(f"`{word}` right" for word in VOUCHED),
    "`distrust`, too careful",
    "right and kept",
    "end right",
)


def lines(records: Sequence[Record]) -> Iterator[str]:
    """Yield the page's part on the test bed: a chapter for each setting of the reference that was run."""
    for reference in dict.fromkeys(one["asked"] for one in records):
        of = [one for one in records if one["asked"] == reference]
        seeds = sorted({one["seed"] for one in of})
        told = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
        guides = dict.fromkeys(fit["guide"] for one in of for fit in one["fits"])
        yield f"## The test bed, reference `{reference}` ({told})\n"
        yield f"Guides: {', '.join(f'`{guide}`' for guide in guides)}.\n"
        yield from by_class(of)
        yield from misses(of)
        yield from turns(of)


def by_class(records: Sequence[Record]) -> Iterator[str]:
    """Yield how often each word was right, by class; then for all, and for what was tuned on and what was not."""
    yield _row(_COLUMNS)
    yield "|---" * len(_COLUMNS) + "|"
    parts: list[tuple[str, Callable[[Record], bool]]] = [
        *((kind, lambda one, kind=kind: one["kind"] == kind) for kind in KINDS),  # type: ignore[misc]
        ("**all**", lambda _: True),
        ("**not held out**", lambda one: not one["held_out"]),
        ("**held out**", lambda one: one["held_out"]),
    ]
    for name, belongs in parts:
        chosen = [one for one in records if belongs(one)]
        if chosen:
            yield _row((name, *_counts(chosen)))
    yield ""


def judged(record: Record) -> list[Record]:
    """Return the fits of a problem that a verdict was passed on: neither points nor failures."""
    return [fit for fit in record["fits"] if fit["verdict"] in (*VOUCHED, "distrust")]


def _counts(records: Sequence[Record]) -> Iterator[str]:
    fits = [fit for one in records for fit in judged(one)]
    yield str(len(records))
    yield str(len(fits))
    for word in VOUCHED:
        said = [fit for fit in fits if fit["verdict"] == word]
        yield _share(sum(map(sound, said)), len(said))
    distrusted = [fit for fit in fits if fit["verdict"] == "distrust"]
    yield _share(sum(map(too_careful, distrusted)), len(distrusted))
    good = [fit for fit in fits if right(fit, "raw")]
    yield _share(sum(not too_careful(fit) for fit in good), len(good))
    proper = [one for one in records if one["proper"]]
    yield _share(sum(map(ends_right, proper)), len(proper))


def misses(records: Sequence[Record]) -> Iterator[str]:
    """Yield every fit that was vouched for wrongly, or distrusted though it is right."""
    rows = [
        (one, fit, "too careful" if sound(fit) else "wrong")
        for one in records
        for fit in judged(one)
        if too_careful(fit) or not sound(fit)
    ]
    if not rows:
        yield "No word was wrong, and none too careful.\n"
        return
    yield _row(("problem", "guide", "seed", "verdict", "mean", "of", "sd", "of", ""))
    yield "|---" * 9 + "|"
    for one, fit, what in sorted(rows, key=lambda row: row[2] == "too careful"):
        errors = fit[VOUCHED.get(fit["verdict"], "raw")]
        cells = ("no draws",) * 4 if errors is None else _errors(errors)
        if not one["proper"]:
            cells = ("improper",) * 4
        yield _row((one["name"], fit["guide"], str(one["seed"]), f"`{fit['verdict']}`", *cells, what))
    yield ""


def turns(records: Sequence[Record]) -> Iterator[str]:
    """Yield the guides that are trusted under one seed and distrusted under another."""
    words: dict[tuple[str, str], set[str]] = {}
    for one in records:
        for fit in judged(one):
            words.setdefault((one["name"], fit["guide"]), set()).add(fit["verdict"])
    turned = [f"{guide} on {name}" for (name, guide), said in words.items() if said >= {"trust", "distrust"}]
    if turned:
        yield f"Trusted under one seed and distrusted under another: {'; '.join(turned)}.\n"


def _errors(errors: Mapping[str, Any]) -> tuple[str, ...]:
    mean, sd = (errors[name] for name in ("mean_error", "sd_error"))
    return (
        "–" if mean is None else f"{mean:.2f}",
        errors["mean_of"],
        "–" if sd is None else f"{sd:.0%}",
        errors["sd_of"],
    )


def _share(some: int, count: int) -> str:
    return f"{some} of {count}" if count else "–"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
