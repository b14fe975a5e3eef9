"""What a guide's own code raises is told first and as it is, on every toy problem: one failure hides no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpyro.infer.autoguide import AutoNormal

from guidebench.contracts import Guide
from guidebench.testing.flaws import Kind, _place, flaw, own_error
from guidebench.testing.subject import Subject
from guidebench.testing.toys import toys, twin


class Forgetful(AutoNormal):  # type: ignore[misc]
    """Fails once all sites are traced, when JAX holds images of the model's constants."""

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        super()._setup_prototype(*args, **kwargs)
        raise TypeError("I forgot an argument")


@pytest.mark.slow
def test_an_exception_while_tracing_does_not_change_what_comes_after() -> None:
    """The toy has arrays among its constants, which a failed trace left in float32 for the search in float64."""
    guide = Guide(name="forgetful", build=Forgetful, summary="Fails", family="diagonal")
    subject = Subject(guide, problems=["independent"])
    (toy,) = subject.toys.values()
    found = flaw(subject, toy)
    assert found is not None
    assert found.kind in (Kind.TRAINING, Kind.RAISES)
    assert "I forgot an argument" in found.reason
    told = own_error(subject)
    assert told is not None
    assert told.startswith("TypeError: I forgot an argument (test_own_error.py, line ")
    assert told.endswith(", in _setup_prototype)")


def test_a_twin_has_the_same_numbers_in_arrays_of_its_own() -> None:
    for name, toy in toys().items():
        other = twin(name)
        assert other.problem.model is not toy.problem.model
        for given, own in zip(toy.problem.kwargs.values(), other.problem.kwargs.values(), strict=True):
            assert given is not own
            np.testing.assert_array_equal(given, own)


def test_the_place_is_the_last_one_in_the_authors_own_file() -> None:
    text = """Traceback (most recent call last):
  File "/home/me/guides.py", line 3, in outer
    inner()
  File "/home/me/guides.py", line 7, in inner
    jnp.ones(2) + jnp.ones(3)
  File "/usr/lib/python3/site-packages/jax/numpy.py", line 99, in add
    raise
"""
    assert _place(text) == "guides.py, line 7, in inner"
    assert _place('Traceback:\n  File "/x/site-packages/jax/a.py", line 1, in b\n') == ""
