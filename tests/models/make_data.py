"""The data of the six models, drawn from each with known parameters: ``python tests/models/make_data.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

#: What the data were drawn with, by model and latent site.
TRUTH: dict[str, dict[str, Any]] = {
    "eight_schools": {"mu": 6.0, "tau": 5.0},
    "logistic": {"intercept": -0.4, "age": 0.6, "income": 0.9, "smoker": -0.8, "region": [0.5, -0.3, 0.2, -0.6]},
    "radon": {"mean": 1.3, "between": 0.35, "floor": -0.7, "noise": 0.75},
    "ratings": {"mean": 0.5, "between": 0.8, "noise": 0.6, "visit": [0.0, 0.4, 0.8, 0.6, 0.2]},
    "fishing": {"share": 0.65, "intercept": 0.7, "hours": 0.5, "group": 0.35},
    "cafes": {"mean": [3.5, -1.0], "sd": [1.0, 0.5], "corr": -0.6, "noise": 0.5},
    "gp": {"variance": 1.5, "lengthscale": 1.2, "noise": 0.25},
}

REGIONS = ("east", "north", "south", "west")


def eight_schools(random: np.random.Generator) -> dict[str, Any]:
    """Return estimated effects of a course on a test, with their standard errors."""
    true = TRUTH["eight_schools"]
    sigma = np.array([14.0, 10.0, 16.0, 11.0, 9.0, 12.0, 10.0, 17.0])
    effect = random.normal(true["mu"], true["tau"], sigma.size)
    return {"J": sigma.size, "y": np.round(random.normal(effect, sigma), 1).tolist(), "sigma": sigma.tolist()}


def customers(random: np.random.Generator, count: int = 300) -> list[str]:
    """Return a table of customers, as it leaves a spreadsheet: names, whole and real numbers, flags, words."""
    true = TRUTH["logistic"]
    age, income = random.integers(18, 80, count), np.round(random.lognormal(3.4, 0.4, count), 1)
    smoker, region = random.random(count) < 0.3, random.integers(0, len(REGIONS), count)
    logits = true["intercept"] + true["age"] * (age - 45) / 15 + true["income"] * np.log(income / 30)
    logits += true["smoker"] * smoker + np.asarray(true["region"])[region]
    bought = random.random(count) < 1 / (1 + np.exp(-logits))
    lines = ["customer,age,income,smoker,region,bought"]
    for row in range(count):
        cells = (f"C{row + 1:04d}", age[row], income[row], bool(smoker[row]), REGIONS[region[row]], bool(bought[row]))
        lines.append(",".join(map(str, cells)))
    return lines


def radon(random: np.random.Generator, counties: int = 20, count: int = 600) -> list[str]:
    """Return measurements in houses, of which some counties have many and some few."""
    true = TRUTH["radon"]
    level = random.normal(true["mean"], true["between"], counties)
    county = random.choice(counties, count, p=random.dirichlet(np.full(counties, 3.0)))
    floor = (random.random(count) < 0.25).astype(int)
    value = random.normal(level[county] + true["floor"] * floor, true["noise"])
    return ["county,floor,log_radon"] + [
        f"county {where:02d},{up},{one:.3f}" for where, up, one in zip(county, floor, value, strict=True)
    ]


def ratings(random: np.random.Generator, people: int = 60) -> dict[str, np.ndarray]:
    """Return how well each of several people slept on each of five visits."""
    true = TRUTH["ratings"]
    level = random.normal(true["mean"], true["between"], (people, 1))
    visits = np.asarray(true["visit"])
    return {"rating": random.normal(level + visits, true["noise"], (people, visits.size)).astype(np.float32)}


def fishing(random: np.random.Generator, count: int = 250) -> list[str]:
    """Return what visitors of a lake caught; who did not fish caught nothing, and nobody wrote down who fished."""
    true = TRUTH["fishing"]
    hours, group = np.round(random.uniform(0.5, 8, count), 1), random.integers(1, 5, count)
    rate = np.exp(true["intercept"] + true["hours"] * np.log(hours / 3) + true["group"] * (group - 2))
    caught = np.where(random.random(count) < true["share"], random.poisson(rate), 0)
    return ["hours,group,caught"] + [
        f"{one},{size},{fish}" for one, size, fish in zip(hours, group, caught, strict=True)
    ]


def cafes(random: np.random.Generator, number: int = 20, visits: int = 10) -> list[str]:
    """Return minutes waited for coffee: cafés differ in the morning, and the busy ones gain most by afternoon."""
    true = TRUTH["cafes"]
    correlation = np.array([[1.0, true["corr"]], [true["corr"], 1.0]])
    covariance = correlation * np.outer(true["sd"], true["sd"])
    effect = random.multivariate_normal(true["mean"], covariance, number)
    cafe, afternoon = np.repeat(np.arange(number), visits), np.tile([0, 1], number * visits // 2)
    wait = random.normal(effect[cafe, 0] + effect[cafe, 1] * afternoon, true["noise"])
    return ["cafe,afternoon,wait"] + [
        f"cafe {where + 1:02d},{late},{one:.3f}" for where, late, one in zip(cafe, afternoon, wait, strict=True)
    ]


def curve(random: np.random.Generator, count: int = 40) -> dict[str, np.ndarray]:
    """Return noisy values of a smooth curve."""
    true = TRUTH["gp"]
    x = np.sort(random.uniform(-5, 5, count))
    kernel = true["variance"] * np.exp(-0.5 * ((x[:, None] - x) / true["lengthscale"]) ** 2)
    return {"x": x, "y": random.multivariate_normal(np.zeros(count), kernel + true["noise"] * np.eye(count))}


def main(folder: Path) -> None:
    """Write all files; each has a generator of its own, so that one can change without the others."""
    import xarray as xr

    def seeded(seed: int) -> np.random.Generator:
        return np.random.default_rng(seed)

    def table(name: str, lines: list[str]) -> None:
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    (folder / "eight_schools.json").write_text(json.dumps(eight_schools(seeded(1)), indent=1) + "\n", encoding="utf-8")
    table("logistic.csv", customers(seeded(2)))
    table("radon.csv", radon(seeded(3)))
    np.savez(folder / "ratings.npz", **ratings(seeded(4)))
    table("zero_inflated.csv", fishing(seeded(5)))
    table("lkj.csv", cafes(seeded(6)))
    found = curve(seeded(7))
    xr.Dataset({"y": ("x", found["y"])}, coords={"x": found["x"]}).to_netcdf(folder / "gp.nc", engine="h5netcdf")


if __name__ == "__main__":
    main(Path(__file__).parent)
