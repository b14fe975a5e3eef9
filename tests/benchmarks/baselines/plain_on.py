"""A plain script on one of the benchmark's models: ``svi.run`` with 4,000 steps of ten particles, and 1,000 draws."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import jax
import numpyro
from numpyro.infer import SVI, Predictive, Trace_ELBO
from numpyro.infer.autoguide import AutoLowRankMultivariateNormal, AutoNormal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models import made

GUIDES = {"auto_normal": AutoNormal, "auto_low_rank_multivariate_normal": AutoLowRankMultivariateNormal}


def main() -> None:
    """Train, draw, and say the final losses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--guides", required=True)
    asked = parser.parse_args()
    model, data = made(asked.model)
    said = []
    for name in asked.guides.split(","):
        guide = GUIDES[name](model)
        svi = SVI(model, guide, numpyro.optim.Adam(0.01), Trace_ELBO(num_particles=10))
        done = svi.run(jax.random.key(0), 4_000, **data, progress_bar=False)
        draws = Predictive(guide, params=done.params, num_samples=1_000)(jax.random.key(1), **data)
        jax.block_until_ready(draws)
        said.append(f"{name} loss {done.losses[-200:].mean():.2f}")
    print(f"= {', '.join(said)}")


if __name__ == "__main__":
    main()
