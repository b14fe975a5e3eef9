"""How large a guide may be: how many latent dimensions it can have, and what options say of its size."""

from __future__ import annotations

from typing import Any

#: A matrix of this size squared, times four restarts with their optimiser states, takes 50 MB.
MOST_DIMENSIONS = 1_000

#: Latent dimensions of a flow.  Its networks have a dozen times their square of numbers, some ten thousand steps
#: compute with all of them, and their optimum is not known beforehand, as that of a Gaussian nearly is: two minutes
#: on two cores for 100 dimensions, a quarter of an hour for 200, and an hour for 300.
MOST_OF_A_FLOW = 200

#: Layers of a flow, or steps of a sampler, which are traced one by one: more take hours to compile.
MOST_LAYERS = 200

#: Units of a layer: a matrix between two of this width takes 400 MB.
MOST_UNITS = 10_000

#: Copies of its parameters that training holds: four restarts, each with two moments of the optimiser, its gradient and
#: the average of its tail.
COPIES = 4 * 5


def too_many(structure: Any) -> str | None:
    """Return why a guide with a matrix over all latent dimensions is out of reach, or ``None``."""
    size = structure.latent_dim
    if size <= MOST_DIMENSIONS:
        return None
    return (
        f"a matrix over {size:,} latent dimensions would take {4 * COPIES * size**2 / 1e9:,.1f} GB to train, and "
        f"{MOST_DIMENSIONS:,} dimensions are the most; auto_low_rank_multivariate_normal follows correlations with "
        "far fewer numbers, and auto_normal none"
    )


def too_many_for_a_flow(structure: Any) -> str | None:
    """Return why a flow would train for too long, or has too few latent dimensions; otherwise ``None``."""
    size = structure.latent_dim
    if size < 2:
        return "an autoregressive flow needs at least two latent dimensions; use auto_normal"
    if size <= MOST_OF_A_FLOW:
        return None
    return (
        f"the networks of a flow over {size:,} latent dimensions would train for a quarter of an hour or far "
        f"longer, and {MOST_OF_A_FLOW:,} dimensions are the most; "
        "auto_low_rank_multivariate_normal follows correlations with far fewer numbers"
    )


def counted(most: int, **counts: int | None) -> None:
    """Refuse counts that are below one, or beyond what any machine trains; ``None`` stands for a default.

    Raises
    ------
    ValueError
        With the name of the count and what it may be.
    """
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"{name} must be at least 1, not {count}")
        if count is not None and count > most:
            raise ValueError(f"{name} must be at most {most:,}, not {count:,}")
