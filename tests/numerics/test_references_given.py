"""Draws of the user's own as the reference: what is read, what is refused, how they are judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr

import guidebench as gb
from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.engine.given import arrange, read
from guidebench.inference.structure import Site
from guidebench.problems import linear_regression
from guidebench.results import Comparison, Verdict
from guidebench.results import inference_data as idata
from tests.numerics.referenced import X, Y, line, line_problem, reference

pytestmark = pytest.mark.usefixtures("kept_references")

SITES = (Site(name="w", shape=(), dims=()), Site(name="beta", shape=(2, 3), dims=("r", "c")))


def own(*shape: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"w": rng.standard_normal(shape), "beta": rng.standard_normal((*shape, 2, 3)), "extra": np.zeros(3)}


def write(file: Path, values: Mapping[str, Any], diverging: np.ndarray | None = None) -> Path:
    """Write draws of shape ``(chain, draw, ...)`` (``.nc``) or ``(draw, ...)``."""
    if file.suffix == ".npz":
        np.savez(file, **values)
    elif file.suffix == ".csv":
        columns = {"w": values["w"]}
        columns |= {f"beta[{i},{j}]": values["beta"][:, i, j] for i in range(2) for j in range(3)}
        rows = [",".join(f'"{name}"' for name in columns)]
        rows += [",".join(map(repr, map(float, row))) for row in zip(*columns.values(), strict=True)]
        file.write_text("\n".join(rows))
    else:
        dims = {name: ("chain", "draw", *(f"{name}_{i}" for i in range(np.ndim(v) - 2))) for name, v in values.items()}
        groups = {"posterior": xr.Dataset({name: (dims[name], value) for name, value in values.items()})}
        if diverging is not None:
            groups["sample_stats"] = xr.Dataset({"diverging": (("chain", "draw"), diverging)})
        idata.save(idata.from_groups(groups), file)
    return file


def sites_only(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: values[name] for name in ("w", "beta")}


@pytest.mark.parametrize("name", ["draws.npz", "draws.csv", "DRAWS.NPZ"])
def test_files_without_chains_round_trip(tmp_path: Path, name: str) -> None:
    values = own(150)
    if name.endswith("NPZ"):
        write(tmp_path / "draws.npz", values).rename(tmp_path / name)
    else:
        write(tmp_path / name, values)
    found = read(tmp_path / name, SITES)
    assert found.divergences is None
    assert list(found.chains) == ["w", "beta"]
    for site, draws in sites_only(values).items():
        np.testing.assert_array_equal(found.chains[site], draws[None])


@pytest.mark.parametrize("name", ["draws.npz", "draws.nc"])
def test_files_with_chains_round_trip(tmp_path: Path, name: str) -> None:
    values = own(3, 50)
    found = read(write(tmp_path / name, sites_only(values)), SITES)
    for site, draws in sites_only(values).items():
        np.testing.assert_array_equal(found.chains[site], draws)


def test_draw_may_come_before_chain(tmp_path: Path) -> None:
    values = sites_only(own(3, 50))
    dims = {"w": ("chain", "draw"), "beta": ("chain", "draw", "r", "c")}
    posterior = xr.Dataset({name: (dims[name], value) for name, value in values.items()})
    idata.save(idata.from_groups({"posterior": posterior.transpose("draw", ..., "chain")}), tmp_path / "turned.nc")
    found = read(tmp_path / "turned.nc", SITES)
    for site, draws in values.items():
        np.testing.assert_array_equal(found.chains[site], draws)


def test_a_reference_that_was_saved_can_be_given_again(run, tmp_path: Path, short_nuts: None) -> None:  # type: ignore[no-untyped-def]
    comparison = run(line_problem(), "auto_delta", reference="nuts", steps=20, restarts=1, draws=100)
    comparison.save(tmp_path / "out")
    file = tmp_path / "out" / "inference_data" / "line" / "reference.nc"
    again = reference(line_problem(), str(file))
    assert (again.label, again.chains["w"].shape) == ("reference.nc", (4, 500))
    assert again.checks["rhat"] == comparison.problems[0].reference_checks["rhat"]
    loaded = gb.load(tmp_path / "out")
    assert loaded.problems == comparison.problems
    assert idata.group(loaded.references["line"], "posterior")["w"].shape == (4, 500)  # type: ignore[index]


def test_results_of_an_earlier_version_are_read(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run(linear_regression.problem(), "auto_delta", steps=20, restarts=1, draws=100).save(tmp_path)
    raw = json.loads((tmp_path / "results.json").read_text())
    for name in ("reference_checks", "reference_note"):
        del raw["problems"][0][name]
    del raw["digest"]  # which there was not, either
    (tmp_path / "results.json").write_text(json.dumps(raw))
    (problem,) = gb.load(tmp_path).problems
    assert (problem.reference, problem.reference_checks, problem.reference_note) == ("exact posterior", {}, "")


WRONG: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing file": (lambda folder: folder / "no.nc", "no.nc: there is no such file"),
    "a folder": (lambda folder: folder, ": there is no such file"),
    "broken NetCDF": (lambda folder: text(folder / "a.nc"), "a.nc cannot be read: "),
    "broken npz": (lambda folder: text(folder / "a.npz"), "a.npz cannot be read: "),
    "empty npz": (lambda folder: text(folder / "a.npz", ""), "a.npz cannot be read: "),
    "empty csv": (lambda folder: text(folder / "a.csv", ""), "a.csv cannot be read: "),
    "pickles": (
        lambda folder: write(folder / "a.npz", {"w": np.array([{}, {}], object), "beta": own(2)["beta"]}),
        "a.npz cannot be read: Object arrays cannot be loaded when allow_pickle=False",
    ),
    "no posterior": (
        lambda folder: no_posterior(folder / "a.nc"),
        "a.nc: it has no group posterior; expected is InferenceData",
    ),
    "no site": (
        lambda folder: write(folder / "a.npz", {"gamma": np.zeros(3)}),
        "a.npz: it lacks every site; expected are draws of w, beta, given is gamma",
    ),
    "no site in NetCDF": (
        lambda folder: write(folder / "a.nc", {"gamma": np.zeros((2, 3))}),
        "a.nc: it lacks every site; expected are draws of w, beta, given is gamma",
    ),
    "no column": (
        lambda folder: text(folder / "a.csv", 'w,"beta[0,0]"\n1,2\n'),
        "a.csv: it lacks the column 'beta[0,1]' of site beta",
    ),
    "words in a column": (
        lambda folder: text(folder / "a.csv", "w\nhigh\n"),
        "a.csv: column 'w' of site w holds no numbers",
    ),
    "words in an array": (
        lambda folder: write(folder / "a.npz", {**own(3), "w": np.array(["a", "b", "c"])}),
        "a.npz: site w holds no numbers",
    ),
    "shape": (
        lambda folder: write(folder / "a.npz", {**own(3), "beta": np.zeros((3, 6))}),
        "a.npz: site beta has shape (3, 6); expected is (draws, 2, 3) or (chains, draws, 2, 3)",
    ),
    "a scalar": (
        lambda folder: write(folder / "a.npz", {**own(3), "w": np.float64(1)}),
        "a.npz: site w has shape (); expected is (draws,) or (chains, draws)",
    ),
    "shape in NetCDF": (
        lambda folder: write(folder / "a.nc", {"w": np.zeros((2, 9)), "beta": np.zeros((2, 9, 3, 2))}),
        "a.nc: site beta has shape (2, 9, 3, 2); expected is (draws, 2, 3) or (chains, draws, 2, 3)",
    ),
    "NaN": (
        lambda folder: write(folder / "a.npz", {**own(3), "w": np.array([1, np.nan, np.inf])}),
        "a.npz: site w has 2 values that are no finite numbers",
    ),
    "empty cell": (
        lambda folder: text(folder / "a.csv", write(folder / "b.csv", own(3)).read_text() + "\n1,2,3,4,5,6"),
        "a.csv: site beta has 1 values that are no finite numbers",
    ),
    "no draws": (
        lambda folder: write(folder / "a.npz", own(0)),
        "a.npz: site w has no draws",
    ),
    "different numbers of draws": (
        lambda folder: write(folder / "a.npz", {**own(3), "beta": own(4)["beta"]}),
        "a.npz: site beta has 1 x 4 draws; expected are 1 x 3, as of w",
    ),
}


def text(file: Path, content: str = "nothing of the kind") -> Path:
    file.write_text(content)
    return file


def no_posterior(file: Path) -> Path:
    idata.save(idata.from_groups({"prior": xr.Dataset({"w": (("chain", "draw"), np.zeros((1, 3)))})}), file)
    return file


@pytest.mark.parametrize(("made", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_file_is_named_in_one_line(tmp_path: Path, made: Callable[[Path], Path], message: str) -> None:
    file = made(tmp_path)
    with pytest.raises(RequestError) as caught:
        read(file, SITES)
    assert str(caught.value).startswith(f"--reference {file}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arrays_of_the_users_own_are_checked_alike() -> None:
    lacking = r"^reference: it lacks the site beta; expected are draws of w, beta, given is w$"
    with pytest.raises(RequestError, match=lacking):
        arrange({"w": [1.0, 2.0]}, SITES, "reference")
    with pytest.raises(RequestError, match=r"1 chain\(s\) of 3 draws are too few to measure anything against"):
        arrange(sites_only(own(3)), SITES, "reference")
    with pytest.raises(RequestError, match=r"150 chain\(s\) of 1 draws are too few"):
        arrange(sites_only(own(150, 1)), SITES, "reference")
    with pytest.raises(RequestError, match=r"^reference: site w holds no numbers$"):
        arrange({**own(3), "w": [[1.0], [2.0, 3.0]]}, SITES, "reference")


def exact_line(*shape: int) -> np.ndarray:
    """Return draws from the exact posterior of the line."""
    precision = 1 + float(X @ X) / 0.09
    return float(X @ Y) / 0.09 / precision + np.random.default_rng(0).standard_normal(shape) / np.sqrt(precision)


def test_draws_without_chains_are_used_with_a_word_of_caution(tmp_path: Path) -> None:
    found = reference(line_problem(), str(write(tmp_path / "mine.npz", {"w": exact_line(5000)})))
    assert found.label == "mine.npz"
    assert found.note == "Given by mine.npz; its convergence was not checked."
    assert "rhat" not in found.checks
    assert found.checks["ess_bulk"] > 4000
    assert 4000 < found.effective["w"] <= 5000


@pytest.mark.parametrize("kind", ["good", "shifted", "divergent"])
def test_chains_of_the_users_own_are_checked(tmp_path: Path, kind: str) -> None:
    values = exact_line(4, 1000)
    if kind == "shifted":
        values[0] += 1
    diverging = np.zeros((4, 1000), bool)
    diverging[2, 3] = kind == "divergent"
    found = reference(line_problem(), str(write(tmp_path / "mine.nc", {"w": values}, diverging)))
    if kind == "good":
        assert (found.label, found.note) == ("mine.nc", "")
        np.testing.assert_array_equal(found.chains["w"], values)
        return
    reason = {"shifted": "R-hat of w is ", "divergent": "1 transition diverged (none may)"}[kind]
    assert (found.label, found.chains) == ("", {})
    assert found.note.startswith("mine.nc failed its checks and is used for nothing: ")
    assert reason in found.note


def test_chains_that_say_nothing_of_divergences(tmp_path: Path) -> None:
    found = reference(line_problem(), str(write(tmp_path / "mine.nc", {"w": exact_line(4, 1000)})))
    assert (found.label, found.note) == ("mine.nc", "mine.nc does not say whether transitions diverged.")


def test_long_chains_are_thinned(tmp_path: Path) -> None:
    values = exact_line(4, 50_000)
    found = reference(line_problem(), str(write(tmp_path / "long.npz", {"w": values})))
    assert found.chains["w"].shape == (4, 10_000)
    np.testing.assert_array_equal(found.chains["w"], values[:, ::5])
    assert found.effective["w"] <= 40_000
    assert found.checks["draws"] == 200_000


@pytest.mark.parametrize("kind", ["mapping", "path"])
def test_a_reference_from_python(kind: str, tmp_path: Path) -> None:
    draws = exact_line(4, 1000)
    given: Any = {"w": draws} if kind == "mapping" else write(tmp_path / "mine.npz", {"w": draws})
    options = {"steps": 500, "restarts": 1, "draws": 500}
    comparison: Comparison = gb.compare(line, X, y=Y, guides="auto_normal", reference=given, **options)  # type: ignore[arg-type]
    (record,) = comparison.problems
    assert record.reference == ("given draws" if kind == "mapping" else "mine.npz")
    assert comparison.config["reference"] == ("given" if kind == "mapping" else str(given))
    fit = comparison["auto_normal"]
    error = fit.metric("mean_error", "w")
    assert error is not None
    assert error.value < 0.2 + 4 * (error.mcse or 0)
    assert fit.value("sd_ratio", "w") == pytest.approx(1, abs=0.1)
    assert "line" in comparison.references


def test_a_reference_of_correlated_draws_has_larger_errors(run) -> None:  # type: ignore[no-untyped-def]
    """The same draws, each four times: as far off, and worth a quarter."""
    draws = exact_line(4, 1000)
    options = {"steps": 500, "restarts": 1, "draws": 500}

    def error(values: np.ndarray) -> Any:
        found = gb.compare(line, X, y=Y, guides="auto_normal", reference={"w": values}, **options)  # type: ignore[arg-type]
        return found["auto_normal"].metric("mean_error", "w")

    once, repeated = error(draws), error(np.repeat(draws, 4, axis=1))
    assert repeated.value == pytest.approx(once.value, rel=1e-6)
    assert repeated.mcse == pytest.approx(once.mcse, rel=0.1)


def mean(x: Any, y: Any = None) -> None:
    """Two latents of which one file may know one only, and a function of them that another may know."""
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    log_scale = numpyro.sample("log_scale", dist.Normal(0.0, 1.0))
    numpyro.deterministic("slope", 2 * w)
    with numpyro.plate("n", len(x)):
        numpyro.sample("y", dist.Normal(w * x, jnp.exp(log_scale)), obs=y)


@pytest.mark.parametrize("name", ["draws.npz", "draws.nc", "draws.csv"])
def test_a_file_may_hold_some_of_the_sites(tmp_path: Path, name: str) -> None:
    values = {"w": exact_line(4, 1000) if name.endswith("nc") else exact_line(4000)}
    file = tmp_path / name
    if name.endswith("csv"):
        file.write_text("\n".join(["w", *map(repr, map(float, values["w"]))]))
    else:
        write(file, values)
    found = read(file, SITES)
    assert list(found.chains) == ["w"]
    told = reference(Problem(name="mean", model=mean, kwargs={"x": X, "y": Y}), str(file))
    assert told.label == name
    assert told.unchecked == ("log_scale",)
    assert f"{name} has no draws of log_scale, of which no error is known." in told.note


def test_what_a_reference_in_part_does_not_see_it_does_not_vouch_for() -> None:
    """By its own draws w is right, but the file says otherwise of a function of it, and nothing of the scale."""
    truth = gb.compare(mean, X, y=Y, guides="auto_multivariate_normal", reference="chains")
    (draws,) = (one for name, one in truth.references.items() if name == "mean")
    known = idata.group(draws, "posterior")
    assert known is not None
    w = known["w"].to_numpy()

    def judged(**given: np.ndarray) -> tuple[Comparison, Any]:
        found = gb.compare(mean, X, y=Y, guides="auto_multivariate_normal", reference=given)
        return found, found["auto_multivariate_normal"]

    comparison, fit = judged(w=w, slope=2 * w)
    assert comparison.problems[0].unchecked == ("log_scale",)
    assert {one.variable for one in fit.metrics if one.metric == "mean_error"} == {"", "w", "slope"}
    assert fit.value("mean_error", "slope") == pytest.approx(fit.value("mean_error", "w"), abs=0.1)
    (finding,) = (one for one in fit.evidence if one.source == "reference")
    assert finding.raw is None
    assert finding.said.endswith("It says nothing of log_scale.")
    assert fit.verdict is Verdict.TRUST  # its chains say so
    drawn = comparison.posterior()
    assert set(idata.group(drawn, "posterior").data_vars) >= {"w", "log_scale"}  # type: ignore[union-attr]

    _, off = judged(w=w, slope=2 * w + 1)
    (finding,) = (one for one in off.evidence if one.source == "reference")
    assert finding.raw is False
    assert off.verdict is not Verdict.TRUST
