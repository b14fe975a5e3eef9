"""A trained guide as a script has it: to sample, to weigh, to predict with, and in NumPyro's own form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from guidebench.config import RunConfig
from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.request.selection import ChosenGuide
from guidebench.results import inference_data as idata
from guidebench.results import records
from guidebench.results.guide_state import GROUP, GuideState, from_dataset

if TYPE_CHECKING:
    from guidebench.engine.trained import Ready


class Sources(NamedTuple):
    """What a run was made of: problems and guides by name, and its settings; no file holds them."""

    problems: Mapping[str, Problem]
    guides: Mapping[str, ChosenGuide]
    config: RunConfig


class Trained:
    """A guide that was trained on a model.

    It comes from ``fit.trained`` or :func:`load_guide`.  What it computes is compiled on first use.

    Attributes
    ----------
    name : str
        The guide, with its options.
    state : GuideState
        Its parameters and coordinates, as data.
    """

    def __init__(self, state: GuideState, guide: ChosenGuide, problem: Problem) -> None:
        self.name, self.state = guide.label, state
        self._chosen, self._problem = guide, problem

    @cached_property
    def _ready(self) -> Ready:
        from guidebench.engine.trained import Ready

        return Ready(self.state, self._chosen, self._problem)

    @property
    def guide(self) -> Callable[..., Any]:
        """The guide as a NumPyro function over the model's own latent sites, for ``Predictive``, SVI or MCMC.

        It takes the arguments of the model, and draws for the data that it was trained on whatever these are.
        """
        return self._ready.function

    @property
    def params(self) -> dict[str, Any]:
        """Its trained parameters by name, in their constrained space, with those of the model itself."""
        return dict(self.state.params)

    def sample(self, seed: int = 0, n: int = 1000) -> dict[str, np.ndarray]:
        """Return draws of the model's latent sites.

        Parameters
        ----------
        seed : int
            The same seed and number give the same bits in every process.
        n : int
            How many.

        Returns
        -------
        dict of str to ndarray
            By site, each of shape ``(n, ...)``.
        """
        return self._ready.sample(_whole("seed", seed, 0), _whole("n", n, 1))[0]

    def log_prob(self, latents: Mapping[str, Any]) -> np.ndarray:
        """Return the log density of the guide over the model's own latent sites, in nats.

        Parameters
        ----------
        latents : mapping
            Values by site, each of shape ``(n, ...)``, or all of the shapes of the sites for one point.

        Returns
        -------
        ndarray
            float64, of shape ``(n,)``, or a scalar for one point; minus infinity where the guide never draws.

        Raises
        ------
        RequestError
            Where the guide has no such density, as a point estimate, or none that can be computed.
        """
        values, one = self._points(latents)
        found = self._ready.log_prob(values)
        return found[0] if one else found

    def log_weight(self, latents: Mapping[str, Any]) -> np.ndarray:
        r"""Return :math:`\log p(y, \theta) - \log q(\theta)` in nats, of the data that the guide was trained on.

        Parameters and shapes are those of :meth:`log_prob`.
        """
        values, one = self._points(latents)
        found = self._ready.log_joint(values) - self._ready.log_prob(values)
        return found[0] if one else found

    def predict(
        self, new: Mapping[str, Any] | None = None, *, seed: int = 0, n: int = 1000, **arguments: Any
    ) -> dict[str, np.ndarray]:
        """Return draws from the posterior predictive, by the guide's draws as they are.

        Parameters
        ----------
        new : mapping, optional
            Arguments of the model by name, for those that are called like the ones of this method.
        seed, n : int
            As for :meth:`sample`, of which the latent sites are the same.
        **arguments
            Arguments of the model that differ from those of training; observations are left out.

        Returns
        -------
        dict of str to ndarray
            Every observed and deterministic site, each of shape ``(n, ...)``.
        """
        latents = self.sample(seed, n)
        return self._ready.forward({**(new or {}), **arguments}, latents, seed)

    def _points(self, latents: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], bool]:
        """Return values by site with a leading axis, and whether they had none."""
        found, ranks = {}, set()
        for site in self.state.sites:
            if site.name not in latents:
                names = ", ".join(one.name for one in self.state.sites)
                raise RequestError(f"latents lack the site {site.name}; the sites are {names}")
            value = np.asarray(latents[site.name])
            own = len(site.shape)
            if value.shape[value.ndim - own :] != site.shape or value.ndim not in (own, own + 1):
                raise RequestError(f"latents: {site.name} has the shape {value.shape}; expected is (n, *{site.shape})")
            ranks.add(value.ndim - own)
            found[site.name] = value
        if len(ranks) > 1:
            raise RequestError("latents: some sites have an axis for several points, and others none")
        one = ranks == {0}
        values = {name: value[None] if one else value for name, value in found.items()}
        if len({len(value) for value in values.values()}) > 1:
            raise RequestError("latents: the sites have values at different numbers of points")
        return values, one

    def __repr__(self) -> str:
        count = sum(int(np.prod(one.shape)) for one in self.state.sites)
        return f"<Trained {self.name}: {len(self.state.sites)} latent sites, {count} values>"


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise RequestError(f"{name}: should be a whole number of at least {least}, not {value!r}")
    return int(value)


def trained_of(fit: records.Fit, sources: Sources | None) -> Trained:
    """Return the trained guide of a fit.

    Raises
    ------
    RequestError
        Where the fit has none, or its model is not at hand.
    """
    dataset = idata.group(fit.inference_data, GROUP)
    if dataset is None:
        raise RequestError(f"{fit.guide} has no trained guide: {fit.message or 'it was made by an earlier version'}")
    if sources is None or fit.problem not in sources.problems or fit.guide not in sources.guides:
        raise RequestError(
            f"{fit.guide} was read from disk, without its model; gb.load_guide(FILE, model) with a file of the folder "
            "guides of the run puts them together again"
        )
    from guidebench.engine.validation import with_validation

    problem, _ = with_validation(sources.problems[fit.problem], sources.config)
    return Trained(from_dataset(dataset), sources.guides[fit.guide], problem)
