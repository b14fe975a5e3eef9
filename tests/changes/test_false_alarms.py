"""Two runs of the same code with different seeds are called unchanged, at least 95 times in 100."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import guidebench as gb
from guidebench.api import Comparison, Fit, diff
from guidebench.results import Restart, Status
from tests import made

GUIDES, PROBLEMS, STARTS, TRIALS = 4, 3, 4, 300

#: Errors of a guide as far from the posterior as can be known, of mean, sd and correlation.
ERRORS = np.array([0.1, 0.2, 0.05])


def trained(rng: np.random.Generator, problem: str, guide: str, moved: float, parameters: int) -> Fit:
    """Return a fit of which training moves every parameter by so many posterior sds, in each of its restarts.

    An sd or a correlation that is off by x costs x squared or half of that in nats, as a mean costs half of x squared.
    The restart with the best ELBO is kept; draws add their error to every number.
    """
    shifts = moved * rng.normal(size=(STARTS, parameters))
    elbos = -23.0 - 0.5 * np.sum(shifts**2, axis=1)
    best = int(np.argmax(elbos))
    mcse = rng.uniform(0.002, 0.01, size=6)
    noise = mcse * rng.normal(size=6)
    off = ERRORS + shifts[best, :3] * [1.0, 2**-0.5, 1.0]
    errors = np.abs(off + noise[:3])
    score = 0.6 + 0.03 * rng.normal(size=2)
    metrics: dict[str, made.Number] = {
        "elbo": (elbos[best] + noise[3], mcse[3]),
        "mean_error": (errors[0], mcse[0]),
        "sd_error": (errors[1], mcse[1]),
        "correlation_error": (errors[2], mcse[2]),
        "w1_error": abs(off[0] + mcse[0] * rng.normal()),
        "crps": (score[0], 0.03),
        "elpd": (-score[1], 0.03),
        "mean[a]": (off[0] + noise[4], mcse[4]),
        "sd[a]": 1.0,
        "khat": (0.6 + 0.08 * rng.normal(), 0.08),
    }
    restarts = tuple(
        Restart(index=at, status=Status.CONVERGED, loss=-elbo, elbo=elbo) for at, elbo in enumerate(elbos.tolist())
    )
    return made.restarted(guide, metrics, problem=problem, restarts=restarts)


def ran(rng: np.random.Generator, moved: float, parameters: int) -> Comparison:
    return made.comparison(
        *(
            trained(rng, f"problem {one}", f"guide {other}", moved, parameters)
            for one in range(PROBLEMS)
            for other in range(GUIDES)
        )
    )


@pytest.mark.parametrize(
    ("moved", "parameters"),
    [
        pytest.param(0.0, 3, id="draws alone"),
        pytest.param(0.05, 3, id="training, few parameters", marks=pytest.mark.slow),
        pytest.param(0.2, 6, id="rough training", marks=pytest.mark.slow),
        pytest.param(0.05, 50, id="training, many parameters", marks=pytest.mark.slow),
    ],
)
def test_noise_alone_is_called_worse_or_better_in_one_of_twenty_at_most(moved: float, parameters: int) -> None:
    rng = np.random.default_rng(20)
    found = [diff(ran(rng, moved, parameters), ran(rng, moved, parameters)) for _ in range(TRIALS)]
    assert len(found[0].unchanged) == GUIDES * PROBLEMS * 7
    alarms = np.mean([bool(one.worse or one.better) for one in found])
    assert alarms <= 0.05


def test_what_broke_is_found_all_the_same() -> None:
    rng = np.random.default_rng(20)
    found = 0
    for _ in range(50):
        before, after = ran(rng, 0.05, 6), list(ran(rng, 0.05, 6))
        numbers = {one.metric: one for one in after[0].metrics if not one.variable}
        hurt: dict[str, made.Number] = {name: (one.value, one.mcse) for name, one in numbers.items()}
        hurt["elbo"] = (numbers["elbo"].value - 0.2, numbers["elbo"].mcse)
        after[0] = made.restarted(after[0].guide, hurt, problem=after[0].problem, restarts=after[0].restarts)
        found += [(one.guide, one.metric) for one in diff(before, made.comparison(*after)).worse] == [
            ("guide 0", "elbo")
        ]
    assert found >= 45


@pytest.mark.slow
def test_two_seeds_of_a_small_run_are_unchanged(tmp_path: Path) -> None:
    options: dict[str, Any] = {"guides": ["auto_normal"], "steps": 300, "restarts": 3, "draws": 500, "progress": False}
    one, other = (gb.compare("linear-regression", seed=seed, **options).save(tmp_path / str(seed)) for seed in (1, 2))
    found = gb.diff(one, other)
    assert found.unchanged
    assert not (found.worse)
    assert not (found.better)
    assert [str(each) for each in found.context if each.kind != "time"] == ["configuration: seed: 1 before, 2 after"]
