"""What changed between two runs, from a script or a notebook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from guidebench.analysis import runs
from guidebench.api.comparison import Comparison, load
from guidebench.results import records


class Diff(runs.Diff):
    """What got better or worse between two runs, beyond noise, which shows itself in a notebook."""

    def _repr_html_(self) -> str:
        from guidebench.report.diff.content import html

        return html(self)


def diff(
    before: records.Comparison | str | Path,
    after: records.Comparison | str | Path,
    *,
    changed: Callable[[str], None] | None = None,
) -> Diff:
    """Compare two runs: what got better or worse, beyond noise.

    Parameters
    ----------
    before, after : Comparison or path
        Comparisons, or folders with their results.
    changed : callable, optional
        As for :func:`load`.

    Returns
    -------
    Diff
        With ``.worse``, ``.better`` and ``.table()``; :func:`guidebench.analysis.runs.diff` says how they are found.

    Raises
    ------
    RequestError
        Where the runs have no guide on the same problem and data in common.
    ResultsError
        Where a folder holds no results.
    """
    (old, old_name), (new, new_name) = _opened(before, changed), _opened(after, changed)
    found = runs.diff(old, new, names=(old_name, new_name))
    return Diff(**{part.name: getattr(found, part.name) for part in fields(found)})


def _opened(given: records.Comparison | str | Path, changed: Callable[[str], None] | None) -> tuple[Comparison, str]:
    if isinstance(given, records.Comparison):
        return given if isinstance(given, Comparison) else Comparison.from_record(given), given.name
    return load(given, changed=changed), str(given)
