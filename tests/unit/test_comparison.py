"""Records are data; what can be done with them is on the face, and a face is a record."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import guidebench as gb
from guidebench import results
from guidebench.contracts import Section
from guidebench.results import store
from tests import made


def record_of(guide: str = "g", **changes: Any) -> results.Fit:
    return made.fit(guide, {"elbo": (-1.0, 0.01)}, kind=results.Fit, **changes)


RECORD = made.comparison(record_of(), record_of("h"), kind=results.Comparison, name="c")


def test_records_know_nothing_of_reports_and_stores() -> None:
    for name in ("table", "ranks", "figures", "save", "load", "report", "sections", "_repr_html_"):
        assert not hasattr(results.Comparison, name)
        assert hasattr(gb.Comparison, name)
    assert not hasattr(results.Fit, "_repr_html_")


def test_a_face_is_the_record_and_its_fits_show_themselves() -> None:
    face = gb.Comparison.from_record(RECORD)
    assert isinstance(face, results.Comparison)
    assert isinstance(face["g"], gb.Fit)
    assert [fit.guide for fit in face] == ["g", "h"]
    assert (len(face), repr(face), repr(face["g"])) == (len(RECORD), repr(RECORD), repr(RECORD["g"]))
    assert face["g"] is face.of("p")[0]
    assert "g on p" in face["g"]._repr_html_()
    assert {name: getattr(face["h"], name) for name in vars(RECORD["h"])} == vars(RECORD["h"])
    assert gb.Comparison.from_record(face).fits[0] is face.fits[0]


def test_a_face_is_pickled_and_copied_without_its_sections() -> None:
    sections = [Section(name="s", title="S", build=lambda page: None)]
    face = gb.Comparison.from_record(RECORD, sections)
    for other in (pickle.loads(pickle.dumps(face)), copy.copy(face), copy.deepcopy(face)):
        assert type(other) is gb.Comparison
        assert other.sections is None
        assert other == face
        assert isinstance(other["g"], gb.Fit)
    assert replace(face, name="other").sections is sections


def test_what_is_loaded_is_a_face(tmp_path: Path) -> None:
    store.save(RECORD, tmp_path)
    loaded = gb.load(tmp_path)
    assert type(loaded) is gb.Comparison
    assert loaded == gb.Comparison.load(tmp_path)
    assert type(store.load(tmp_path)) is results.Comparison


@pytest.mark.parametrize(
    ("parts", "seconds"),
    [
        ({}, None),
        ({"compile_s": 1.0}, 1.0),
        ({"compile_s": 1.0, "train_s": 2.0, "evaluate_s": 4.0, "simulate_s": 8.0}, 7.0),
        ({"train_s": 0.0}, 0.0),
    ],
)
def test_the_seconds_of_a_fit_are_those_that_are_known(parts: dict[str, float], seconds: float | None) -> None:
    assert record_of(**parts).seconds == seconds
