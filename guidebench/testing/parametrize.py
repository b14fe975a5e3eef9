"""The contract suite as pytest tests, one per check and guide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from guidebench.config.errors import RequestError
from guidebench.testing.checks import CHECKS
from guidebench.testing.outcomes import CheckFailed
from guidebench.testing.select import check_expected
from guidebench.testing.subject import Subject


def parametrize_with_checks(guides: Iterable[Any], expected_failures: Mapping[str, str] | None = None) -> Any:
    """Return a pytest decorator that runs a test once for every check and guide.

    Parameters
    ----------
    guides : iterable of str, Guide, class or callable
        Names of installed guides, or whatever else ``guides`` of :func:`guidebench.compare` may hold.
    expected_failures : mapping of str to str, optional
        Names of checks that these guides fail, each with the reason why that is as it should be.  Such a test
        passes where the check fails, and fails where it passes.

    Returns
    -------
    decorator
        For a function of the arguments ``guide`` and ``check``.

    Raises
    ------
    RequestError
        Where there is no guide, or no check of a name among the expected failures.

    Examples
    --------
    >>> from guidebench.testing import parametrize_with_checks
    >>> @parametrize_with_checks(["auto_normal"])
    ... def test_auto_normal(guide, check):
    ...     check(guide)
    """
    import pytest

    if isinstance(guides, str):
        raise RequestError(f"guides: should be a list of guides; give [{guides!r}]")
    subjects = [Subject(one) for one in guides]
    if not subjects:
        raise RequestError("guides: none are given")
    expected = check_expected(expected_failures or {})
    return pytest.mark.parametrize(
        ("guide", "check"),
        [
            pytest.param(
                subject,
                check,
                id=f"{check.name}-{subject.name}",
                marks=pytest.mark.xfail(reason=expected[check.name], strict=True, raises=CheckFailed)
                if check.name in expected
                else (),
            )
            for subject in subjects
            for check in CHECKS
        ],
    )
