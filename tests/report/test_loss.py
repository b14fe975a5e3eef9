"""The loss section where rows were kept from training: the data of its figure, and its words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from guidebench.engine.datasets import of_training
from guidebench.inference.train import Evaluations, Training
from guidebench.report import validation
from guidebench.report.drawing import style
from guidebench.report.page import Note, Page, Tabs
from guidebench.report.sections import loss
from tests.report.pages import page_of


def training(patience: int | None = 20) -> xr.Dataset:
    """Two restarts of 60 steps, evaluated every 20; the first is best early, the second late."""
    found = Training(
        params={},
        losses=np.linspace([9.0, 8.0], [3.0, 4.0], 60).T,
        rounds=(60,),
        skipped=np.zeros(2, int),
        skipped_lately=np.zeros(2, int),
        finite=np.ones(2, bool),
        snapshots={},
        snapshot_steps=np.arange(3),
        compile_s=0.0,
        train_s=0.0,
        evaluations=Evaluations(
            losses=np.array([[10.0, 5.0, 12.0], [8.0, 7.0, 6.0]]),
            steps=np.array([20, 40, 60]),
            kept=np.array([40, 60]),
            patience=patience,
        ),
    )
    return of_training(found, 0)["training"]


def page(best: int = 0, **changes: Any) -> Page:
    return page_of({"training": training(**changes)}, best=best, steps=60, rounds=(60,))


def test_the_group_holds_the_course_of_the_evaluations() -> None:
    found = training()
    assert found["validation_loss"].dims == ("restart", "evaluation")
    assert found["evaluation_step"].values.tolist() == [20, 40, 60]
    assert "evaluation_step" in found.coords
    assert found["kept_step"].values.tolist() == [40, 60]
    assert found.attrs == {"patience": 20}
    assert training(patience=None).attrs == {}


@pytest.mark.parametrize("best", [0, 1])
def test_evaluations_are_tidy_and_know_what_is_kept(best: int) -> None:
    one = page(best)
    found = validation.evaluations(one, one.fits[0])
    assert found is not None
    assert found["step"].tolist() == [20, 40, 60] * 2
    assert found["loss"].tolist() == [10, 5, 12, 8, 7, 6]
    assert found["best"].tolist() == [best == 0] * 3 + [best == 1] * 3
    assert found.loc[found["kept"], "loss"].tolist() == [5, 6]


def test_the_window_holds_both_curves_of_the_best_restart() -> None:
    one = page()
    curve, found = loss.losses(one, one.fits[0]), validation.evaluations(one, one.fits[0])
    assert curve is not None
    assert found is not None
    low, high = validation.window(curve, found)
    assert 2 < low < 3
    assert 12 < high < 13
    lost = found.assign(loss=np.nan)
    assert validation.window(curve.assign(loss=np.inf), lost) == (0.0, 1.0)


@pytest.mark.usefixtures("look")
def test_the_section_shows_both_curves_first_and_says_who_was_stopped() -> None:
    block = loss.build(page())
    meaning, tabs = block[0], next(item for item in block if isinstance(item, Tabs))
    assert "both curves are in nats and on one level" in str(meaning)
    assert "Stopped early: g (at step 60)." in str(meaning)
    assert [name for name, _ in tabs.tabs] == ["validation", "linear axis", "log axis", "each guide"]
    (figure,) = tabs.tabs[0][1].figures()
    assert figure.name == "loss-validation"
    assert "No guide was stopped early." in str(loss.build(page(patience=None))[0])


@pytest.mark.usefixtures("look")
def test_without_validation_nothing_is_said() -> None:
    plain = page_of({"training": training()[["loss"]]})
    assert validation.evaluations(plain, plain.fits[0]) is None
    assert validation.told(plain, plain.fits) is None
    tabs = next(item for item in loss.build(plain) if isinstance(item, Tabs))
    assert len(tabs.tabs) == 3


@pytest.mark.usefixtures("look")
def test_a_guide_that_failed_beside_it_is_left_out() -> None:
    one = page()
    broken = replace(one.fits[0], guide="broken", inference_data=None)
    both = replace(one, comparison=replace(one.comparison, fits=(*one.fits, broken)))
    assert any(isinstance(item, Tabs) for item in loss.build(both))


def test_a_guide_that_fitted_itself_is_said_to_have_done_so() -> None:
    page = page_of({"training": training()}, method="L-BFGS")
    with style():
        said = [item for item in loss.build(page) if isinstance(item, str)]
    assert said[-1:] == ["Steps and losses of g are those of a method of its own."]


def test_without_losses_there_is_no_panel_but_a_word() -> None:
    (said, note) = loss.build(page_of({"training": xr.Dataset(coords={"step": []})}, method="L-BFGS"))
    assert said == "No loss was recorded."
    assert isinstance(note, Note)
