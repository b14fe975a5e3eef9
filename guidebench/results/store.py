"""Writing results to a folder and reading them back whole.

``results.json`` holds everything but arrays and is written last: a folder without it was
interrupted.  It has a digest of itself and of every file beside it.  Draws are NetCDF.  Nothing that is read is
ever executed.  What a run keeps of its fits on the way there is the business of :mod:`guidebench.results.kept`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from guidebench.config.errors import FolderInUseError, PluginError, ResultsError
from guidebench.config.sealed import DamagedError, sealed, unsealed
from guidebench.config.text import cell
from guidebench.contracts.names import check_name
from guidebench.plugins.isolation.failures import Failure, reason, said
from guidebench.results import Comparison, schema, staging
from guidebench.results import inference_data as idata
from guidebench.results.asjson import failures_of, fit_of, plain, problem_of, quantity_of, restored
from guidebench.results.files import digest, digest_of, put
from guidebench.results.lock import owned
from guidebench.results.staging import SAVING, Staging

if TYPE_CHECKING:
    import pandas as pd

#: Version of the layout of ``results.json``.
SCHEMA = 1

#: Holds everything but arrays.
RESULTS = "results.json"

#: In ``results.json``, the digest of each file beside it, by its path in the folder.
FILES = "files"

#: The folders of its trained guides, and of the draws to use.
GUIDES, POSTERIOR = "guides", "posterior"

#: Letters of a name that a path has, at most; file systems take 255.
LONGEST_NAME = 180

#: The folder of what a run that is not finished has kept, in the folder of its results.
KEPT = ".fits"

#: The name under which the reference lies beside the guides; no guide may have it.
REFERENCE = "reference"


def draws_path(folder: Path, problem: str, guide: str) -> Path:
    """Return where the InferenceData of one fit lives."""
    return folder / "inference_data" / quoted(problem) / f"{quoted(guide)}.nc"


def quoted(name: str) -> str:
    """Return `name` as one part of a path that is neither empty, hidden nor too long, nor means another folder."""
    text = quote(name, safe="=,", errors="surrogatepass")
    if len(text) > LONGEST_NAME:
        marked = hashlib.sha256(text.encode()).hexdigest()[:16]
        return f"{text[: LONGEST_NAME - 17]}%{marked}"  # no other name has a % there
    return f"%2E{text[1:]}" if text.startswith(".") else text or "%"


class Placed(NamedTuple):
    """Draws that lie in a file already; `share` where the same file may be in both places."""

    file: Path
    digest: str
    share: bool


#: ``kept(problem, guide)`` returns where the draws of a fit lie already, or ``None``.
KeptDraws = Callable[[str, str], Placed | None]


def save(
    comparison: Comparison,
    path: str | Path,
    *,
    kept: KeptDraws = lambda *_: None,
    beside: Mapping[str, bytes] | None = None,
    told: Mapping[str, Any] | None = None,
) -> Path:
    """Write ``results.json``, ``summary.csv``, ``metrics.csv`` and the draws; return the folder.

    They take the place of those of an earlier comparison in the same folder all at once, when they are complete.

    Parameters
    ----------
    comparison : Comparison
        What to write.
    path : str or Path
        The folder.
    kept : callable, optional
        ``kept(problem, guide)`` returns where draws lie already, which are moved, or ``None``: then they are written.
    beside : mapping of str to bytes, optional
        What else belongs to the results, by its path in the folder, in ``guides/`` or ``posterior/``.
    told : mapping, optional
        What else ``results.json`` holds by key, for those who read it without guidebench; it is not loaded again.

    Raises
    ------
    FolderInUseError
        Where another process writes into the folder.
    DiskFullError
        Where there is no room; the earlier results are still there.
    """
    folder = Path(path)
    draws = {(fit.problem, fit.guide): fit.inference_data for fit in comparison.fits}
    draws |= {(problem, REFERENCE): found for problem, found in comparison.references.items()}
    with owned(folder), Staging(folder, RESULTS) as staging:
        files = {}
        for (problem, guide), found in draws.items():
            if found is not None:
                name = draws_path(folder, problem, guide).relative_to(folder).as_posix()
                files[name] = _placed(staging, folder, name, kept(problem, guide)) or staging.write(
                    name, idata.to_bytes(found)
                )
        for name, table in (("summary.csv", comparison.summary()), ("metrics.csv", comparison.metrics())):
            files[name] = staging.write(name, _csv(table))
        for name, content in (beside or {}).items():
            files[name] = staging.write(name, content)
        stale = _saved_files(folder, folder) - {folder / name for name in files}
        staging.complete(_text({"schema": SCHEMA, **plain(told or {}), **plain(comparison), FILES: files}), stale)
    return folder


def _placed(staging: Staging, folder: Path, name: str, found: Placed | None) -> str | None:
    """Bring draws that lie in a file to their place; ``None`` where they have to be written."""
    if found is None or found.file == folder / name:
        return None if found is None else found.digest
    try:
        return found.digest if staging.take(name, found.file, share=found.share) == found.digest else None
    except OSError:
        return None


def _csv(table: pd.DataFrame) -> bytes:
    """Return a table in which no cell of text is a formula."""
    texts = table.select_dtypes(exclude="number").columns
    safe = table.assign(**{name: [cell(one) if isinstance(one, str) else one for one in table[name]] for name in texts})
    return str(safe.to_csv(index=False)).encode("utf-8")


def _text(results: Mapping[str, Any]) -> bytes:
    return sealed(results, indent=1).encode("utf-8")


def finish(folder: Path) -> None:
    """Put in place results that a process which was killed had complete, and remove those that it had not.

    Where another process writes into the folder, that is its business.
    """
    if (folder / SAVING).exists():
        with suppress(FolderInUseError, OSError), owned(folder):
            staging.finish(folder, RESULTS, lambda stage: _saved_files(folder, folder) - _saved_files(stage, folder))


def record(path: str | Path, sections: Sequence[Failure], report: Collection[str] = ()) -> None:
    """Write what a report came to into saved results, in the place of what an earlier one did.

    Parameters
    ----------
    path : str or Path
        The folder.
    sections : sequence of Failure
        The sections that could not be made.
    report : collection of str
        The files that the report consists of, by their paths in the folder.
    """
    folder = Path(path)
    with owned(folder):
        raw = unsealed((folder / RESULTS).read_bytes())
        before = raw.get("failures", [])
        now = [*(one for one in before if one["phase"] != "section"), *plain(list(sections))]
        files = {name: digest for name, digest in raw.get(FILES, {}).items() if not _of_report(name)}
        files |= {name: digest_of(folder / name) for name in report}
        put(folder / RESULTS, _text({**raw, "failures": now, FILES: files}))


def _of_report(name: str) -> bool:
    return name.startswith(("report.", "figures/"))


def load(path: str | Path, *, changed: Callable[[str], None] | None = None) -> Comparison:
    """Read a comparison written by :func:`save`.

    Parameters
    ----------
    path : str or Path
        The folder.
    changed : callable, optional
        Is told of each file, in one line, that is not read here and is not as it was written.

    Raises
    ------
    ResultsError
        Where the folder holds no results, results of another version, or such that are not as they were written.
    """
    folder = Path(path)
    finish(folder)
    raw = _read(folder)
    schema.check(raw, folder / RESULTS)
    files = raw.get(FILES, {})
    try:
        fits = tuple(fit_of(one, _draws(folder, one["problem"], one["guide"], files)) for one in raw["fits"])
        for name in dict.fromkeys(one.metric for fit in fits for one in fit.metrics):
            check_name("metric", name)
        problems = tuple(problem_of(one) for one in raw["problems"])
        rest = {name: raw[name] for name in ("name", "recipe", "config", "environment", "interrupted")}
        rest["kept"] = int(raw.get("kept", 0))
        failures = failures_of(raw)
        quantities = tuple(quantity_of(one) for one in raw.get("quantities", ()))
    except (KeyError, TypeError, ValueError, AttributeError, PluginError) as error:
        raise ResultsError(f"{folder / RESULTS} does not hold a comparison ({reason(error)})") from None
    references = {one.name: _draws(folder, one.name, REFERENCE, files) for one in problems if one.reference}
    found = {problem: draws for problem, draws in references.items() if draws is not None}
    for name in _changed(folder, files) if changed is not None else ():
        changed(f"{folder / name} is not as it was written: it was changed or damaged")  # type: ignore[misc]
    return Comparison(problems=problems, fits=fits, references=found, failures=failures, quantities=quantities, **rest)


def _changed(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Return the files beside the draws that are not as they were written; one that is not there has no say."""
    beside = [name for name in files if _beside(name) and (folder / name).is_file()]
    return [name for name in beside if digest_of(folder / name) != files[name]]


def _beside(name: str) -> bool:
    """Return whether a file lies in the folder, and is none of draws, which are looked at where they are read."""
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] not in ("/", "inference_data") and not {"..", "\0"} & {*parts, *name}


def _draws(folder: Path, problem: str, guide: str, files: Mapping[str, str]) -> idata.InferenceData | None:
    file = draws_path(folder, problem, guide)
    if not file.exists():
        return None
    try:
        content = file.read_bytes()
        written = files.get(file.relative_to(folder).as_posix())
        if written is None or digest(content) == written:
            return idata.from_bytes(content)
    except Exception as error:  # noqa: BLE001 - what a broken NetCDF file makes h5py and xarray raise is not documented
        raise ResultsError(f"{file} cannot be read: {reason(error)}") from None
    raise ResultsError(
        f"{file} cannot be read: it is not as it was written, but changed or damaged; run the same again, and what it "
        "belongs to is made anew"
    )


def _read(folder: Path) -> dict[str, Any]:
    file = folder / RESULTS
    try:
        raw = read_json(file)
    except FileNotFoundError:
        if any((folder / KEPT).glob("*.json")):
            raise ResultsError(
                f"{folder} holds no results.json, but fits of a run that was interrupted: start it again with the "
                "same command, and it goes on where it stopped"
            ) from None
        raise ResultsError(f"{folder} holds no results.json; name the folder of one finished run") from None
    except DamagedError as error:
        raise ResultsError(f"{file} cannot be read: {error}; who changed it on purpose takes its digest out") from None
    except (OSError, ValueError) as error:
        raise ResultsError(f"{file} cannot be read: {said(error)}") from None
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        found = raw.get("schema") if isinstance(raw, dict) else None
        raise ResultsError(f"{file} has schema {found!r}, this guidebench reads {SCHEMA}")
    return raw


def read_json(file: Path, *, always: bool = False) -> Any:
    """Return what a file holds that was written from :func:`plain`; with `always` it has to have a digest.

    Raises
    ------
    DamagedError
        Where its digest says that something of it was changed.
    """
    return restored(unsealed(file.read_bytes(), always=always))


def _saved_files(root: Path, folder: Path) -> set[Path]:
    """Return the files in `folder` that belong to the results in `root`: draws, and what lies beside them."""
    try:
        raw = _read(root)
        drawn = [(one["problem"], one["guide"]) for one in raw["fits"]]
        drawn += [(one["name"], REFERENCE) for one in raw["problems"] if one["reference"]]
        beside = [name for name in raw.get(FILES, {}) if name.startswith((f"{GUIDES}/", f"{POSTERIOR}/"))]
        return {draws_path(folder, problem, name) for problem, name in drawn} | {folder / name for name in beside}
    except (ResultsError, KeyError, TypeError):
        return set()
