"""Functions that others compute with are noticed when somebody replaces them, and are there again afterwards."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.contrib.funsor import config_enumerate, enum, log_density

from guidebench.config import make_config
from guidebench.config.errors import ModelError
from guidebench.engine.perform import perform
from guidebench.engine.recipe import recipe_of
from guidebench.engine.request import Settings
from guidebench.plugins.isolation.boundary import Boundary
from guidebench.plugins.isolation.replaced import watched


def replace_numpy() -> None:
    np.mean = np.sum


def replace_method() -> None:
    dist.Normal.log_prob = lambda self, value: 0.0


def replace_code() -> None:
    dist.Normal.sample.__code__ = (lambda self, key, sample_shape=(): 0.0).__code__


def remove() -> None:
    del jnp.exp


@pytest.mark.parametrize(
    ("does", "name", "holder"),
    [
        (replace_numpy, "numpy.mean", np),
        (replace_method, "numpyro.distributions.continuous.Normal.log_prob", dist.Normal),
        (replace_code, "numpyro.distributions.continuous.Normal.sample", dist.Normal),
        (remove, "jax.numpy.exp", jnp),
    ],
)
def test_what_a_plugin_replaces_is_put_back_and_named(does: Callable[[], None], name: str, holder: Any) -> None:
    part = name.rpartition(".")[2]
    before = vars(holder)[part]
    code = getattr(before, "__code__", None)
    with Boundary("build", plugin="p", distribution="d", name="g") as at:
        does()
    assert at.failure is not None
    assert at.failure.message == f"ReplacedError: {name} was replaced, and put back"
    assert vars(holder)[part] is before
    assert getattr(before, "__code__", None) is code


def test_an_error_says_besides_what_was_replaced() -> None:
    with Boundary("build", plugin="p", distribution="d", name="g") as at:
        replace_numpy()
        raise ValueError("no")
    assert at.failure is not None
    assert at.failure.message == "ValueError: no; numpy.mean was replaced, and put back"


def test_what_jax_has_traced_meanwhile_is_forgotten() -> None:
    """A function of JAX's that is compiled with another inside would keep it."""
    import jax

    inner = jax.jit(lambda x: jnp.exp(x))
    with Boundary("build", plugin="p", distribution="d", name="g"):
        jnp.exp = jnp.sin
        assert inner(1.0) == pytest.approx(math.sin(1.0))
    assert inner(1.0) == pytest.approx(math.e)


@dataclass(frozen=True, kw_only=True)
class Replaces:
    """What a task with such a model does."""

    settings: Settings = field(default_factory=lambda: Settings(make_config({}), recipe_of(make_config({})), True))

    def run(self, inputs: tuple[Any, ...], tell: Any) -> float:
        replace_numpy()
        return float(np.mean(np.ones(3)))


def test_what_a_model_replaces_is_put_back_and_its_task_is_lost() -> None:
    before = np.mean
    with pytest.raises(ModelError, match=r"^numpy\.mean was replaced, and put back: by a model or somebody's thread"):
        perform(Replaces(), (), lambda event: None)
    assert np.mean is before


def test_what_was_there_before_the_run_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's own patch is theirs, and part of what is compared."""
    mine = lambda: 0.0  # noqa: E731
    monkeypatch.setattr(time, "monotonic", mine)
    with watched(), Boundary("build", plugin="p", distribution="d", name="g") as at:
        pass
    assert at.failure is None
    assert time.monotonic is mine


def test_what_numpyro_replaces_itself_is_nobodys_fault() -> None:
    """Summing a discrete site out replaces ``plate.__new__`` each time, and leaves it replaced."""

    def mixture(y: Any) -> None:
        with numpyro.plate("rows", 3):
            kind = numpyro.sample("kind", dist.Bernoulli(0.5), infer={"enumerate": "parallel"})
            numpyro.sample("y", dist.Normal(2.0 * kind, 1.0), obs=y)

    def summed_out() -> None:
        log_density(enum(config_enumerate(mixture), first_available_dim=-2), (np.zeros(3),), {}, {})

    summed_out()
    with watched():
        for _ in range(2):
            with Boundary("train", plugin="p", distribution="d", name="g") as at:
                summed_out()
            assert at.failure is None
