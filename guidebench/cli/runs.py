"""The command that lists what runs there are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from guidebench.cli.format import FormatOption, ListFormat
from guidebench.config.errors import RequestError


class Run(NamedTuple):
    """A folder of results.

    Attributes
    ----------
    folder : str
        Where it is.
    date : str
        When ``results.json`` was written.
    problems, guides : list of str
        What it is about.
    recommendation : list of str
        A sentence for each problem.
    """

    folder: str
    date: str
    problems: list[str]
    guides: list[str]
    recommendation: list[str]


def runs(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to look, and below.")] = Path("reports"),
    form: FormatOption = ListFormat.TEXT,
) -> int:
    """List the runs in a folder and below: date, problem, guides and recommendation, the newest first."""
    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}")
    found = sorted(found_in(folder), key=lambda one: (one.date, one.folder), reverse=True)
    if form is ListFormat.JSON:
        from guidebench.cli.format import print_json

        print_json([one._asdict() for one in found])
        return 0
    from guidebench.cli.cells import make_console, show

    to = make_console()
    if not found:
        show(to, f"No run in {folder}.")
    for one in found:
        show(to, f"{one.folder}  {one.date[:16].replace('T', ' ')}", "bold")
        show(to, f"  {_some(one.problems)}: {_some(one.guides)}")
        for sentence in one.recommendation[:3]:
            show(to, f"  {sentence}")
        if len(one.recommendation) > 3:
            show(to, f"  and {len(one.recommendation) - 3} more problems")
    return 0


def found_in(folder: Path) -> Iterator[Run]:
    """Yield the finished runs in a folder and the folders below it; what cannot be read is none."""
    from guidebench.config.read import RESULTS
    from guidebench.results import store

    for file in sorted({folder / RESULTS, *folder.glob(f"*/{RESULTS}"), *folder.glob(f"*/*/{RESULTS}")}):
        try:
            raw = store.read_json(file)
            yield Run(
                folder=file.parent.as_posix(),
                date=datetime.fromtimestamp(file.stat().st_mtime).astimezone().isoformat(timespec="seconds"),
                problems=[one["name"] for one in raw["problems"]],
                guides=list(dict.fromkeys(one["guide"] for one in raw["fits"])),
                recommendation=_recommended(raw),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue


def _recommended(raw: dict[str, Any]) -> list[str]:
    """Return what was recommended for each problem; of results that do not say so, what follows from them."""
    if "recommendation" in raw:
        return [str(one["headline"]) for one in raw["recommendation"]]
    from guidebench.analysis.answer import answer
    from guidebench.results import asjson

    fits = [asjson.fit_of(one, None) for one in raw["fits"]]
    records = [asjson.problem_of(one) for one in raw["problems"]]
    return [answer([fit for fit in fits if fit.problem == one.name], one).headline for one in records]


def _some(names: list[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
