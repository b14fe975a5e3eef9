"""How sites moved in training, in the model's own units: where it ends is where the guide is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist

import guidebench as gb
from guidebench.engine.fit.course import MOMENTS, QUANTILES, _spread


def model(y: Any = None) -> None:
    scale = numpyro.sample("scale", dist.HalfNormal(2.0))
    with numpyro.plate("groups", 2):
        level = numpyro.sample("level", dist.Normal(50.0, 10.0))
        with numpyro.plate("rows", 30):
            numpyro.sample("y", dist.Normal(level, scale), obs=y)


def test_the_course_of_a_guide_ends_at_its_draws() -> None:
    y = np.array([40.0, 60.0]) + np.random.default_rng(0).normal(size=(30, 2))
    found = gb.compare(
        model, y, guides=["auto_normal", "auto_delta", "auto_laplace_approximation", "auto_iaf_normal"],
        reference="none", progress=False, recipe="adam", steps=1_000, restarts=2,
    )  # fmt: skip
    for guide in ("auto_normal", "auto_delta"):
        draws, course = (found[guide].inference_data[group] for group in ("posterior", "training_course"))
        assert course["quantile"].values.tolist() == list(QUANTILES)
        assert course["level"].dims == ("quantile", "step", "groups")
        for name in ("scale", "level"):
            own = draws[name].quantile(QUANTILES, ("chain", "draw")).to_numpy()
            spread = np.maximum(draws[name].std(("chain", "draw")).to_numpy(), 0.05)
            assert np.all(np.abs(course[name].to_numpy()[:, -1] - own) < 0.3 * spread)
        assert (course["scale"].values > 0).all()  # it is the site, not its logarithm
    for guide in ("auto_laplace_approximation", "auto_iaf_normal"):  # drawn otherwise; with parameters not recorded
        assert "training_course" not in found[guide].inference_data


def test_under_fixed_noise_the_course_ends_with_the_parameters_that_are_drawn_from() -> None:
    y = np.array([40.0, 60.0]) + np.random.default_rng(0).normal(size=(30, 2))
    found = gb.compare(model, y, guides="auto_normal", reference="none", progress=False)["auto_normal"]
    course, draws = found.inference_data["training_course"], found.inference_data["posterior"]
    assert course["step"].values[-1] == found.steps
    own = draws["level"].quantile(QUANTILES, ("chain", "draw")).to_numpy()
    # Two samples of 4,000: a quantile of a normal is known within some hundredths of its sd.
    assert np.all(
        np.abs(course["level"].to_numpy()[:, -1] - own) < 0.1 * draws["level"].std(("chain", "draw")).to_numpy()
    )


def test_the_steps_are_spread_over_a_logarithmic_axis_from_first_to_last() -> None:
    steps = np.arange(1, 201) * 40
    chosen = steps[_spread(steps)]
    assert (chosen[0], chosen[-1]) == (40, 8_000)
    assert len(chosen) <= MOMENTS
    assert np.all(np.diff(np.log(chosen)) < 0.7)
    assert _spread(np.array([1, 2, 3])).tolist() == [0, 1, 2]
