"""References against closed forms; one that fails is used for nothing, and one that is kept is the one asked for."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr

import guidebench as gb
from guidebench import cache
from guidebench import inference_data as idata
from guidebench.config import make_config
from guidebench.contracts import Problem
from guidebench.engine import references
from guidebench.engine.gate import Reference, judge
from guidebench.engine.given import arrange, read
from guidebench.engine.grid import recipe_of
from guidebench.engine.prepared import Prepared, prepare
from guidebench.errors import RequestError
from guidebench.inference import nuts
from guidebench.inference.arguments import Arguments, as_arrays
from guidebench.inference.structure import Site, inspect_model
from guidebench.inference.target import Target
from guidebench.problems import funnel, linear_regression, two_modes
from guidebench.progress import Silent
from guidebench.results import Comparison
from guidebench.seeds import derive

#: Long enough for what is easy, and for what cannot pass however long it runs.
SHORT = nuts.Settings(warmup=250, draws=500, doublings=0)


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where references are kept: a folder of each test's own."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "references"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "SETTINGS", SHORT)


def prepared(problem: Problem, *, given: Mapping[str, Any] | None = None, **options: Any) -> Prepared:
    config = make_config(options)
    recipe = recipe_of(config)
    return references.with_reference(prepare(problem, config, recipe), config, recipe, given, Silent())


def reference(problem: Problem, reference: str = "nuts", **options: Any) -> Reference:
    return prepared(problem, reference=reference, **options).reference


# NUTS against closed forms

SCALES = np.array([1e-3, 1.0, 1e4])
CORRELATED = SCALES[:, None] * (0.001 * np.eye(3) + 0.999) * SCALES
READING = np.array([5e-3, -2.0, 3e4])
PRIOR_SD = 10 * SCALES


def correlated() -> None:
    """theta ~ N(0, diag(PRIOR_SD^2)), read with errors that have correlations of 0.999."""
    theta = numpyro.sample("theta", dist.Normal(0, jnp.asarray(PRIOR_SD)).to_event(1))
    noise = jnp.linalg.cholesky(jnp.asarray(CORRELATED))
    numpyro.sample("y", dist.MultivariateNormal(theta, scale_tril=noise), obs=jnp.asarray(READING))


def conjugate() -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of theta, in units of SCALES, in which the algebra is well conditioned."""
    units = np.outer(SCALES, SCALES)
    precision = np.linalg.inv(CORRELATED / units) + np.eye(3) / 100
    covariance = np.linalg.inv(precision)
    return SCALES * (covariance @ np.linalg.solve(CORRELATED / units, READING / SCALES)), covariance * units


@pytest.mark.parametrize("recipe", [pytest.param("default", marks=pytest.mark.slow), "plain"])
def test_nuts_agrees_with_a_correlated_gaussian(recipe: str) -> None:
    found = reference(Problem(name="correlated", model=correlated), recipe=recipe)
    assert found.label == "NUTS", found.note
    assert found.checks["rhat"] < 1.01
    assert min(found.checks["ess_bulk"], found.checks["ess_tail"]) > 400
    assert found.checks["divergences"] == 0
    assert found.chains["theta"].shape == (4, 1000, 3)
    mean, covariance = conjugate()
    sd = np.sqrt(np.diag(covariance))
    assert covariance[0, 2] / sd[0] / sd[2] > 0.99  # the hard case that it is meant to be
    draws = found.draws["theta"]
    effective = np.array([found.effective[f"theta[{index}]"] for index in range(3)])
    assert (np.abs(draws.mean(axis=0) - mean) < 4 * sd / np.sqrt(effective)).all()
    np.testing.assert_allclose(draws.std(axis=0), sd, rtol=0.05)
    np.testing.assert_allclose(np.corrcoef(draws.T), covariance / np.outer(sd, sd), atol=1e-3)


def test_nuts_agrees_with_the_seed_problem() -> None:
    problem = linear_regression.problem()
    found = reference(problem)
    assert found.label == "NUTS", found.note
    exact = linear_regression.reference(1, 1_000_000)
    for site, draws in found.draws.items():
        sd = exact[site].std()
        assert abs(draws.mean() - exact[site].mean()) < 4 * sd / np.sqrt(found.effective[site]), site
        assert draws.std() == pytest.approx(sd, rel=0.08), site  # the tails are heavy
        for level in (0.05, 0.5, 0.95):
            error = np.sqrt(level * (1 - level) / found.effective[site])
            assert np.mean(draws < np.quantile(exact[site], level)) == pytest.approx(level, abs=4 * error), site


def constrained(y: Any = None) -> None:
    shares = numpyro.sample("shares", dist.Dirichlet(jnp.ones(3)))
    with numpyro.plate("two", 2):
        rate = numpyro.sample("rate", dist.Gamma(2.0, 1.0))
    numpyro.sample("y", dist.Multinomial(10, shares), obs=y)
    numpyro.sample("counts", dist.Poisson(rate), obs=jnp.array([3, 0]))


@pytest.mark.usefixtures("short")
def test_draws_are_those_of_the_models_own_sites() -> None:
    found = reference(Problem(name="constrained", model=constrained, kwargs={"y": np.array([7, 2, 1])}))
    assert {name: value.shape for name, value in found.chains.items()} == {"shares": (4, 500, 3), "rate": (4, 500, 2)}
    np.testing.assert_allclose(found.chains["shares"].sum(axis=-1), 1)
    np.testing.assert_allclose(found.draws["shares"].mean(axis=0), np.array([8, 3, 2]) / 13, atol=0.02)
    np.testing.assert_allclose(found.draws["rate"].mean(axis=0), [2.5, 1.0], atol=0.12)
    assert set(found.effective) == {"shares[0]", "shares[1]", "shares[2]", "rate[0]", "rate[1]"}


# The gate


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(two_modes.problem(), id="two-modes", marks=pytest.mark.slow),
        pytest.param(funnel.problem(), id="funnel"),
    ],
)
def test_a_reference_that_fails_is_shown_and_used_for_nothing(run, problem: Problem) -> None:  # type: ignore[no-untyped-def]
    comparison = run(problem, "auto_normal", reference="nuts", steps=200, restarts=1)
    (record,) = comparison.problems
    assert record.reference == ""
    assert record.reference_note.startswith("NUTS failed its checks and is used for nothing: R-hat of ")
    assert record.reference_checks["rhat"] > 1.01
    assert (record.reference_checks["divergences"] > 0) == (problem.name == "funnel")
    assert comparison.references == {}
    fit = comparison["auto_normal"]
    assert fit.status.has_draws, fit.message
    against = ("mean_error", "sd_error", "sd_ratio", "w1_error", "correlation_error", "sliced_w2", "energy_distance")
    assert [one.metric for one in fit.metrics if one.metric in against] == []


def chains(seed: int = 0, draws: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((4, draws, 2))


def test_chains_that_agree_pass() -> None:
    found = judge({"theta": chains(), "constant": np.ones((4, 1000))}, 0)
    assert found.failure == ""
    assert set(found.checks) == {"chains", "draws", "divergences", "rhat", "ess_bulk", "ess_tail"}
    assert (found.checks["chains"], found.checks["draws"]) == (4, 4000)
    assert set(found.effective) == {"theta[0]", "theta[1]"}
    assert all(3000 < value <= 4000 for value in found.effective.values())


def shifted() -> np.ndarray:
    found = chains()
    found[2, :, 1] += 0.5
    return found


def slow() -> np.ndarray:
    noise, found = chains(draws=2000), chains(draws=2000)
    for draw in range(1, 2000):
        found[:, draw] = 0.97 * found[:, draw - 1] + np.sqrt(1 - 0.97**2) * noise[:, draw]
    return found


def stuck() -> np.ndarray:
    found = chains()
    found[1] = 0.3
    return found


def broken() -> np.ndarray:
    found = chains()
    found[3, 7, 1] = np.nan
    return found


@pytest.mark.parametrize(
    ("made", "divergences", "reason"),
    [
        (shifted, 0, "R-hat of theta[1] is 1.0"),
        (slow, 0, "the bulk ESS of theta["),
        (stuck, 0, "R-hat of theta["),
        (broken, 0, "its draws of theta are not finite"),
        (chains, 1, "1 transition diverged (none may)"),
        (lambda: chains(draws=3), 0, "R-hat of theta[0] is nan"),
        (lambda: chains(draws=100), 0, "the bulk ESS of theta["),
        (lambda: np.ones((4, 1000, 2)), 0, "none of its components varies"),
    ],
    ids=["shifted", "slow", "stuck", "nan", "divergent", "three draws", "short", "constant"],
)
def test_chains_that_do_not_pass(made: Callable[[], np.ndarray], divergences: int, reason: str) -> None:
    failure = judge({"theta": made()}, divergences).failure
    assert reason in failure
    assert "\n" not in failure


def test_diagnostics_are_those_of_arviz() -> None:
    import arviz as az

    values = slow()[:, :, 0]
    found = idata.mixing(values)
    dataset = xr.Dataset({"x": (("chain", "draw"), values)})
    expected = [az.rhat(dataset), az.ess(dataset, method="bulk"), az.ess(dataset, method="tail", prob=(0.05, 0.95))]
    assert found == pytest.approx([float(one["x"]) for one in expected])


def test_more_draws_are_made_only_where_they_help(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = nuts.Settings(warmup=250, draws=250, doublings=2)
    monkeypatch.setattr(references, "SETTINGS", settings)

    def lengths(divergent: bool, *, failing: int) -> list[int]:
        seen: list[int] = []

        def made(*_: Any) -> Any:
            for length in (250, 500, 1000):
                seen.append(length)
                diverging = np.full((4, length), divergent)
                values = chains(draws=length)[:, :, 0] + 2.0 * np.arange(4)[:, None] * (len(seen) <= failing)
                yield nuts.Chains({"w": values}, diverging)

        with monkeypatch.context() as patch:
            patch.setattr(nuts, "rounds", made)
            patch.setattr(references, "_read", lambda *_: None)
            reference(line_problem())
        return seen

    assert lengths(False, failing=0) == [250]
    assert lengths(False, failing=1) == [250, 500]
    assert lengths(False, failing=9) == [250, 500, 1000]
    assert lengths(True, failing=9) == [250]


def test_sampling_goes_on_where_it_stopped() -> None:
    ready = prepared(line_problem(), reference="none")
    assert ready.target is not None
    settings = nuts.Settings(warmup=250, draws=250, doublings=2)
    starts = nuts.chain_starts(ready.landscape, ready.points, 4, 0)
    values = {name: ready.values[name] for name in ready.arguments.arrays}
    affine = nuts.Affine.for_family("affine", ready.landscape.best, 1)
    first, second, third = nuts.rounds(ready.target, values, affine, starts, 0, settings)
    assert [one.diverging.shape for one in (first, second, third)] == [(4, 250), (4, 500), (4, 1000)]
    np.testing.assert_array_equal(third.draws["w"][:, :250], first.draws["w"])
    np.testing.assert_array_equal(third.draws["w"][:, :500], second.draws["w"])
    assert len(np.unique(third.draws["w"][0])) > 900


def test_chains_start_in_every_mode() -> None:
    ready = prepared(two_modes.problem(), reference="none")
    assert ready.landscape is not None
    assert ready.points is not None
    found = nuts.chain_starts(ready.landscape, ready.points, 4, 0)
    sides = np.sign((found.centres + found.noise) @ [1, 1])
    assert sides.tolist() in ([1, -1, 1, -1], [-1, 1, -1, 1])
    assert len(np.unique(found.centres + found.noise, axis=0)) == 4


# What is kept between runs

X = np.linspace(-1, 1, 12, dtype=np.float32)
Y = np.float32(0.5) * X + np.float32([0.1, -0.2, 0.05, 0.3, -0.1, 0.0, 0.2, -0.3, 0.1, 0.0, -0.1, 0.2])


def line(x: Any, y: Any = None) -> None:
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    with numpyro.plate("n", len(x)):
        numpyro.sample("y", dist.Normal(w * x, 0.3), obs=y)


def line_problem(y: np.ndarray = Y) -> Problem:
    return Problem(name="line", model=line, kwargs={"x": X, "y": y})


class SampledError(Exception):
    """Raised where a sampler would have run."""


@pytest.fixture
def no_sampler(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def raises(*_: Any) -> Any:
        raise SampledError

    return lambda: monkeypatch.setattr(nuts, "rounds", raises)


@pytest.mark.usefixtures("short")
def test_the_second_time_nothing_is_sampled(
    kept: Path, monkeypatch: pytest.MonkeyPatch, no_sampler: Callable[[], None]
) -> None:
    first = reference(line_problem())
    assert first.label == "NUTS", first.note
    assert [file.suffix for file in kept.iterdir()] == [".nc"]
    no_sampler()
    again = reference(line_problem(), seed=1, draws=200)  # what the run is like does not matter
    np.testing.assert_array_equal(again.chains["w"], first.chains["w"])
    assert again.chains["w"].dtype == first.chains["w"].dtype == np.float64
    assert (again.checks, again.effective) == (first.checks, first.effective)
    assert "kept from an earlier run" in again.note
    assert "kept" not in first.note

    def other(x: Any, y: Any = None) -> None:
        w = numpyro.sample("w", dist.Normal(0.0, 2.0))
        with numpyro.plate("n", len(x)):
            numpyro.sample("y", dist.Normal(w * x, 0.3), obs=y)

    changed = [line_problem(Y + np.float32(0.01)), replace(line_problem(), model=other)]
    changed.append(replace(line_problem(), name="another"))  # its seed is another
    for problem in changed:
        with pytest.raises(RequestError, match="Sampled"):
            reference(problem)
    for settings in (replace(SHORT, draws=750), replace(SHORT, warmup=500), replace(SHORT, accept=0.8)):
        monkeypatch.setattr(references, "SETTINGS", settings)
        with pytest.raises(RequestError, match="Sampled"):
            reference(line_problem())
    monkeypatch.setattr(references, "SETTINGS", SHORT)
    monkeypatch.setattr(references, "version", lambda name: "99")
    with pytest.raises(RequestError, match="Sampled"):
        reference(line_problem())


@pytest.mark.usefixtures("short")
def test_a_failed_reference_is_kept_too(no_sampler: Callable[[], None]) -> None:
    first = reference(two_modes.problem())
    no_sampler()
    again = reference(two_modes.problem())
    assert (again.label, again.chains, again.checks) == ("", {}, first.checks)
    assert first.note.partition(" It ran")[0] == again.note.partition(" It ran")[0]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("content", [b"", b"no NetCDF", None], ids=["empty", "other", "cut short"])
def test_a_broken_file_is_made_anew(kept: Path, content: bytes | None) -> None:
    first = reference(line_problem())
    (file,) = kept.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    again = reference(line_problem())
    np.testing.assert_array_equal(again.chains["w"], first.chains["w"])
    assert "kept" not in again.note
    assert "kept" in reference(line_problem()).note
    assert list(kept.iterdir()) == [file]


@pytest.mark.usefixtures("short")
def test_a_cache_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file"))
    assert reference(line_problem()).label == "NUTS"
    assert (tmp_path / "file").read_text() == "mine"


def fingerprint(model: Callable[..., Any], *args: Any) -> str | None:
    values = as_arrays(Problem(name="any", model=model, args=args).arguments())
    arguments = Arguments.split(model, values)
    target = Target.of(model, arguments, inspect_model(model, arguments))
    return nuts.fingerprint(target, {name: values[name] for name in arguments.arrays})


def scaled(scale: float, table: np.ndarray, name: str = "w") -> Callable[..., None]:
    """Return a model with a number and an array of its own, the array inside a compiled function."""
    inner = jax.jit(lambda w: jnp.sum(jnp.asarray(table) * w))

    def model(x: Any, y: Any = None) -> None:
        w = numpyro.sample(name, dist.Normal(0.0, scale))
        numpyro.factor("inner", -(inner(w) ** 2))
        numpyro.sample("y", dist.Normal(w * x, 0.3).to_event(1), obs=y)

    return model


def test_a_fingerprint_sees_every_number() -> None:
    table = np.linspace(0, 1, 5000)  # NumPy prints the ends of long arrays only
    other = table.copy()
    other[2500] += 1e-6
    same = fingerprint(scaled(1.0, table), X, Y)
    assert same == fingerprint(scaled(1.0, table.copy()), X.copy(), Y.copy())
    changed = Y.copy()
    changed[3] = np.nextafter(changed[3], np.float32(1))
    different = [
        fingerprint(scaled(1.0, other), X, Y),
        fingerprint(scaled(np.nextafter(1.0, 2.0), table), X, Y),
        fingerprint(scaled(1.0, table, name="v"), X, Y),
        fingerprint(scaled(1.0, table), X, changed),
        fingerprint(scaled(1.0, table), X[:-1], Y[:-1]),
    ]
    assert len({same, *different}) == 6
    assert None not in different


def test_a_model_that_calls_python_has_no_fingerprint() -> None:
    def model(x: Any) -> None:
        w = numpyro.sample("w", dist.Normal(0.0, 1.0))
        shape = jax.ShapeDtypeStruct((), w.dtype)
        numpyro.factor("python", jax.pure_callback(lambda w: -np.square(w), shape, w, vmap_method="sequential"))

    assert fingerprint(model, X) is None


KEYS = """
from guidebench.problems import guidebench_problems
from guidebench.inference.arguments import Arguments, as_arrays
from guidebench.inference.nuts import fingerprint
from guidebench.inference.structure import inspect_model
from guidebench.inference.target import Target
from guidebench.engine.references import SETTINGS, _file
for problem in guidebench_problems():
    values = as_arrays(problem.arguments())
    arguments = Arguments.split(problem.model, values)
    structure = inspect_model(problem.model, arguments)
    target = Target.of(problem.model, arguments, structure)
    program = fingerprint(target, {name: values[name] for name in arguments.arrays})
    print(_file(program, structure, SETTINGS, 1, 2).name)
"""


def test_two_processes_have_the_same_keys(
    python: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = [python("-c", KEYS, cwd=tmp_path, PYTHONHASHSEED=seed) for seed in ("1", "2")]
    assert [one.stderr for one in done] == ["", ""]
    assert done[0].stdout == done[1].stdout
    keys = done[0].stdout.split()
    assert len(set(keys)) == len(keys) > 10


# Models without a NUTS reference


def with_parameter(y: Any = None) -> None:
    w = numpyro.sample("w", dist.Normal(numpyro.param("a", 5.0), 1.0))
    numpyro.sample("y", dist.Normal(w, 1.0), obs=y)


def discrete(y: Any = None) -> None:
    side = numpyro.sample("side", dist.Bernoulli(0.5))
    numpyro.sample("y", dist.Normal(side, 1.0), obs=y)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (with_parameter, "the model has parameters of its own (a)"),
        (discrete, "the model has no continuous latent sites"),
    ],
)
def test_what_nuts_cannot_do(model: Callable[..., Any], reason: str) -> None:
    problem = Problem(name="hard", model=model, kwargs={"y": np.float32(1.0)})
    found = reference(problem, "auto")
    assert (found.label, found.chains, found.checks) == ("", {}, {})
    assert found.note.startswith(f"There is no reference, for NUTS cannot run here: {reason}")
    with pytest.raises(RequestError) as caught:
        reference(problem, "nuts")
    assert str(caught.value).startswith(f"--reference nuts: problem 'hard': {reason}")


def test_a_sampler_that_breaks_is_a_note(no_sampler: Callable[[], None]) -> None:
    no_sampler()
    found = reference(line_problem(), "auto")
    assert (found.label, found.note) == ("", "There is no reference, for NUTS cannot run here: SampledError.")


def test_nothing_is_made_where_nothing_is_asked_for(no_sampler: Callable[[], None]) -> None:
    no_sampler()
    for problem in (line_problem(), linear_regression.problem()):
        assert reference(problem, "none") == Reference()


# Exact


@pytest.mark.parametrize("choice", ["auto", "exact"])
def test_exact_draws_are_the_problems_own(choice: str, no_sampler: Callable[[], None]) -> None:
    no_sampler()
    found = reference(linear_regression.problem(), choice, seed=3)
    expected = linear_regression.reference(derive(3, "linear-regression", "reference"), 40_000)
    assert (found.label, found.note, found.effective) == ("exact posterior", "", {})
    assert list(found.draws) == ["w", "b", "s_eps"]
    for site, draws in found.draws.items():
        np.testing.assert_array_equal(draws, expected[site])


def test_exact_needs_a_sampler_of_the_problems_own() -> None:
    with pytest.raises(RequestError, match="--reference exact: problem 'line' cannot draw from its exact posterior"):
        reference(line_problem(), "exact")


# Draws of the user's own

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


def test_a_reference_that_was_saved_can_be_given_again(run, tmp_path: Path, short: None) -> None:  # type: ignore[no-untyped-def]
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
        lambda folder: write(folder / "a.npz", {"w": np.zeros(3)}),
        "a.npz: it lacks the site beta; expected are draws of w, beta",
    ),
    "no site in NetCDF": (
        lambda folder: write(folder / "a.nc", {"w": np.zeros((2, 3))}),
        "a.nc: it lacks the site beta; expected are draws of w, beta",
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
