"""NumPyro's NUTS on one of the benchmark's models: four chains of 1,000 + 1,000, side by side."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import jax
import numpy as np
from numpyro.diagnostics import summary
from numpyro.infer import MCMC, NUTS

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models import made


def main() -> None:
    """Sample, and say how many gradients sampling took and the largest R-hat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    asked = parser.parse_args()
    model, data = made(asked.model)
    chains = MCMC(
        NUTS(model), num_warmup=1_000, num_samples=1_000, num_chains=4, chain_method="vectorized", progress_bar=False
    )
    chains.warmup(jax.random.key(0), **data, extra_fields=("num_steps",), collect_warmup=True)
    warm = int(np.sum(chains.get_extra_fields()["num_steps"]))
    chains.run(jax.random.key(1), **data, extra_fields=("num_steps",))
    steps = int(np.sum(chains.get_extra_fields()["num_steps"]))
    told = summary(chains.get_samples(group_by_chain=True), group_by_chain=True)
    worst = max(float(np.max(site["r_hat"])) for site in told.values())
    print(f"= {warm + steps:,} gradients, {warm:,} of them to warm up, R-hat {worst:.3f}")


if __name__ == "__main__":
    main()
