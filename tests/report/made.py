"""Pages of one fit with just the groups that a test is about."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from guidebench.api import Comparison, Fit
from guidebench.report.page import Page
from guidebench.results import ProblemRecord, Status, Verdict
from tests.report.fake import from_groups


def made(groups: dict[str, xr.Dataset], problem: dict[str, Any] | None = None, **changes: Any) -> Page:
    """Return the page of one fit with these groups."""
    record = ProblemRecord(**{"name": "p", "latents": ("a", "c"), "observed": ("y",), **(problem or {})})
    fit = Fit(
        **{
            "problem": "p",
            "guide": "g",
            "plugin": "d",
            "status": Status.CONVERGED,
            "bound": "elbo",
            "verdict": Verdict.TRUST,
            "inference_data": from_groups(groups),
            **changes,
        }
    )
    return Page(comparison=Comparison(name="c", problems=(record,), fits=(fit,)), problem=record)


def draws(**sites: Any) -> xr.Dataset:
    return xr.Dataset({name: (("chain", "draw"), np.asarray([values], dtype=float)) for name, values in sites.items()})
