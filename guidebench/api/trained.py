"""A trained guide as a script has it: to sample, to weigh, to predict with, and in NumPyro's own form."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from platform import python_version
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from guidebench.config import RunConfig, make_config
from guidebench.config.errors import RequestError
from guidebench.contracts import Problem
from guidebench.request.find_plugins import find_plugins
from guidebench.request.own_guides import YOURS
from guidebench.request.selection import ChosenGuide, choose_guides
from guidebench.results import Verdict, records
from guidebench.results import inference_data as idata
from guidebench.results.guide_state import GROUP, GuideState, from_dataset
from guidebench.results.passport import Passport, passport_of, read, write

if TYPE_CHECKING:
    from guidebench.api.comparison import Comparison
    from guidebench.engine.recheck import Recheck
    from guidebench.engine.trained import Ready


class Sources(NamedTuple):
    """What a run was made of: problems and guides by name, and its settings; no file holds them."""

    problems: Mapping[str, Problem]
    guides: Mapping[str, ChosenGuide]
    config: RunConfig


#: Draws that a start of NUTS is made of, and how many of them each coordinate needs for a covariance.
STARTS, DRAWS_PER_COORDINATE = 4_000, 10

#: Steps of warm-up that NumPyro takes as one: of 20 or more it begins anew with the step size for the last tenth, which
#: is then all that it is the average of.
WARMUP, USUAL_WARMUP = 19, 1_000


class Trained:
    """A guide that was trained on a model.

    It comes from ``fit.trained`` or :func:`load_guide`.  What it computes is compiled on first use.

    Attributes
    ----------
    name : str
        The guide, with its options.
    state : GuideState
        Its parameters and coordinates, as data.
    passport : Passport
        What is known of it: options, verdict with its reason, scores, fingerprints, versions.
    """

    def __init__(self, state: GuideState, passport: Passport, guide: ChosenGuide, problem: Problem) -> None:
        self.name, self.state, self.passport = guide.label, state, passport
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
        return np.asarray(found[0]) if one else found

    def log_weight(self, latents: Mapping[str, Any]) -> np.ndarray:
        r"""Return :math:`\log p(y, \theta) - \log q(\theta)` in nats, of the data that the guide was trained on.

        Parameters and shapes are those of :meth:`log_prob`.
        """
        values, one = self._points(latents)
        found: np.ndarray = self._ready.log_joint(values) - self._ready.log_prob(values)
        return np.asarray(found[0]) if one else found

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

    def recheck(
        self, new: Mapping[str, Any] | None = None, *, seed: int = 0, n: int = 4000, **arguments: Any
    ) -> Recheck:
        """Score the guide on other data than those it was trained on, without training.

        Parameters
        ----------
        new : mapping, optional
            Arguments of the model by name, for those that are called like the ones of this method.
        seed, n : int
            As for :meth:`sample`; the draws that it is scored by.
        **arguments
            The new data: observations, and what else differs from training.

        Returns
        -------
        Recheck
            ``verdict`` and ``reason``: whether its draws are the posterior of these data; ``drifted``: whether these
            contradict the data of training beyond chance; ``elbo``, ``khat``, ``ess``.
        """
        from guidebench.engine.recheck import recheck

        return recheck(self._ready, {**(new or {}), **arguments}, _whole("seed", seed, 0), _whole("n", n, 100))

    def nuts_start(self, chains: int = 4, *, seed: int = 0, latents: Mapping[str, Any] | None = None) -> NutsStart:
        """Return where NumPyro's NUTS may start, and its inverse mass matrix, by draws of the guide.

        Parameters
        ----------
        chains : int
            How many chains there will be.
        seed : int
            Of the draws.
        latents : mapping, optional
            Draws of the posterior to take in the place of the guide's own, by site, each of shape ``(n, ...)``.

        Returns
        -------
        NutsStart
            ``NUTS(model, **start.kernel)`` and ``MCMC.run(key, ..., init_params=start.init_params)`` take its parts.

        Raises
        ------
        RequestError
            Where the guide is a point estimate.
        """
        chains = _whole("chains", chains, 1)
        if self.passport.bound == "none" and latents is None:
            raise RequestError(f"{self.name} is a point estimate, whose draws have no spread to start from")
        drawn = self.sample(seed, STARTS) if latents is None else self._points(latents)[0]
        known = latents is not None or self.passport.verdict == Verdict.TRUST
        return _start(self._ready.unconstrained(drawn), chains, seed, adapt=not known)

    def save(self, path: str | Path) -> Path:
        """Write the guide to ``PATH.safetensors``, and ``PATH.json`` beside it; return the former.

        :func:`guidebench.load_guide` reads it.  No data are in it but for a guide that cannot draw without them: one
        that looks at the model's density while it draws, as Laplace's approximation and AutoDAIS.
        """
        return write(Path(path), self.state, self.passport)

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


class NutsStart(NamedTuple):
    """What NumPyro's ``NUTS`` and ``MCMC`` take to start from a guide.

    Attributes
    ----------
    init_params : dict
        For ``MCMC.run(init_params=...)``: unconstrained values by site, each of shape ``(chains, ...)``, without that
        axis for one chain.
    inverse_mass_matrix : dict
        For ``NUTS(inverse_mass_matrix=...)``: the covariance, or the variances, of the unconstrained coordinates.
    dense_mass : bool
        For ``NUTS(dense_mass=...)``: whether it is a covariance.
    adapt_mass_matrix : bool
        For ``NUTS(adapt_mass_matrix=...)``: whether the warm-up is to learn another one, as the draws are not known to
        be right.
    """

    init_params: dict[str, np.ndarray]
    inverse_mass_matrix: dict[tuple[str, ...], np.ndarray]
    dense_mass: bool
    adapt_mass_matrix: bool

    @property
    def kernel(self) -> dict[str, Any]:
        """What ``NUTS`` takes, by the names of its arguments."""
        return {
            "inverse_mass_matrix": self.inverse_mass_matrix,
            "dense_mass": self.dense_mass,
            "adapt_mass_matrix": self.adapt_mass_matrix,
        }

    @property
    def num_warmup(self) -> int:
        """Steps of warm-up for ``MCMC``: few where only the step size is to be found, as many as usual elsewhere."""
        return USUAL_WARMUP if self.adapt_mass_matrix else WARMUP


def _start(free: Mapping[str, np.ndarray], chains: int, seed: int, *, adapt: bool) -> NutsStart:
    """Return random rows of unconstrained draws, and their covariance, or variances where they are too few for it."""
    names = tuple(sorted(free))  # as NumPyro lays them out
    rows = np.concatenate([free[name].reshape(len(free[name]), -1) for name in names], axis=1)
    kept = np.isfinite(rows).all(axis=1)
    rows, count = rows[kept], int(kept.sum())
    if count < 2:
        raise RequestError("its draws lie at the edge of their support, so nothing can start from them")
    dense = rows.shape[1] * DRAWS_PER_COORDINATE <= count
    matrix = np.atleast_2d(np.cov(rows.T)) if dense else rows.var(axis=0, ddof=1)
    chosen = np.random.default_rng(seed).choice(count, chains, replace=chains > count)
    picked = {name: value[kept][chosen] for name, value in free.items()}
    init = picked if chains > 1 else {name: value[0] for name, value in picked.items()}
    return NutsStart(init, {names: matrix}, dense, adapt)


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise RequestError(f"{name}: should be a whole number of at least {least}, not {value!r}")
    return int(value)


def trained_of(fit: records.Fit, run: Comparison | None) -> Trained:
    """Return the trained guide of a fit of a run.

    Raises
    ------
    RequestError
        Where the fit has none, or its model is not at hand.
    """
    dataset = idata.group(fit.inference_data, GROUP)
    if dataset is None:
        raise RequestError(f"{fit.guide} has no trained guide: {fit.message or 'it was made by an earlier version'}")
    sources = None if run is None else run.sources
    if run is None or sources is None or fit.problem not in sources.problems or fit.guide not in sources.guides:
        raise RequestError(
            f"{fit.guide} was read from disk, without its model; gb.load_guide(FILE, model) with a file of the folder "
            "guides of the run puts them together again"
        )
    from guidebench.engine.validation import with_validation

    problem, _ = with_validation(sources.problems[fit.problem], sources.config)
    record = next(one for one in run.problems if one.name == fit.problem)
    return Trained(from_dataset(dataset), passport_of(fit, record, run), sources.guides[fit.guide], problem)


def load_guide(
    path: str | Path,
    model: Callable[..., Any] | Problem,
    *args: Any,
    guide: Any = None,
    plugins: str | ModuleType | Sequence[str | ModuleType] = (),
    **kwargs: Any,
) -> Trained:
    """Read a trained guide from a file that :meth:`Trained.save` or a run wrote, and give it its model again.

    Nothing of the file is executed.

    Parameters
    ----------
    path : str or Path
        ``FILE.safetensors``, with ``FILE.json`` beside it; in the folder of a run,
        ``guides/PROBLEM/GUIDE.safetensors``.
    model : callable or Problem
        The model that the guide was trained on; or a problem, which holds it with its data.
    *args, **kwargs
        The data that it was trained on.  They are needed for :meth:`Trained.log_weight` alone, unless the file says
        otherwise.
    guide : optional
        The guide, where it was one of your own: what ``guides`` of :func:`guidebench.compare` was given.
    plugins : str, module, or a sequence of these
        Plugins that are not installed, as for :func:`guidebench.compare`.

    Raises
    ------
    RequestError
        Where the model has other latent sites, the data are others, or the guide is not known here.
    ResultsError
        Where the files are missing or damaged.

    Warns
    -----
    UserWarning
        Where the code of the model is not what it was.
    """
    from guidebench.engine.keys.origin import data_print, given, prints
    from guidebench.engine.validation import with_validation

    state, passport = read(Path(path))
    problem = model if isinstance(model, Problem) else _problem(model, passport.problem, args, kwargs)
    if isinstance(model, Problem) and (args or kwargs):
        raise RequestError("a problem has its arguments already, so none can be given")
    found = prints(problem)
    for name, value in given(problem).items():
        if name in passport.data and data_print(value) not in ("", passport.data[name]):
            raise RequestError(
                f"{name} is not what {passport.guide} was trained on; leave it out, and give new data to predict "
                "or recheck"
            )
    if found.get("model", passport.model) != passport.model and passport.versions.get("python") == python_version():
        warnings.warn(
            f"the code of the model is not that which {passport.guide} was trained on", UserWarning, stacklevel=2
        )
    problem, _ = with_validation(problem, make_config(_settings(passport))) if given(problem) else (problem, None)
    chosen = _chosen(passport, guide, (plugins,) if isinstance(plugins, (str, ModuleType)) else tuple(plugins))
    loaded = Trained(state, passport, chosen, problem)
    loaded._ready  # noqa: B018 - what does not fit is said now
    return loaded


def _settings(passport: Passport) -> dict[str, Any]:
    return {name: passport.settings[name] for name in ("validation", "seed") if name in passport.settings}


def _problem(model: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Problem:
    if not callable(model):
        raise RequestError(f"model: should be a NumPyro model or a gb.Problem, not {type(model).__name__}")
    try:
        inspect.signature(model).bind_partial(*args, **kwargs)
    except TypeError as error:
        raise RequestError(f"the arguments do not fit the model: {error}") from None
    return Problem(name=name, model=model, args=args, kwargs=kwargs)


def _chosen(passport: Passport, given: Any, plugins: Sequence[str | ModuleType]) -> ChosenGuide:
    """Return the guide that a passport names, as it is installed here."""
    registry = find_plugins(plugins, running=True)
    if given is None and passport.plugin == YOURS:
        raise RequestError(f"{passport.guide} was a guide of your own; give it once more: guide=...")
    try:
        (found,) = choose_guides(registry, (passport.guide if given is None else given,))
    except RequestError as error:
        raise RequestError(f"the guide {passport.guide} of {passport.plugin} is not known here: {error.text}") from None
    return replace(found, label=passport.guide)
