"""The finished fits of a run, kept in the folder of its results until, and after, the run is complete.

``DIR/NAME/.fits/KEY.json`` is a fit, or the record of a problem, and ``KEY.nc`` beside it its draws.  A
complete run moves the draws to their place under ``inference_data/``, where the next run into the same
folder finds them, so nothing lies there twice.  The key says what made the numbers, and a digest in the
JSON which draws belong to them: what was changed, cut short or is another's is not found.  Every file is
written in one step and the JSON last, so a fit is there as a whole or not at all, whenever a run is killed
and however many of them write into one folder.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from guidebench import inference_data as idata
from guidebench.results import Fit, ProblemRecord
from guidebench.store import KEPT, REFERENCE, draws_path, fit_of, plain, problem_of, read_json, replace

#: Seconds after which nobody is writing a temporary file any more.
ABANDONED = 3600


class _Stored(NamedTuple):
    """A file of draws as it was when it was written or read."""

    file: Path
    size: int
    modified: int

    @classmethod
    def of(cls, file: Path) -> _Stored:
        found = file.stat()
        return cls(file, found.st_size, found.st_mtime_ns)

    def unchanged(self) -> bool:
        try:
            return _Stored.of(self.file) == self
        except OSError:
            return False


class Kept:
    """What runs into one folder have kept; as the engine's ``Keep`` has it.

    Parameters
    ----------
    folder : Path
        Of the results.
    fresh : bool
        Find nothing of an earlier run, and forget it once there is something to keep.
    """

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self._results = folder
        self._folder = folder / KEPT
        self._fresh = fresh
        self._used: set[str] = set()
        self._draws: dict[tuple[str, str], _Stored] = {}

    def fit(self, key: str) -> Fit | None:
        """Return the fit that was kept under a key, or ``None``."""
        try:
            found = self._read(key)
            if found is None:
                return None
            told = found["fit"]
            fit = fit_of(told, self._load(key, found["draws"], told["problem"], told["guide"]))
        except Exception:  # noqa: BLE001 - whatever is wrong with what is kept, the fit is made anew
            return None
        self._used.add(key)
        return fit

    def problem(self, key: str) -> tuple[ProblemRecord, idata.InferenceData | None] | None:
        """Return the record and the reference draws that were kept under a key, or ``None``."""
        try:
            found = self._read(key)
            if found is None:
                return None
            record = problem_of(found["problem"])
            draws = self._load(key, found["draws"], record.name, REFERENCE)
        except Exception:  # noqa: BLE001 - as above
            return None
        self._used.add(key)
        return record, draws

    def keep_fit(self, key: str, fit: Fit) -> None:
        """Write a fit; a folder that cannot be written is no reason to stop."""
        self._keep(key, {"fit": plain(fit)}, fit.inference_data, fit.problem, fit.guide)

    def keep_problem(self, key: str, problem: tuple[ProblemRecord, idata.InferenceData | None]) -> None:
        """Write the record of a problem and the draws of its reference."""
        record, draws = problem
        self._keep(key, {"problem": plain(record)}, draws, record.name, REFERENCE)

    def place(self, problem: str, guide: str, target: Path) -> bool:
        """Move the draws of a fit to their place in the results; ``False`` where they are not in a file."""
        stored = self._draws.get((problem, guide))
        if stored is None or not stored.unchanged():
            return False
        if stored.file == target:
            return True
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            stored.file.replace(target)
        except OSError:
            return False
        self._draws[problem, guide] = stored._replace(file=target)
        return True

    def tidy(self) -> None:
        """Remove what is kept of fits that are not part of the finished run."""
        for file in self._files():
            if file.stem not in self._used or file.suffix != ".json":
                file.unlink(missing_ok=True)
        for file in self._results.rglob(".*.partial"):  # of a run that was killed; another may be writing its own
            if time.time() - file.stat().st_mtime > ABANDONED:
                file.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return list(self._folder.iterdir()) if self._folder.is_dir() else []

    def _read(self, key: str) -> dict[str, Any] | None:
        if self._fresh:
            return None
        found = read_json(self._folder / f"{key}.json")
        return found if found["key"] == key else None

    def _load(self, key: str, digest: str | None, problem: str, guide: str) -> idata.InferenceData | None:
        """Return the draws with that digest, from where they were kept or from their place in the results.

        Raises
        ------
        LookupError
            Where they are in neither place.
        """
        if digest is None:
            return None
        for file in (self._folder / f"{key}.nc", draws_path(self._results, problem, guide)):
            if file.is_file() and _digest(file) == digest:
                stored = _Stored.of(file)
                draws = idata.load(file)
                self._draws[problem, guide] = stored
                return draws
        raise LookupError(key)

    def _keep(
        self, key: str, told: Mapping[str, Any], draws: idata.InferenceData | None, problem: str, guide: str
    ) -> None:
        try:
            if self._fresh:
                for file in self._files():
                    file.unlink(missing_ok=True)
                self._fresh = False
            digest = None
            if draws is not None:
                file = self._folder / f"{key}.nc"
                replace(file, lambda partial: idata.save(draws, partial))
                digest = _digest(file)
                self._draws[problem, guide] = _Stored.of(file)
            text = json.dumps({"key": key, "draws": digest, **told}, allow_nan=False)
            replace(self._folder / f"{key}.json", lambda partial: partial.write_text(text, encoding="utf-8"))
        except OSError:
            return
        self._used.add(key)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "blake2b").hexdigest()
