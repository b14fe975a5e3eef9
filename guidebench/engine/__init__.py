"""The grid of problems and guides: train, draw, score, collect."""

from guidebench.engine.grid import compare
from guidebench.progress import Progress, Silent

__all__ = ["Progress", "Silent", "compare"]
