"""BlackJAX's variational inference on the seed problem: ``meanfield_vi`` by 4,000 steps of Adam, or ``pathfinder``."""

from __future__ import annotations

import argparse

import blackjax
import jax
import optax
from lesson import X, Y, model
from numpyro.infer.util import initialize_model


def main() -> None:
    """Approximate the posterior and draw 1,000 times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=("meanfield_vi", "pathfinder"))
    asked = parser.parse_args()
    start = initialize_model(jax.random.key(0), model, model_args=(X, Y))

    def log_density(point):
        return -start.potential_fn(point)

    key = jax.random.key(1)
    if asked.method == "pathfinder":
        state, _ = jax.jit(lambda own: blackjax.vi.pathfinder.approximate(own, log_density, start.param_info.z))(key)
        draws, _ = blackjax.vi.pathfinder.sample(jax.random.key(2), state, 1_000)
    else:
        method = blackjax.meanfield_vi(log_density, optax.adam(0.01), 10)

        def step(state, own):
            state, info = method.step(own, state)
            return state, info.elbo

        state, _ = jax.jit(lambda state, keys: jax.lax.scan(step, state, keys))(
            method.init(start.param_info.z), jax.random.split(key, 4_000)
        )
        draws = method.sample(jax.random.key(2), state, 1_000)
    print({name: round(float(value.mean()), 3) for name, value in draws.items()})


if __name__ == "__main__":
    main()
