"""What the report says of how the guides came by their parameters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from guidebench.api import Comparison, Fit
from guidebench.report import recipes
from guidebench.report.sections import summary
from guidebench.results import Status
from tests import made

FIT = made.fit()
OWN = replace(FIT, guide="path", method="L-BFGS")


def comparison(*fits: Fit) -> Comparison:
    return made.comparison(*fits, problems=(), recipe="Recipe default: Adam.")


@pytest.mark.parametrize(
    ("fits", "expected"),
    [
        ((FIT,), ["Recipe default: Adam."]),
        ((FIT, OWN), ["Recipe default: Adam.", f"{recipes.own_methods([OWN])[0]}"]),
        ((OWN,), ["Not trained by a recipe, but fitted by a method of its own: path (L-BFGS)."]),
        ((), ["Recipe default: Adam."]),
    ],
    ids=["trained", "both", "fitted", "nothing"],
)
def test_the_recipe_is_told_of_those_that_were_trained_by_it(fits: tuple[Fit, ...], expected: list[str]) -> None:
    assert recipes.told(comparison(*fits)) == expected


def test_the_report_says_how_many_fits_an_earlier_run_had_made() -> None:
    told = recipes.told(replace(comparison(FIT, OWN), kept=1))
    assert told[-1] == "1 of 2 fits was kept from an earlier run; its times are those of that run."
    assert recipes.told(replace(comparison(FIT, OWN), kept=2))[-1].startswith("2 of 2 fits were kept")


def test_what_is_said_of_those_that_did_not_converge() -> None:
    trained, own = (replace(one, status=Status.MAX_STEPS) for one in (FIT, OWN))
    texts = [note.text for note in summary.warnings([trained, own])]
    assert texts[0].startswith("Not converged: g. The loss was still improving")
    assert texts[1].startswith("Not converged, by what its own method of fitting says: path.")
    assert summary.warnings([FIT, OWN]) == []
