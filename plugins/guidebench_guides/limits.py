"""How many latent dimensions a guide can have whose parameters grow with their square."""

from __future__ import annotations

from typing import Any

#: A matrix of this size squared, times four restarts with their optimiser states, takes 50 MB.
MOST_DIMENSIONS = 1_000


def too_many(structure: Any) -> str | None:
    """Return why a guide with a matrix over all latent dimensions is out of reach, or ``None``."""
    if structure.latent_dim <= MOST_DIMENSIONS:
        return None
    return (
        f"{structure.latent_dim:,} latent dimensions would need {structure.latent_dim**2:,} parameters, "
        f"and {MOST_DIMENSIONS:,} dimensions are the most; use auto_normal"
    )
