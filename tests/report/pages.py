"""Pages of one fit with just the groups that a test is about."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from guidebench.report.page import Page
from tests import made
from tests.report.fake import from_groups


def page_of(groups: dict[str, xr.Dataset], problem: dict[str, Any] | None = None, **changes: Any) -> Page:
    """Return the page of one fit with these groups."""
    record = made.record(**{"latents": ("a", "c"), "heldout_size": 0, **(problem or {})})
    fit = made.fit(**{"inference_data": from_groups(groups), **changes})
    return Page(comparison=made.comparison(fit, problems=(record,)), problem=record)


def draws(**sites: Any) -> xr.Dataset:
    return xr.Dataset({name: (("chain", "draw"), np.asarray([values], dtype=float)) for name, values in sites.items()})
