"""Where a run writes its results, so that no report of another run is silently replaced."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from guidebench.config import RunConfig
from guidebench.config.errors import RequestError, opt
from guidebench.config.read import RESULTS
from guidebench.config.settings import OPTIONS

#: Options of which another value makes another run of the same problem: its data, and what of them is held out.
_DATA = tuple(
    name
    for name, option in OPTIONS.items()
    if option.changes == "subject" and name not in ("problems", "guides", "plugins", "no_plugins", "until")
)

#: Names that are listed in a sentence.
MOST_NAMES = 3


def place_of(config: RunConfig, problems: Sequence[str], guides: Sequence[str], claim: str = "") -> tuple[str, str]:
    """Return the name of the folder of a run below ``--out``, and what is to be said of it, if anything.

    It is the one that ``--name`` gives, or that of the problem.  Where an earlier run is in there that this one would
    not repeat or go on with (of another problem or model file, of other data, or with guides that this one leaves out),
    it is the next that is free.

    Parameters
    ----------
    config : RunConfig
        Of the run.
    problems, guides : sequence of str
        What its problems and guides are called.
    claim : str
        Which problems it is about, as a folder of a run notes it before there are results.

    Raises
    ------
    RequestError
        Where ``--name`` gives a folder that holds such a run.
    """
    usual = problems[0] if len(problems) == 1 else f"{len(problems)}-problems"
    if config.name is not None:
        if other := _another(Path(config.out) / config.name, config, problems, guides, claim):
            raise RequestError(
                f"{Path(config.out) / config.name} holds a run {other}; give another {opt('name')}, or another "
                f"{opt('out')}",
                option="name",
                value=config.name,
            )
        return config.name, ""
    found = ""
    for name in (usual, *(f"{usual}-{number}" for number in _numbers(Path(config.out), usual))):
        other = _another(Path(config.out) / name, config, problems, guides, claim)
        if not other:
            told = f"{Path(config.out) / usual} holds a run {found}, so this one goes to {Path(config.out) / name}"
            return name, f"{told}; --name gives it a name" if found else ""
        found = found or other
    raise AssertionError  # the last number is free


def _numbers(out: Path, usual: str) -> Iterable[int]:
    """Return the numbers to try: those that there are, and the next."""
    return range(2, next(number for number in count(2) if not (out / f"{usual}-{number}").exists()) + 1)


def _another(folder: Path, config: RunConfig, problems: Sequence[str], guides: Sequence[str], claim: str) -> str:
    """Return what a folder holds a run of that this one would not repeat, or nothing."""
    from guidebench.results import store
    from guidebench.results.kept import claimed

    try:
        raw = store.read_json(folder / RESULTS)
        before: Mapping[str, Any] = raw["config"]
        known = {one["name"] for one in raw["problems"]}
        fitted = {one["guide"] for one in raw["fits"]}
    except (OSError, ValueError, KeyError, TypeError):
        unfinished = claimed(folder) not in (None, claim)  # there is no report of a run, or none yet
        return "of other problems that did not come to its end" if unfinished else ""
    if not known <= set(problems):
        return f"of {_some(sorted(known - set(problems)))}"
    if _own(before.get("problems", ())) != _own(config.problems):
        return "of another model file"
    if any(_told(before[name]) != _told(getattr(config, name)) for name in _DATA if name in before):
        return "of other data"
    if bool(before.get("until")) is not bool(config.until):
        return "of all guides" if config.until else "that ended with the first draws to use"
    if left_out := fitted - set(guides):
        return f"with guides that are not asked for now ({_some(sorted(left_out))})"
    if not _own(before.get("guides", ())) <= _own(config.guides):
        return "with guides of another file"
    return ""


def _own(specs: Iterable[str]) -> set[str]:
    """Return what of a user's own is named, with the whole path of its file."""
    found = (re.fullmatch(r"(?P<file>.+\.py)(?P<rest>:.*)?", spec) for spec in specs)
    return {f"{Path(one['file']).resolve()}{one['rest'] or ''}" for one in found if one is not None}


def _told(value: Any) -> Any:
    """Return the value of an option as it can be compared: saved ones are lists, and a file is where it is."""
    if isinstance(value, (list, tuple)):
        return list(value)
    return str(Path(value).resolve()) if isinstance(value, str) else value


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMES]) + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")
