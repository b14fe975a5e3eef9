"""The Python face: compare guides on a model from a script or a notebook."""

from guidebench.api.compare import DEFAULT, compare
from guidebench.api.comparison import Comparison, Fit, load
from guidebench.api.difference import Diff, diff

__all__ = ["DEFAULT", "Comparison", "Diff", "Fit", "compare", "diff", "load"]
