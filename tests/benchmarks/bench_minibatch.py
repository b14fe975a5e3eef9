"""Time per step and peak memory of a logistic regression trained on minibatches, from ten thousand rows to a million.

Each run is a process of its own, so that its peak memory is its own; sizes take turns, so that a slow
moment of the machine hits both.  Prints medians, the ratio of the times per step, and the peak memory
over what is allowed: three times the data and 1 GiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from typing import Any

SIZES = (10_000, 1_000_000)
COLUMNS = 20
BATCH = 1_024
GIB = 2**30


def one(rows: int, guide: str, steps: int | None) -> dict[str, Any]:
    """Run one comparison in this process and return its numbers."""
    import numpy as np
    import numpyro
    import numpyro.distributions as dist

    import guidebench as gb
    from guidebench.inference.device import cache

    cache.enable()

    def logistic(x: Any, y: Any = None, batch_size: Any = None) -> None:
        b = numpyro.sample("b", dist.Normal(0.0, 2.0))
        w = numpyro.sample("w", dist.Normal(0.0, 1.0).expand([x.shape[1]]).to_event(1))
        with numpyro.plate("rows", x.shape[0], subsample_size=batch_size) as part:
            logits = x[part] @ w + b
            numpyro.sample("y", dist.Bernoulli(logits=logits), obs=None if y is None else y[part])

    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, COLUMNS), dtype=np.float32)
    w = rng.normal(0, 0.5, COLUMNS).astype(np.float32)
    y = (rng.random(rows, dtype=np.float32) < 1 / (1 + np.exp(0.3 - x @ w))).astype(np.int32)
    options: dict[str, Any] = {} if steps is None else {"steps": steps, "draws": 200, "reference": "none"}
    comparison = gb.compare(
        logistic, x, y=y, guides=guide.split(","), minibatch={"batch_size": BATCH}, progress=False, **options
    )
    return {
        "rows": rows,
        "data": x.nbytes + y.nbytes,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "fits": [
            {
                "guide": fit.guide,
                "status": str(fit.status),
                "verdict": str(fit.verdict),
                "elbo": fit.value("elbo"),
                "step_ms": 1e3 * (fit.train_s or 0) / fit.steps,
                "seconds": fit.seconds,
            }
            for fit in comparison
        ],
    }


def measured(*arguments: str) -> dict[str, Any]:
    """Run this script in a process of its own and return what it found."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--guides", default="auto_normal,auto_multivariate_normal,auto_iaf_normal")
    parser.add_argument("--one", nargs=3, metavar=("ROWS", "GUIDES", "STEPS"), help="run once and print JSON")
    chosen = parser.parse_args()
    if chosen.one:
        rows, guide, steps = chosen.one
        print(json.dumps(one(int(rows), guide, int(steps) or None)))
        return
    for guide in chosen.guides.split(","):
        times: dict[int, list[float]] = {size: [] for size in SIZES}
        for _ in range(chosen.repeats):
            for size in SIZES:
                times[size].append(measured("--one", str(size), guide, "2000")["fits"][0]["step_ms"])
        small, large = (statistics.median(times[size]) for size in SIZES)
        print(
            f"{guide}: {small:.3f} ms per step of {SIZES[0]:,} rows, {large:.3f} of {SIZES[1]:,}: {large / small:.2f}x"
        )
    whole = measured("--one", str(SIZES[1]), chosen.guides, "0")
    allowed = 3 * whole["data"] + GIB
    print(f"whole run, {SIZES[1]:,} rows, default settings: data {whole['data'] / 1e6:.0f} MB, ", end="")
    print(f"peak {whole['peak'] / 1e6:.0f} MB, {whole['peak'] / allowed:.2f} of what is allowed")
    for fit in whole["fits"]:
        print(f"  {fit['guide']}: {fit['status']}, {fit['verdict']}, ELBO {fit['elbo']:.3f}, {fit['seconds']:.0f} s")


if __name__ == "__main__":
    main()
