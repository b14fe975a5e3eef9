"""The finished fits of a run, kept in the folder of its results until, and after, the run is complete.

``DIR/NAME/.fits/KEY.json`` is a fit, or the record of a problem, and ``KEY.nc`` beside it its draws.  A
complete run moves the draws to their place under ``inference_data/``, where the next run into the same
folder finds them, so nothing lies there twice.  The key says what made the numbers, and the JSON has a digest of
itself and of the draws that belong to it: what was changed, cut short or is another's is not found.  Every file is
written in one step and the JSON last, so a fit is there as a whole or not at all, whenever a run is killed.

A run of other problems has another NAME: what lies in the folders beside its own is found, too, and copied,
so that each folder of results remains whole by itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from guidebench.config.sealed import sealed
from guidebench.results import Fit, ProblemRecord
from guidebench.results import inference_data as idata
from guidebench.results.asjson import fit_of, plain, problem_of
from guidebench.results.files import digest, put
from guidebench.results.store import KEPT, REFERENCE, Placed, draws_path, finish, read_json

#: In the folder of kept fits: which problems they are of, as a digest.
CLAIM = "problems"

#: What a process that was killed has left: half a file, or the folder in which half a report was.
LEFT_OVER = (".*.partial", ".report-*")


class _Stored(NamedTuple):
    """A file of draws as it was when it was written or read."""

    file: Path
    digest: str
    size: int
    modified: int

    @classmethod
    def of(cls, file: Path, digest: str) -> _Stored:
        found = file.stat()
        return cls(file, digest, found.st_size, found.st_mtime_ns)

    def unchanged(self) -> bool:
        try:
            return _Stored.of(self.file, self.digest) == self
        except OSError:
            return False


def claimed(folder: Path) -> str | None:
    """Return which problems a folder of results is about, where it says so."""
    try:
        return (folder / KEPT / CLAIM).read_text(encoding="ascii")
    except (OSError, ValueError):
        return None


def clear(folder: Path) -> None:
    """Finish or remove what runs into a folder that were killed have left there; nobody else may write into it."""
    finish(folder)
    for pattern in LEFT_OVER:
        for found in list(folder.rglob(pattern)):
            if found.is_dir() and not found.is_symlink():
                shutil.rmtree(found, ignore_errors=True)
            else:
                with suppress(OSError):
                    found.unlink()


class Kept:
    """What runs into one folder, and those beside it, have kept; as the engine's ``Keep`` has it.

    Parameters
    ----------
    folder : Path
        Of the results.
    fresh : bool
        Find nothing of an earlier run, and forget it once there is something to keep.
    claim : str
        Which problems the folder is about; it is noted with the first that is kept.
    """

    def __init__(self, folder: Path, *, fresh: bool = False, claim: str = "") -> None:
        self._results = folder
        self._folder = folder / KEPT
        self._fresh, self._claim = fresh, claim
        self._used: set[str] = set()
        self._borrowed: set[Path] = set()
        self._draws: dict[tuple[str, str], _Stored] = {}

    def fit(self, key: str) -> Fit | None:
        """Return the fit that was kept under a key, or ``None``."""
        for results in self._places():
            with suppress(Exception):  # whatever is wrong with what is kept, the fit is made anew
                found = self._read(key, results)
                told = found["fit"]
                draws = self._load(key, found["draws"], results, told["problem"], told["guide"])
                fit = fit_of(told, draws)
                self._use(key, results)
                return fit
        return None

    def problem(self, key: str) -> tuple[ProblemRecord, idata.InferenceData | None] | None:
        """Return the record and the reference draws that were kept under a key, or ``None``."""
        for results in self._places():
            with suppress(Exception):  # as above
                found = self._read(key, results)
                record = problem_of(found["problem"])
                draws = self._load(key, found["draws"], results, record.name, REFERENCE)
                self._use(key, results)
                return record, draws
        return None

    def keep_fit(self, key: str, fit: Fit) -> None:
        """Write a fit; a folder that cannot be written is no reason to stop, but one that is full is.

        Raises
        ------
        DiskFullError
            Where there is no room for it: then there will be none for what comes after it.
        """
        self._keep(key, {"fit": plain(fit)}, fit.inference_data, fit.problem, fit.guide)

    def keep_problem(self, key: str, problem: tuple[ProblemRecord, idata.InferenceData | None]) -> None:
        """Write the record of a problem and the draws of its reference."""
        record, draws = problem
        self._keep(key, {"problem": plain(record)}, draws, record.name, REFERENCE)

    def placed(self, problem: str, guide: str) -> Placed | None:
        """Return where the draws of a fit lie; ``None`` where they are in no file, or not as they were any more."""
        stored = self._draws.get((problem, guide))
        if stored is None or not stored.unchanged():
            return None
        # What lies in the place of other results stays theirs alone.
        return Placed(stored.file, stored.digest, share=stored.file.parent == self._folder)

    def tidy(self) -> None:
        """Remove what is kept of fits that are not part of the finished run, and note all that are."""
        with suppress(OSError):
            self._note()
        for file in self._borrowed:
            with suppress(OSError):
                put(self._folder / file.name, file.read_bytes())
        for file in self._files():
            if file.stem not in self._used or file.suffix != ".json":
                with suppress(OSError):
                    file.unlink()

    def _note(self) -> None:
        if self._claim and claimed(self._results) != self._claim:
            put(self._folder / CLAIM, self._claim.encode("ascii"))

    def _files(self) -> list[Path]:
        found = list(self._folder.iterdir()) if self._folder.is_dir() else []
        return [file for file in found if file.suffix in (".json", ".nc")]

    def _places(self) -> list[Path]:
        """Return the folders of results in which there may be something, this one first."""
        return [] if self._fresh else [self._results, *self._beside]

    @cached_property
    def _beside(self) -> list[Path]:
        found = sorted(self._results.parent.glob(f"*/{KEPT}"))
        return [folder.parent for folder in found if folder != self._folder]

    def _read(self, key: str, results: Path) -> dict[str, Any]:
        found: dict[str, Any] = read_json(results / KEPT / f"{key}.json", always=True)
        if found["key"] != key:
            raise LookupError(key)
        return found

    def _load(
        self, key: str, written: str | None, results: Path, problem: str, guide: str
    ) -> idata.InferenceData | None:
        """Return the draws with that digest, from where they were kept or from their place in the results.

        Raises
        ------
        LookupError
            Where they are in neither place.
        """
        if written is None:
            return None
        for file in (results / KEPT / f"{key}.nc", draws_path(results, problem, guide)):
            if file.is_file():
                stored, content = _Stored.of(file, written), file.read_bytes()
                if digest(content) == written:
                    draws = idata.from_bytes(content)
                    self._draws[problem, guide] = stored
                    return draws
        raise LookupError(key)

    def _use(self, key: str, results: Path) -> None:
        self._used.add(key)
        if results != self._results:
            self._borrowed.add(results / KEPT / f"{key}.json")

    def _keep(
        self, key: str, told: Mapping[str, Any], draws: idata.InferenceData | None, problem: str, guide: str
    ) -> None:
        try:
            if self._fresh:
                for file in self._files():
                    file.unlink(missing_ok=True)
                self._fresh = False
            self._note()
            written = None
            if draws is not None:
                file = self._folder / f"{key}.nc"
                written = put(file, idata.to_bytes(draws), settled=False)
                self._draws[problem, guide] = _Stored.of(file, written)
            text = sealed({"key": key, "draws": written, **told})
            put(self._folder / f"{key}.json", text.encode("utf-8"))
        except OSError:
            return
        self._used.add(key)
