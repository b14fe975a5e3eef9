"""A made-up comparison of many problems, of the size and shape of a real one; nothing was trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from guidebench.api import Comparison, Fit
from guidebench.contracts import MetricValue
from guidebench.results import ProblemRecord, Restart, Status, Verdict
from tests import made
from tests.report import fake

GUIDES = tuple(fake.GUIDES)

#: How far each guide is off where nothing is hard, how much correlation and curvature add, and its seconds.
SHAPES = {
    "mean_field": (0.08, 0.9, 0.5, 3.0),
    "auto_normal": (0.08, 0.9, 0.5, 3.2),
    "auto_delta": (0.1, 0.2, 0.8, 1.5),
    "auto_multivariate_normal": (0.03, 0.02, 0.5, 5.0),
    "auto_laplace_approximation": (0.05, 0.03, 0.9, 2.0),
    "auto_iaf_normal": (0.02, 0.1, 0.1, 22.0),
}


def record(number: int, reference: bool, rng: np.random.Generator) -> ProblemRecord:
    """Return a problem with features; every fifth has no reference."""
    dimension = int(rng.integers(2, 60))
    features = {
        "dimension": float(dimension),
        "correlation": float(rng.beta(2, 1.5)),
        "condition": float(np.exp(rng.gamma(2, 1.2))),
        "scale_range": float(np.exp(rng.gamma(2, 1))),
        "curvature": float(rng.gamma(1, 0.1)),
    }
    if reference:
        features["skewness"] = float(rng.gamma(1, 0.4))
    return made.record(
        f"earnings-log_height_model_{number:02d}",
        summary="A made-up posterior",
        latents=("beta", "sigma"),
        observed=("y",),
        reference="NUTS" if reference else "",
        reference_note="" if reference else "NUTS failed its checks and is used for nothing: R-hat of beta[0] is 1.4.",
        heldout_size=50,
        features=features,
    )


def verdict(guide: str, error: float, khat: float) -> Verdict:
    """Return about what the rule would say."""
    if guide == "auto_delta":
        return Verdict.POINT
    return Verdict.TRUST if error < 0.1 else Verdict.REWEIGHT if khat < 0.7 else Verdict.DISTRUST


def fit(
    problem: ProblemRecord, guide: str, rng: np.random.Generator, latents: int, draws: int, steps: int, arrays: bool
) -> Fit:
    """Return a fit whose errors grow with the features of its problem."""
    base, by_correlation, by_curvature, seconds = SHAPES[guide]
    hard = problem.features["correlation"] ** 3 * by_correlation + problem.features["curvature"] * by_curvature
    error = (base + hard) * float(np.exp(0.3 * rng.normal()))
    khat, point = 0.3 + min(error, 1.2) / 1.5, guide == "auto_delta"
    elbo = -100.0 - 3 * error**2 * problem.features["dimension"] ** 0.5
    values = [
        MetricValue(metric="calibration_error", value=0.02 + 0.1 * error),
        MetricValue(metric="crps", value=0.5 + error / 9),
    ]
    if problem.reference:
        values.append(MetricValue(metric="mean_error", value=error * 0.7, mcse=0.012))
    if not point:
        values += [
            MetricValue(metric="elbo", value=elbo, mcse=0.01),
            MetricValue(metric="khat", value=khat, mcse=0.08),
            MetricValue(metric="khat_threshold", value=0.7),
            MetricValue(metric="ess", value=4000 / (1 + error)),
            MetricValue(metric="ess_share", value=1 / (1 + error)),
            MetricValue(metric="kl", value=-100.0 - elbo, mcse=0.01),
        ]
        if problem.reference:
            values += [
                MetricValue(metric="sd_error", value=error, mcse=0.02),
                MetricValue(metric="w1_error", value=error * 0.8),
            ]
        for level in (*range(5, 100, 5), 99):
            values.append(MetricValue(metric=f"coverage_{level:02d}", value=max(level / 100 - 0.02, 0.0)))
    names = [f"beta[{at}]" for at in range(latents - 1)] + ["sigma"]
    values += [MetricValue(metric="mean", variable=name, value=float(rng.normal()), mcse=0.01) for name in names]
    data = fake.from_groups(groups(rng, guide, latents, draws, steps)) if arrays else None
    found = verdict(guide, error, khat)
    return made.fit(
        guide,
        tuple(values),
        problem=problem.name,
        plugin="guidebench",
        bound="none" if point else "elbo",
        verdict=found,
        reason=f"Made up: an error of {error:.2f}.",
        summary=f"The {guide.replace('_', ' ')} family",
        coordinates=fake.COORDINATES.get(guide, "diagonal"),
        steps=4000,
        restarts=tuple(
            Restart(
                index=at,
                status=Status.CONVERGED,
                loss=100.0,
                elbo=None if point else elbo - 0.002 * rng.random(),
                elbo_mcse=None if point else 0.01,
            )
            for at in range(4)
        ),
        compile_s=1.0,
        train_s=seconds * float(np.exp(0.4 * rng.normal())) * problem.features["dimension"] ** 0.3,
        evaluate_s=0.3,
        inference_data=data,
    )


def groups(rng: np.random.Generator, guide: str, latents: int, draws: int, steps: int) -> dict[str, xr.Dataset]:
    """Return the groups of one fit: draws of `latents` scalars, predictions of 50 points, and its training."""
    mixing = np.eye(latents) + 0.2 * rng.normal(size=(latents, latents))
    z = rng.normal(size=(draws, latents)) @ mixing.T
    if guide == "auto_delta":
        z[:] = z.mean(axis=0)
    posterior = {"beta": fake.lead(z[:, :-1], "k"), "sigma": fake.lead(np.exp(0.3 * z[:, -1]))}
    y = z[:, :1] + rng.normal(size=(draws, 50))
    training = {
        "auto_loc": (("snapshot", "d"), np.cumsum(rng.normal(size=(200, latents)), axis=0) / 20),
        "auto_scale": (("snapshot", "d"), np.exp(np.cumsum(rng.normal(size=(200, latents)), axis=0) / 60)),
    }
    return {
        "posterior": xr.Dataset(posterior),
        "posterior_predictive": xr.Dataset({"y": fake.lead(y, "data")}),
        "observed_data": xr.Dataset({"y": ("data", rng.normal(size=50))}),
        "training": fake.training(rng, 4, steps, 100.0),
        "training_parameters": xr.Dataset(training, coords={"snapshot": np.linspace(1, steps, 200).astype(int)}),
    }


def many(
    problems: int = 25,
    guides: int = 6,
    latents: int = 10,
    *,
    draws: int = 1000,
    steps: int = 1000,
    arrays: bool = False,
    failures: bool = True,
) -> Comparison:
    """Return a comparison of so many problems and guides; without arrays there is nothing to draw for each problem.

    The flow failed on one problem and is unsupported on another, and every fifth problem has no reference.
    """
    rng = np.random.default_rng(7)
    records = [record(at, at % 5 != 4, rng) for at in range(problems)]
    fits = []
    references = {}
    for at, one in enumerate(records):
        if arrays and one.reference:
            references[one.name] = fake.from_groups(
                {"posterior": groups(rng, "mean_field", latents, draws, steps)["posterior"]}
            )
        for guide in GUIDES[:guides]:
            found = fit(one, guide, rng, latents, draws, steps, arrays)
            if failures and guide == "auto_iaf_normal" and at in (3, 11):
                found = fake.failed(guide, Status.FAILED if at == 3 else Status.UNSUPPORTED, one.name)
            fits.append(found)
    return made.comparison(
        *fits,
        name=f"{problems}-problems",
        problems=tuple(records),
        recipe="Adam with a cosine decay from 0.05 to 0 over 4,000 steps, 10 particles, 4 restarts.",
        config={"steps": steps},
        environment={"python": "3.11", "numpyro": "0.22", "jax": "0.10.2", "platform": "cpu"},
        references=references,
    )


def with_features(comparison: Comparison, **features: float) -> Comparison:
    """Return the comparison with these features on every problem."""
    return replace(
        comparison, problems=tuple(replace(one, features={**one.features, **features}) for one in comparison.problems)
    )
