"""The Python face: compare guides on a model from a script or a notebook."""

from guidebench.api.compare import DEFAULT, compare

__all__ = ["DEFAULT", "compare"]
