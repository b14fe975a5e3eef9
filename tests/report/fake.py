"""Comparisons made up from NumPy random numbers: the shape of real results without any inference.

Nothing was trained here.  :func:`small` has the size of the linear regression with six guides and
failed ones; :func:`large` has forty latents in two vector sites.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from guidebench.api import Comparison, Fit
from guidebench.contracts import MetricValue
from guidebench.metrics.simulated import calibration
from guidebench.plugins.isolation.failures import Failure
from guidebench.results import ProblemRecord, Restart, Status, Verdict
from tests import made


def from_groups(groups: dict[str, xr.Dataset]) -> xr.DataTree:
    """Return InferenceData of the newer kind, which needs no ArviZ to make."""
    return xr.DataTree.from_dict({f"/{name}": dataset for name, dataset in groups.items()})


X = np.array([-2.81, -2.52, -0.083, 1.139, 1.496, 2.619, 2.814, 4.414, 6.642, 6.936])
Y = np.array([-2.513, -2.774, -0.105, 0.740, -0.657, 0.202, 1.204, 1.993, 1.324, 3.477])
GRID = np.linspace(-12, 12, 100)
HOSTILE = "<script>alert('x')</script> a|pipe & *stars*"

#: Mean, sd and correlation of (w, b), then mean and sd of log s_eps.
EXACT = (0.527, 0.101, -0.797, 0.383, -0.543, -0.073, 0.286)
NOISE = {"mean_field": 0.8, "auto_normal": 0.78, "auto_multivariate_normal": 1.0, "auto_laplace_approximation": 0.85}


def latents(rng: np.random.Generator, guide: str, draws: int) -> dict[str, np.ndarray]:
    """Return draws of w, b, s_eps as a guide of that family would give them."""
    w, w_sd, b, b_sd, rho, log_s, log_s_sd = EXACT
    if guide == "auto_delta":
        return {name: np.full(draws, value) for name, value in (("w", 0.5269), ("b", -0.798), ("s_eps", 0.7226))}
    scale = NOISE.get(guide, 1.0)
    rho = 0.0 if guide in ("mean_field", "auto_normal") else rho
    z = rng.normal(size=(3, draws))
    return {
        "w": w + scale * w_sd * z[0],
        "b": b + scale * b_sd * (rho * z[0] + np.sqrt(1 - rho**2) * z[1]),
        "s_eps": np.exp(log_s + scale * log_s_sd * z[2] + (0.04 * z[2] ** 2 if guide == "auto_iaf_normal" else 0)),
    }


def lead(values: np.ndarray, *dims: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Return draws with a chain in front, as xarray takes them."""
    return ("chain", "draw", *dims), values[None]


def course(rng: np.random.Generator, steps: int) -> xr.Dataset:
    """Quantiles of w over a few steps."""
    at = np.unique(np.geomspace(1, steps, 8).astype(int))
    paths = np.array([-1.0, 0.0, 1.0])[:, None] + rng.normal(scale=0.1, size=(3, len(at)))
    return xr.Dataset({"w": (("quantile", "step"), paths)}, coords={"quantile": [0.05, 0.5, 0.95], "step": at})


def training(rng: np.random.Generator, restarts: int, steps: int, floor: float) -> xr.Dataset:
    """Return losses that fall and settle, from enormous first values."""
    step = np.arange(1, steps + 1)
    fall = np.exp(-step / steps * 25)[None] * rng.uniform(20, 60, size=(restarts, 1))
    loss = floor + fall + rng.gamma(2.0, 0.15, size=(restarts, steps)) * (0.1 + np.exp(-step / steps * 4))
    loss[:, 0] = 1e12
    return xr.Dataset({"loss": (("restart", "step"), loss)}, coords={"step": step})


def parameters(rng: np.random.Generator, guide: str, size: int, steps: int) -> xr.Dataset:
    """Return snapshots of parameters as the guide of that name has them."""
    snapshot = np.linspace(1, steps, 200).astype(int)
    settle = 1 - np.exp(-8 * snapshot / steps)

    def path(target: float) -> np.ndarray:
        return target * settle + 0.02 * rng.normal(size=snapshot.size) * (1 - settle)

    found: dict[str, Any] = {}
    if guide == "auto_iaf_normal":
        found["auto_arn__0$params"] = (("snapshot", "d"), rng.normal(size=(snapshot.size, 4)))
    elif guide in ("auto_multivariate_normal", "auto_laplace_approximation"):
        targets = rng.normal(size=size)
        found["auto_loc"] = (("snapshot", "auto_loc_dim_0"), np.stack([path(t) for t in targets], axis=1))
        if guide == "auto_multivariate_normal":
            tril = np.zeros((snapshot.size, size, size))
            for i in range(size):
                for j in range(i + 1):
                    tril[:, i, j] = path(1.0 if i == j else 0.3 * rng.normal())
            found["auto_scale_tril"] = (("snapshot", "i", "j"), tril)
    else:
        for name in ("w", "b", "s_eps"):
            found[f"{name}_auto_loc"] = ("snapshot", path(rng.normal()))
            if guide != "auto_delta":
                found[f"{name}_auto_scale"] = ("snapshot", 1 + path(rng.uniform(-0.5, 0.3)))
    return xr.Dataset(found, coords={"snapshot": snapshot})


def small_data(guide: str, seed: int, draws: int, steps: int, restarts: int) -> Any:
    """Return InferenceData of one guide on the linear regression."""
    rng = np.random.default_rng(seed)
    site = latents(rng, guide, draws)
    mu = site["w"][:, None] * X + site["b"][:, None]
    mu_grid = site["w"][:, None] * GRID + site["b"][:, None]
    y = mu + site["s_eps"][:, None] * rng.normal(size=mu.shape)
    y_grid = mu_grid + site["s_eps"][:, None] * rng.normal(size=mu_grid.shape)
    posterior = {name: lead(values) for name, values in site.items()} | {"mu": lead(mu, "data")}
    groups = {
        "posterior": xr.Dataset(posterior),
        "posterior_predictive": xr.Dataset({"y": lead(y, "data")}),
        "observed_data": xr.Dataset({"y": ("data", Y)}),
        "constant_data": xr.Dataset({"x": ("x_dim_0", X)}),
        "predictions": xr.Dataset({"mu": lead(mu_grid, "grid"), "y": lead(y_grid, "grid")}),
        "predictions_constant_data": xr.Dataset({"x": ("x_dim_0", GRID)}),
        "training": training(rng, restarts, steps, 7.0 if guide == "auto_delta" else 23.1),
        "training_parameters": parameters(rng, guide, 3, steps),
        "training_course": course(rng, steps),
    }
    if guide != "auto_delta":
        groups["sample_stats"] = xr.Dataset({"log_weight": lead(rng.normal(-23, 0.5, size=draws))})
    return from_groups(groups)


def metrics(guide: str, elbo: float, khat: float, draws: dict[str, np.ndarray], rng: Any) -> tuple[MetricValue, ...]:
    """Return what the engine would have computed; a point estimate has but a few."""
    found = [MetricValue(metric="mean", variable=name, value=float(v.mean()), mcse=0.002) for name, v in draws.items()]
    if guide != "auto_delta":
        found += [
            MetricValue(metric="elbo", value=elbo, mcse=0.0087),
            MetricValue(metric="elbo_restart_sd", value=0.0123),
            MetricValue(metric="log_evidence", value=-22.89, mcse=0.011),
            MetricValue(metric="kl", value=-22.89 - elbo, mcse=0.013),
            MetricValue(metric="khat", value=khat, mcse=0.08),
            MetricValue(metric="khat_threshold", value=0.7),
            MetricValue(metric="ess", value=2712.4),
            MetricValue(metric="ess_share", value=0.678),
            MetricValue(metric="correlation", variable="w,b", value=-0.5412, mcse=0.011),
        ]
        for level in (*range(5, 100, 5), 99):
            share = np.clip(rng.binomial(200, level / 100) / 200 - 0.03, 0, 1)
            found.append(MetricValue(metric=f"coverage_{level:02d}", value=float(share)))
        for level in (50, 80, 90, 95):
            found.append(MetricValue(metric=f"coverage_{level}_low", value=level / 100 - 0.08))
            found.append(MetricValue(metric=f"coverage_{level}_high", value=level / 100 + 0.02))
        for number in range(1, 11):
            found.append(MetricValue(metric=f"pit_{number:02d}", value=0.1 + 0.004 * (number - 5.5), mcse=0.02))
        found.append(MetricValue(metric="pit_distance", value=0.051))
        found.append(MetricValue(metric="crps", value=0.5731, mcse=0.031))
    return tuple(found)


GUIDES: dict[str, tuple[float, float, Verdict, Status, str]] = {
    "mean_field": (-23.204, 0.81, Verdict.DISTRUST, Status.CONVERGED, "k-hat 0.81 is above its threshold of 0.70"),
    "auto_normal": (-23.206, 0.74, Verdict.DISTRUST, Status.MAX_STEPS, "k-hat 0.74 is above its threshold of 0.70"),
    "auto_delta": (0.0, 0.0, Verdict.POINT, Status.CONVERGED, "a point estimate has no intervals"),
    "auto_multivariate_normal": (-23.029, 0.55, Verdict.REWEIGHT, Status.CONVERGED, "KL of 0.15 nat, k-hat passes"),
    "auto_laplace_approximation": (-23.294, 0.62, Verdict.REWEIGHT, Status.CONVERGED, "KL of 0.41 nat, k-hat passes"),
    "auto_iaf_normal": (-22.893, 0.41, Verdict.TRUST, Status.CONVERGED, "k-hat 0.41 and KL of 0.003 nat pass"),
}

COORDINATES = {"auto_delta": "own", "auto_multivariate_normal": "affine", "auto_laplace_approximation": "affine"}

SMALL = ProblemRecord(
    name="linear-regression",
    summary="Bayesian linear regression with ten points",
    latents=("w", "b", "s_eps"),
    observed=("y",),
    truth={"w": 0.5, "b": -0.7, "s_eps": 1.0},
    noise_sd={"y": [1.0] * 10},
    log_evidence=-22.8816,
    predictor="x",
    heldout_size=200,
    notes=("A note on the model.",),
)


def small(draws: int = 1000, steps: int = 1000, restarts: int = 3, *, failures: bool = True) -> Comparison:
    """Return six guides on the linear regression, and two that failed with hostile messages."""
    fits = []
    for seed, (guide, (elbo, khat, verdict, status, reason)) in enumerate(GUIDES.items()):
        rng = np.random.default_rng(100 + seed)
        point = guide == "auto_delta"
        runs = tuple(
            Restart(
                index=i,
                status=status,
                loss=23.3 + i / 100,
                elbo=None if point else elbo - i / 50,
                elbo_mcse=0.01,
                skipped=i,
            )
            for i in range(restarts)
        )
        fits.append(
            made.fit(
                guide,
                metrics(guide, elbo, khat, latents(rng, guide, draws), rng),
                problem=SMALL.name,
                plugin="guidebench",
                status=status,
                bound="none" if point else "elbo",
                verdict=verdict,
                reason=reason,
                summary=f"The {guide.replace('_', ' ')} family",
                cite="Kucukelbir et al. (2017), Automatic differentiation variational inference, JMLR 18(14)",
                coordinates=COORDINATES.get(guide, "diagonal"),
                steps=steps,
                restarts=runs,
                compile_s=1.31,
                train_s=0.42 + seed,
                evaluate_s=0.11,
                inference_data=small_data(guide, seed, draws, steps, restarts),
            )
        )
    if failures:
        fits += [failed("broken_guide", Status.FAILED), failed("unfit_guide", Status.UNSUPPORTED)]
    return made.comparison(
        *fits,
        name="linear-regression",
        problems=(SMALL,),
        recipe="Adam with a cosine decay from 0.05 to 0 over 4,000 steps, 10 particles, 3 restarts.",
        config={"steps": steps, "restarts": restarts, "optimizer": "adam", "learning_rate": 0.05, "x64": None},
        environment={"python": "3.11", "numpyro": "0.22", "jax": "0.10.2", "platform": "cpu"},
    )


#: How the widths of a guide's simulated intervals compare with the right ones, and by how much they are off.
SIMULATED = {"mean_field": (0.6, 0.0), "auto_normal": (1.0, 0.0), "auto_iaf_normal": (1.6, 0.0)}


def simulated(comparison: Comparison, count: int = 200, *, broken: int = 0, unsettled: int = 1) -> Comparison:
    """Return the comparison with ranks over simulated data; point estimates and failed fits have none.

    The mean field is too narrow, the flow too wide, and the Laplace approximation too low in its last component.
    """
    fits = []
    for seed, fit in enumerate(comparison.fits):
        if fit.bound == "none" or fit.inference_data is None:
            fits.append(fit)
            continue
        rng = np.random.default_rng(20 + seed)
        scale, shift = SIMULATED.get(fit.guide, (1.0, 0.0))
        z = rng.normal(size=(count - broken, 3, 1)) / scale + shift
        if fit.guide == "auto_laplace_approximation":
            z[:, 2] += 1.5
        ranks = (rng.normal(size=(count - broken, 3, 999)) < z).sum(axis=2)
        group = xr.Dataset(
            {
                "rank": (("simulation", "component"), ranks),
                "truth": (("simulation", "component"), z[..., 0]),
                "converged": ("simulation", np.arange(count - broken) >= unsettled),
            },
            coords={"component": ["w", "b", "s_eps"]},
            attrs={"draws": 999, "broken": broken, "steps": 1000},
        )
        groups = {str(name): child.to_dataset() for name, child in fit.inference_data.children.items()}
        values = calibration({name: ranks[:, at] for at, name in enumerate(("w", "b", "s_eps"))}, 999)
        fits.append(
            replace(
                fit,
                metrics=(*fit.metrics, *values),
                simulate_s=12.3,
                inference_data=from_groups({**groups, "simulations": group}),
            )
        )
    return replace(comparison, fits=tuple(fits))


def failed(guide: str, status: Status, problem: str = SMALL.name) -> Fit:
    """Return a fit without draws whose message is hostile to HTML and to Markdown."""
    return made.fit(
        guide,
        problem=problem,
        plugin="a-third-party",
        status=status,
        verdict=Verdict.FAILED,
        message=f"Cannot find valid initial parameters: {HOSTILE}",
        failures=(
            Failure(
                plugin="their_plugin",
                distribution="a-third-party",
                phase="train",
                name=guide,
                message=f"ValueError: {HOSTILE}",
                traceback=f'Traceback:\n  File "/home/someone/site-packages/pack/guide.py", line 3\nError: {HOSTILE}',
            ),
        ),
    )


def large(draws: int = 500, steps: int = 400) -> Comparison:
    """Return two guides on a model of forty latents in two vector sites, without a grid or held-out data."""
    problem = ProblemRecord(
        name="large",
        summary="Forty latents",
        latents=("theta", "beta", "tau"),
        observed=("y",),
        truth={"theta": [0.0] * 30},
    )
    fits = []
    for seed, guide in enumerate(("auto_multivariate_normal", "auto_normal")):
        rng = np.random.default_rng(seed)
        mixing = np.eye(39) + 0.25 * rng.normal(size=(39, 39)) * (guide == "auto_multivariate_normal")
        z = rng.normal(size=(draws, 39)) @ mixing.T
        data = from_groups(
            {
                "posterior": xr.Dataset(
                    {
                        "theta": lead(z[:, :30], "group"),
                        "beta": lead(z[:, 30:].reshape(-1, 3, 3), "row", "column"),
                        "tau": lead(np.exp(0.3 * rng.normal(size=draws))),
                    }
                ),
                "posterior_predictive": xr.Dataset({"y": lead(z[:, :30] + rng.normal(size=(draws, 30)), "group")}),
                "observed_data": xr.Dataset({"y": ("group", rng.normal(size=30))}),
                "training": training(rng, 2, steps, 80.0),
                "training_parameters": parameters(rng, "auto_multivariate_normal", 40, steps),
            }
        )
        values = [
            MetricValue(metric="mean", variable=f"theta[{i}]", value=float(z[:, i].mean()), mcse=0.03)
            for i in range(30)
        ] + [MetricValue(metric="sd", variable=f"beta[{i},{j}]", value=1.0) for i in range(3) for j in range(3)]
        fits.append(
            made.fit(
                guide,
                (MetricValue(metric="elbo", value=-512345.25, mcse=35.2), *values),
                problem=problem.name,
                plugin="guidebench",
                status=Status.MAX_STEPS,
                verdict=Verdict.DISTRUST,
                reason="k-hat 1.3 is above its threshold",
                steps=steps,
                inference_data=data,
            )
        )
    return made.comparison(*fits, name="large", problems=(problem,), recipe="The default recipe.")


def several() -> Comparison:
    """Return both as one comparison of two problems."""
    one, other = small(draws=300, steps=200), large(draws=300, steps=200)
    return made.comparison(
        *one.fits,
        *other.fits,
        name="nightly",
        problems=one.problems + other.problems,
        recipe=one.recipe,
        config=one.config,
    )
