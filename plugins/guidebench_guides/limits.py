"""How many latent dimensions a guide can have whose parameters grow with their square."""

from __future__ import annotations

from typing import Any

#: A matrix of this size squared, times four restarts with their optimiser states, takes 50 MB.
MOST_DIMENSIONS = 1_000

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
