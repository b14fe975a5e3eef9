"""Names of levels: where they may come from, where they are shown, and that data keep the number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr

import guidebench as gb
from guidebench.config import make_config
from guidebench.config.errors import PluginError
from guidebench.contracts import Problem
from guidebench.plugins.registry import load_registry
from guidebench.report.content import Block, Code, Details, Pill, Table, changed
from guidebench.request.selection import choose_problems
from guidebench.results.levels import abbreviated, named

SCHOOLS = ("Choate", "Deerfield", "2")
LEVELS = {"theta": (SCHOOLS,), "mu_theta": ((), ("low", "high"))}

MODEL = """
import numpyro
import numpyro.distributions as dist


def schools(school, n_school, y=None):
    tau = numpyro.sample("tau", dist.HalfNormal(1))
    with numpyro.plate("schools", n_school):
        theta = numpyro.sample("theta", dist.Normal(0, tau))
    with numpyro.plate("rows", len(school)):
        numpyro.sample("y", dist.Normal(theta[school], 1), obs=y)
"""


def model(y: Any = None) -> None:
    with numpyro.plate("school", 3):
        theta = numpyro.sample("theta", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(theta, 1), obs=y)
    numpyro.sample("w", dist.Normal(0, 1).expand([2]).to_event(1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sd of theta[1] off by 20%", "sd of theta[Deerfield] off by 20%"),
        ("theta[0], theta[2]", "theta[Choate], theta[2]"),
        ("mu_theta[4,1] of mu_theta", "mu_theta[4, high] of mu_theta"),
        ("theta[3] and theta[0,1] are none", "theta[3] and theta[0,1] are none"),
        ("auto_theta[1], theta_auto_loc[1]", "auto_theta[1], theta_auto_loc[1]"),
        ("a/theta[1], m.theta[1]", "a/theta[1], m.theta[1]"),
    ],
)
def test_components_are_called_by_their_levels(text: str, expected: str) -> None:
    assert named(text, LEVELS) == expected
    assert named(text, {}) == text


def test_all_of_a_block_is_changed_but_what_is_to_be_typed() -> None:
    table = Table(["theta[0]"], [[Pill("theta[1]", hover="theta[1]")]], caption="of theta[0]")
    content = Block("theta[0]", Code("draws['theta'][0]  # theta[0]"), Details("theta[1]", Block(table)))
    text, code, details = changed(content, lambda text: named(text, LEVELS))
    assert (text, details.title) == ("theta[Choate]", "theta[Deerfield]")
    assert code.text == "draws['theta'][0]  # theta[0]"
    (found,) = details.content
    assert (found.columns, found.caption) == (["theta[Choate]"], "of theta[Choate]")
    assert (found.rows[0][0].text, found.rows[0][0].hover) == ("theta[Deerfield]", "theta[Deerfield]")


def test_a_report_and_draws_have_the_names_and_tables_the_numbers(tmp_path: Path) -> None:
    comparison = gb.compare(
        model, np.zeros(3), guides="auto_normal", coords={"school": SCHOOLS, "w": ["slope", "bend"]}, reference="none",
        steps=50, recipe="adam", restarts=1, progress=False,
    )  # fmt: skip
    draws = comparison["auto_normal"].inference_data["posterior"]
    assert draws["theta"].coords["school"].values.tolist() == list(SCHOOLS)
    assert draws["w"].sel(w_dim_0="bend").ndim == 2
    again = gb.load(comparison.report(tmp_path / "run").parent)
    assert again.problems[0].levels == {"theta": (SCHOOLS,), "w": (("slope", "bend"),)}
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "theta[Deerfield]" in page
    assert "w[bend]" in page
    assert "theta[1]" not in page
    assert "theta[1]" in (tmp_path / "run" / "metrics.csv").read_text(encoding="utf-8")
    assert "theta[Deerfield]" in (tmp_path / "run" / "figures" / "marginals.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("coords", "said"),
    [
        ({"shool": SCHOOLS}, "coords name shool, which is no dimension.*school, w_dim_0"),
        ({"school": SCHOOLS[:2]}, "coords give 2 names to school, which has 3 levels"),
        ({"school": ["a", "a", "b"]}, "coords of school name two levels 'a'"),
        ({"school": ["", "", "b"]}, "coords of school name two levels ''"),
        ({"school": "abc"}, "coords of school must be a sequence of names"),
        ({"school": {"a", "b", "c"}}, "coords of school must be a sequence of names"),
        ({"school": np.array(3)}, "coords of school must be a sequence of names"),
        ({"school": np.eye(3)}, "coords of school must be names along one axis"),
        ({"w": ["a", "b"], "w_dim_0": ["b", "a"]}, "coords name the levels of w_dim_0 twice"),
        ("school", "coords: should be a mapping"),
    ],
)
def test_names_that_do_not_fit_are_refused(coords: Any, said: str) -> None:
    with pytest.raises((gb.RequestError, PluginError), match=said):
        gb.compare(model, np.zeros(3), guides="auto_normal", coords=coords, progress=False)


def test_names_are_texts_that_can_be_shown_wherever_they_come_from() -> None:
    def of(levels: Any) -> Any:
        return Problem(name="p", model=model, coords={"school": levels}).coords

    assert of(iter("abc")) == of(np.array(list("abc"))) == of(xr.DataArray(list("abc"))) == {"school": ("a", "b", "c")}
    assert of(["A\x1bB", "A\nB", 3]) == {"school": ("A\\x1bB", "A B", "3")}


def test_long_names_are_shortened_in_pictures_unless_that_makes_them_alike() -> None:
    one, other = "Massachusetts Institute of Technology", "Massachusetts Institute of Biology"
    assert abbreviated({"theta": ((one, "Yale"), ())}) == {"theta": (("Massach…chnology", "Yale"), ())}
    alike = {"theta": ((one, one.replace("Institute", "College")),)}
    assert abbreviated(alike) == alike
    assert len(set(abbreviated({"theta": ((one, other),)})["theta"][0])) == 2


def by_row(y: Any = None, x: Any = 0.0) -> None:
    w = numpyro.sample("w", dist.Normal(0, 1))
    with numpyro.plate("rows", len(x)):
        mu = numpyro.deterministic("mu", w * x)
        numpyro.sample("y", dist.Normal(mu, 1), obs=y)


def test_rows_that_are_held_out_or_predicted_have_not_the_names_of_others() -> None:
    x, names = np.arange(8.0), [f"r{number}" for number in range(8)]
    options: dict[str, Any] = {"guides": "auto_delta", "reference": "none", "progress": False}
    found = gb.compare(by_row, x=x, y=x, coords={"rows": names}, predict={"x": x + 8}, **options)["auto_delta"]
    assert found.inference_data["posterior_predictive"]["rows"].values.tolist() == names
    assert found.inference_data["predictions"]["rows"].values.tolist() == list(range(8))
    held = gb.compare(by_row, x=x, y=x, coords={"rows": names}, heldout=0.25, **options)["auto_delta"]
    assert held.inference_data["posterior_predictive"].sizes["rows"] == 6


def chosen(**options: Any) -> Problem:
    config = make_config({"problems": ("own.py:schools",), **options})
    (problem,) = choose_problems(load_registry(), config.problems, config)
    return problem


def test_texts_in_a_table_name_the_plate_that_is_called_like_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(MODEL)
    Path("d.csv").write_text("school,y\nDeerfield,1\nChoate,2\nDeerfield,3\n")
    assert chosen(data="d.csv").coords == {"schools": ("Choate", "Deerfield")}
    Path("d.csv").write_text("school,y\nYale,1\nChoate,2\nDeerfield,3\n")
    assert not chosen(data="d.csv").coords  # or they would be of the rows, in the order of these
    Path("d.csv").write_text("school,y\nChoate,1\nDeerfield,2\nYale,3\n")
    assert chosen(data="d.csv").coords == {"schools": ("Choate", "Deerfield", "Yale")}
    Path("d.csv").write_text("school,y\n1,1\n0,2\n1,3\n")
    assert not chosen(data="d.csv", static={"n_school": 2}).coords


def test_coordinates_of_a_netcdf_file_name_the_plate_that_is_called_like_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(MODEL)
    part = {"school": ("rows", [1, 0, 1]), "y": ("rows", [1.0, 2.0, 3.0]), "size": ("schools", [3.0, 4.0])}
    xr.Dataset(part, coords={"schools": ["Choate", "Deerfield"], "rows": [0, 1, 2]}).to_netcdf("d.nc")
    assert chosen(data="d.nc", static={"n_school": 2}).coords == {"schools": ("Choate", "Deerfield")}
