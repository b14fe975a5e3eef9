"""Who wins: the verdict first, then the error, and nobody is better than noise."""

from __future__ import annotations

from typing import Any

import pytest

from guidebench.analysis.problems import winners
from guidebench.api import Fit
from guidebench.contracts import MetricValue
from guidebench.results import Status, Verdict
from tests import made


def fit(guide: str, verdict: Verdict, error: float | None = None, mcse: float = 0.01, **parts: Any) -> Fit:
    elbo = parts.pop("elbo", -1.0)
    metrics: dict[str, made.Number] = {"elbo": (elbo, 0.01)}
    if error is not None:
        metrics |= {"mean_error": (error, mcse), "sd_error": (parts.pop("sd_error", error / 2), mcse)}
    restarts = made.restarts([elbo] * 3, loss=1.0, elbo_mcse=0.01)
    return made.fit(guide, metrics, verdict=verdict, **{"restarts": restarts, **parts})


def winner(*fits: Fit) -> Any:
    (found,) = winners(made.comparison(*fits))
    return found


def test_a_trusted_guide_beats_a_smaller_error() -> None:
    found = winner(fit("close", Verdict.REWEIGHT, 0.01), fit("trusted", Verdict.TRUST, 0.09))
    assert (found.guides, found.by, found.usable) == (("trusted",), "error", True)
    assert found.value == MetricValue(value=0.09, mcse=0.01)


@pytest.mark.parametrize(("other", "tied"), [(0.0782, True), (0.0784, False)])
def test_a_tie_is_two_standard_errors_of_the_difference(other: float, tied: bool) -> None:
    # 2 sqrt(0.01^2 + 0.01^2) = 0.0283
    found = winner(fit("b", Verdict.TRUST, other), fit("a", Verdict.TRUST, 0.05))
    assert found.guides == (("a", "b") if tied else ("a",))


def test_the_worse_of_mean_and_sd_counts() -> None:
    found = winner(fit("wide", Verdict.TRUST, 0.02, sd_error=0.5), fit("shifted", Verdict.TRUST, 0.2))
    assert found.guides == ("shifted",)


def test_without_a_reference_the_elbo_decides_within_noise() -> None:
    found = winner(
        fit("a", Verdict.TRUST, elbo=-1.0), fit("b", Verdict.TRUST, elbo=-1.001), fit("c", Verdict.TRUST, elbo=-2.0)
    )
    assert (found.guides, found.by) == (("a", "b"), "elbo")


def test_a_bound_over_a_larger_space_does_not_win_by_it() -> None:
    found = winner(fit("a", Verdict.DISTRUST, elbo=-2.0), fit("b", Verdict.DISTRUST, elbo=-1.0, bound="augmented"))
    assert found.guides == ("a",)
    assert not found.usable


def test_where_all_failed_nobody_wins() -> None:
    found = winner(fit("a", Verdict.FAILED, status=Status.FAILED))
    assert (found.guides, found.verdict, found.usable) == ((), Verdict.FAILED, False)
    assert winner().guides == ()


def test_point_estimates_come_after_distrusted_draws() -> None:
    found = winner(fit("point", Verdict.POINT, 0.01, bound="none"), fit("bad", Verdict.DISTRUST, 0.9))
    assert found.guides == ("bad",)
    assert winner(fit("point", Verdict.POINT, 0.01, bound="none")).guides == ("point",)
