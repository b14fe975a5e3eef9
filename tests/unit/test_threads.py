"""One thread for BLAS while a task runs, and as many as before afterwards."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_info

from guidebench.inference.device.threads import one_for_blas


def blas() -> list[int]:
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


def test_one_thread_and_then_as_before() -> None:
    np.eye(2) @ np.eye(2)
    before = blas()
    with one_for_blas():
        assert set(blas()) <= {1}
    assert blas() == before
