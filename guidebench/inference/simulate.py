"""Data sets drawn from a model itself: parameters from the prior, observations given them.

Whatever the model takes as arguments stays as it is; only its observed sites get new values.  So a
model that conditions on lagged observations, say, is simulated with the lags of the real data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, Shaped
from numpyro.handlers import seed, trace
from numpyro.primitives import Messenger

from guidebench.config.errors import RequestError
from guidebench.inference.arguments import Arguments
from guidebench.inference.device.compiled import once, over_draws
from guidebench.inference.device.precision import as_double, double
from guidebench.inference.predict import Unobserved
from guidebench.inference.structure import ModelStructure, Site, is_factor

#: Values beyond this are no data that a model could be fitted to in single precision.
LARGEST = 1e9


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """At most N draws from the joint distribution of a model.

    Attributes
    ----------
    latents, observed : dict
        Values by site, each of shape ``(N, ...)``.
    """

    latents: dict[str, Shaped[np.ndarray, "N ..."]]
    observed: dict[str, Shaped[np.ndarray, "N ..."]]


class Observing(Messenger):  # type: ignore[misc]
    """Put other values in the place of the observed ones."""

    def __init__(self, model: Callable[..., Any], values: Mapping[str, Any]) -> None:
        super().__init__(model)
        self.observed = values

    def process_message(self, msg: dict[str, Any]) -> None:
        """Replace the value of an observed site."""
        if msg["type"] == "sample" and msg["is_observed"] and not is_factor(msg) and msg["name"] in self.observed:
            msg["value"] = self.observed[msg["name"]]


def refusal(structure: ModelStructure) -> str | None:
    """Return why no data can be simulated from a model, or ``None``."""
    if not structure.observed:
        return "the model observes nothing, so there are no data to simulate"
    if structure.factors:
        return f"numpyro.factor ({', '.join(structure.factors)}) changes the density but cannot be simulated"
    if structure.params:
        return f"the model has parameters without a prior ({', '.join(structure.params)})"
    if structure.reweighted:
        return f"{', '.join(structure.reweighted)} is masked or scaled, so its density is not that of its draws"
    if structure.improper:
        return f"the prior of {', '.join(structure.improper)} is improper: nothing can be drawn from it"
    return None


def simulate(
    model: Callable[..., Any], arguments: Arguments, structure: ModelStructure, key: Key[Array, ""], count: int
) -> Simulated:
    """Draw parameters from the prior and observations given them, `count` times.

    Data sets with values that are not finite or do not fit into 32 bits are left out.  That is a choice by
    the data alone, so ranks given the others are uniform still.

    Raises
    ------
    RequestError
        Where a prior cannot be drawn from, or more than half of the data sets are left out.
    """
    names = [site.name for site in (*structure.latents, *structure.observed)]

    def draw(keys: Key[Array, " N"], traced: Mapping[str, Any]) -> dict[str, Any]:
        def one(key: Key[Array, ""]) -> dict[str, Any]:
            args, kwargs = arguments.call(model, traced)
            sites = trace(seed(Unobserved(model), key)).get_trace(*args, **kwargs)
            return {name: sites[name]["value"] for name in names}

        found: dict[str, Any] = over_draws(one, keys, arguments.size())
        return found

    try:
        with double():
            values = jax.device_get(once(draw, jax.random.split(key, count), as_double(dict(arguments.arrays))))
    except NotImplementedError:
        raise RequestError("the model has a distribution that cannot be drawn from", option="simulations") from None
    sound = np.ones(count, bool)
    for sites, largest in ((structure.observed, LARGEST), (structure.latents, np.inf)):
        for site in sites:
            rows = np.abs(np.asarray(values[site.name]).reshape(count, -1).astype(np.float64))
            sound &= (rows < largest).all(axis=1)
    if sound.sum() < count / 2:
        raise RequestError(
            f"{count - sound.sum()} of {count} data sets drawn from the prior hold values beyond "
            f"{LARGEST:.0e}; the prior is too wide to learn from",
            option="simulations",
        )

    def kept(sites: tuple[Site, ...]) -> dict[str, Shaped[np.ndarray, "N ..."]]:
        return {site.name: _single(np.asarray(values[site.name])[sound]) for site in sites}

    return Simulated(latents=kept(structure.latents), observed=kept(structure.observed))


def _single(values: Shaped[np.ndarray, "*shape"]) -> Shaped[np.ndarray, "*shape"]:
    """Return numbers in the precision that training has."""
    return np.asarray(jnp.asarray(values))


def observing(model: Callable[..., Any], arguments: Arguments, example: Simulated) -> tuple[Any, Arguments]:
    """Return the model as a function of its data *and* its observations, and arguments shaped like one data set."""

    def observing_model(data: Mapping[str, Any], observed: Mapping[str, Any]) -> Any:
        args, kwargs = arguments.call(model, data)
        return Observing(model, observed)(*args, **kwargs)

    first = {name: jnp.asarray(value[0]) for name, value in example.observed.items()}
    return observing_model, Arguments(arrays={"data": dict(arguments.arrays), "observed": first})
