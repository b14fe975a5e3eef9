"""Throughput of training, scoring and chains on every device that JAX has here, beside the CPU.

    python tests/benchmarks/bench_device.py                      # the default device and the CPU
    python tests/benchmarks/bench_device.py --latents 10000

Each measurement is a process of its own, on one platform; the first call, which compiles, is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from models import independent, rows

#: Draws of a guide at a time, and chains.
PARTICLES, CHAINS = 64, 256


def per_second(function: Callable[[], Any], gradients: int) -> float:
    """Return how many gradients a second, the best of three calls after the first."""
    jax.block_until_ready(function())
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        jax.block_until_ready(function())
        best = min(best, time.perf_counter() - began)
    return gradients / best


def here(latents: int, count: int) -> dict[str, Any]:
    """Measure in this process."""
    import numpyro
    from numpyro.infer import SVI, Trace_ELBO
    from numpyro.infer.autoguide import AutoNormal
    from numpyro.infer.util import initialize_model

    found: dict[str, Any] = {"device": str(jax.devices()[0].device_kind)}
    for name, (model, data) in {f"{latents:,} latents": independent(latents), f"{count:,} rows": rows(count)}.items():
        svi = SVI(model, AutoNormal(model), numpyro.optim.Adam(0.01), Trace_ELBO(num_particles=PARTICLES))
        state, steps = svi.init(jax.random.key(0), **data), 100

        def train(svi: Any = svi, state: Any = state, data: Any = data, steps: int = steps) -> Any:
            return jax.lax.scan(lambda one, _: svi.update(one, **data), state, None, length=steps)

        ready = initialize_model(jax.random.key(0), model, model_kwargs=data)
        points = jax.tree.map(lambda value: jnp.zeros((CHAINS, *value.shape)), ready.param_info.z)
        gradient = jax.vmap(jax.grad(ready.potential_fn))

        def leap(points: Any = points, gradient: Any = gradient) -> Any:
            move = lambda here, _: (jax.tree.map(lambda x, g: x - 1e-3 * g, here, gradient(here)), None)  # noqa: E731
            return jax.lax.scan(move, points, None, length=20)

        score = jax.jit(jax.vmap(ready.potential_fn))
        found[name] = {
            "training": per_second(jax.jit(train), PARTICLES * steps),
            "chains": per_second(jax.jit(leap), CHAINS * 20),
            "densities": per_second(partial(score, points), CHAINS),
        }
    return found


def main() -> None:
    """Measure on each platform and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latents", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        print(json.dumps(here(asked.latents, asked.rows)))
        return
    found = []
    for platform in ("cpu", *([] if jax.default_backend() == "cpu" else [jax.default_backend()])):
        command = [sys.executable, __file__, "--here", "--latents", str(asked.latents), "--rows", str(asked.rows)]
        done = subprocess.run(
            command, env={**os.environ, "JAX_PLATFORMS": platform}, check=True, capture_output=True, text=True
        )
        found.append(json.loads(done.stdout.splitlines()[-1]))
    cpu = found[0]
    for one in found:
        for problem, speeds in one.items():
            if problem == "device":
                continue
            for what, speed in speeds.items():
                ratio = speed / cpu[problem][what]
                print(f"{one['device']:20s} {problem:16s} {what:10s} {speed:14,.0f} a second {ratio:8.1f} x CPU")


if __name__ == "__main__":
    main()
