"""A plain script: six guides on the seed problem by ``svi.run``, with draws and predictions by ``Predictive``."""

from __future__ import annotations

import jax
import numpyro
from lesson import X, Y, lessons, model
from numpyro.infer import SVI, Predictive, Trace_ELBO


def main() -> None:
    """Train each guide as long as the lesson does, and predict from it."""
    for name, guide, steps in lessons():
        svi = SVI(model, guide, numpyro.optim.Adam(0.01), Trace_ELBO())
        done = svi.run(jax.random.key(0), steps, X, Y, progress_bar=False)
        draws = Predictive(guide, params=done.params, num_samples=1_000)(jax.random.key(1), X)
        seen = Predictive(model, posterior_samples={site: draws[site] for site in ("w", "b", "s_eps")})(
            jax.random.key(2), X
        )
        print(f"{name:28s} {steps:5d} steps, final loss {done.losses[-1]:9.3f}, mean of y {seen['y'].mean():.3f}")


if __name__ == "__main__":
    main()
