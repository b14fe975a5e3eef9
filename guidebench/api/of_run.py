"""A run from its folder put to use: its model found again, its draws taken to new rows, its guides held to them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from guidebench.analysis.recommendation import recommend
from guidebench.analysis.usable import usable
from guidebench.api.comparison import Comparison, load
from guidebench.api.trained import Sources, Trained, trained_of
from guidebench.config import RunConfig, make_config
from guidebench.config.errors import RequestError, opt
from guidebench.contracts import Problem
from guidebench.plugins.registry import Registry
from guidebench.request.find_plugins import find_plugins
from guidebench.request.loading.files import read_data
from guidebench.request.loading.matching import Matched, match, match_test, parameters_of
from guidebench.request.selection import choose_guides, choose_problems
from guidebench.results import LENDERS, Fit, ProblemRecord, Verdict
from guidebench.results import inference_data as idata
from guidebench.results.guide_state import GROUP, from_dataset

if TYPE_CHECKING:
    from guidebench.engine.predicting import Predicted


class Usable(NamedTuple):
    """Draws to predict with: by latent site, whose they are, and what to know of them."""

    latents: Mapping[str, np.ndarray]
    label: str
    warning: str = ""
    guide: str = ""


@dataclass(frozen=True)
class OfRun:
    """One problem of a run that was read from its folder.

    Attributes
    ----------
    comparison : Comparison
        The results.
    record : ProblemRecord
        What is known of the problem.
    config : RunConfig
        The settings of the run.
    """

    comparison: Comparison
    record: ProblemRecord
    config: RunConfig

    @classmethod
    def read(cls, folder: Path, problem: str | None = None) -> OfRun:
        """Read a run; `problem` names one of several.

        Raises
        ------
        ResultsError
            Where the folder holds no results.
        RequestError
            Where the problem is not one of them.
        """
        comparison = load(folder)
        names = [one.name for one in comparison.problems]
        if problem is None and len(names) != 1:
            raise RequestError(f"there are several problems; name one of {', '.join(names)}", option="problem")
        if problem is not None and problem not in names:
            raise RequestError(f"the run has none of that name; name one of {', '.join(names)}", option="problem")
        record = next(one for one in comparison.problems if problem in (None, one.name))
        return cls(comparison, record, make_config({}, folder))

    @cached_property
    def _registry(self) -> Registry:
        return find_plugins(self.config.plugins, no_plugins=self.config.no_plugins, running=True)

    @cached_property
    def problem(self) -> Problem:
        """The model with the data that it was trained on.

        Raises
        ------
        RequestError
            Where they came from Python, or cannot be found any more.
        """
        if any(name.endswith(" (from Python)") for name in self.config.problems):
            raise RequestError(
                f"the model of {self.record.name} came from Python; there, gb.load_guide(FILE, model) loads a guide of "
                "the run, and its predict and recheck do the same"
            )
        found = choose_problems(self._registry, self.config.problems, self.config)
        return next(one for one in found if one.name == self.record.name)

    @property
    def fits(self) -> tuple[Fit, ...]:
        """The fits of the problem."""
        return self.comparison.of(self.record.name)

    def fit(self, guide: str) -> Fit:
        """Return the fit of a guide by its name.

        Raises
        ------
        RequestError
            Where there is none, or it has no draws.
        """
        found = next((one for one in self.fits if one.guide == guide), None)
        if found is None:
            known = ", ".join(one.guide for one in self.fits)
            raise RequestError(f"the run has no such guide; its guides are {known}", option="guide", value=guide)
        if found.inference_data is None:
            raise RequestError(f"it has no draws: {found.reason}", option="guide", value=guide)
        return found

    def best(self) -> Fit:
        """Return the fit of the guide that the run recommends, by whose draws or whose chains' they are.

        Raises
        ------
        RequestError
            Where it recommends none.
        """
        found = usable(self.fits, self.record, None, self.config.seed)
        guide = None if found is None else _posterior(found).attrs.get("guide")
        if guide is None:
            raise RequestError(f"{recommend(self.fits, self.record)} Name a guide to take it all the same: -g GUIDE")
        return self.fit(str(guide))

    def draws(self, guide: str | None = None) -> Usable:
        """Return the draws that the run can stand behind, or those of a named guide, repaired as its verdict says.

        Raises
        ------
        RequestError
            Where there are none.
        """
        reference = self.comparison.references.get(self.record.name) if guide is None else None
        fits = self.fits if guide is None else (self.fit(guide),)
        found = usable(fits, self.record, reference, self.config.seed)
        if found is not None:
            about = _posterior(found).attrs
            of = str(about.get("guide", ""))
            labels: dict[str, str] = {
                "guide": of,
                "chains": f"the chains that began at {of}",
                "weights": f"{of}, with its weights",
                **{str(name): called for name, called in LENDERS.items()},
                "reference": f"the reference ({about.get('reference', '')})",
            }
            label = labels[str(about["source"])]
            return Usable(self._latents(found), label, guide=of)
        if guide is None:
            raise RequestError(f"{recommend(fits, self.record)} Name a guide to take it all the same: -g GUIDE")
        fit = fits[0]
        return Usable(self._latents(fit.inference_data), guide, f"{guide} is {fit.verdict}: {fit.reason}", guide)

    def _latents(self, data: Any) -> dict[str, np.ndarray]:
        posterior = _posterior(data)
        return {
            name: (array := posterior[name].to_numpy()).reshape(-1, *array.shape[2:]) for name in self.record.latents
        }

    def new_values(self, file: str) -> dict[str, Any]:
        """Return the arguments of the model with the rows of a file; observations are optional.

        Raises
        ------
        RequestError
            Where a column is missing, or has the wrong shape.
        """
        problem, data = self.problem, read_data(file)
        trained = problem.arguments()
        observed = self._observed
        count = next((len(trained[name]) for name in observed if np.ndim(trained[name])), None)
        rows = [
            name
            for name, value in trained.items()
            if name not in observed and not isinstance(value, str) and np.shape(value)[:1] == (count,)
        ]
        matched = self._matched(trained)
        found = match_test(matched, data, rows, wide=self.config.x64)
        return {**trained, **dict.fromkeys(name for name in observed if name not in found), **found}

    @cached_property
    def _observed(self) -> tuple[str, ...]:
        from guidebench.engine.minibatches import inspect_problem

        return inspect_problem(self.problem, self.config.minibatch).structure.observed_arguments

    def _matched(self, trained: Mapping[str, Any]) -> Matched:
        """Return the training arguments with the levels of what was text."""
        given = {name: value for name, value in trained.items() if value is not None}
        if self.config.data is None:
            return Matched(values=given)
        model = self.problem.model
        known = parameters_of(model, self.record.name)
        static = {key: value for key, value in self.config.static.items() if key in inspect.signature(model).parameters}
        read = match(
            known, read_data(self.config.data), self.record.name, static, self.config.minibatch, wide=self.config.x64
        )
        return replace(read, values=given)

    def predict(self, draws: Usable, file: str, *, most: int, seed: int) -> Predicted:
        """Return what these draws say of the rows of a file; at most so many of them are used, evenly spread."""
        from guidebench.engine.minibatches import inspect_problem
        from guidebench.engine.predicting import predict

        values = self.new_values(file)
        inspected = inspect_problem(self.problem, self.config.minibatch)
        count = len(next(iter(draws.latents.values())))
        chosen = np.linspace(0, count - 1, min(count, most)).round().astype(int)
        latents = {name: value[chosen] for name, value in draws.latents.items()}
        model = inspected.problem.model
        return predict(
            model, inspected.structure, values, latents, fixed=self._fixed(draws, inspected.structure.params), seed=seed
        )

    def _fixed(self, draws: Usable, names: tuple[str, ...]) -> dict[str, Any]:
        """Return what the guide made of the model's own parameters."""
        if not names or not draws.guide:
            return {}
        dataset = idata.group(self.fit(draws.guide).inference_data, GROUP)
        params = {} if dataset is None else from_dataset(dataset).params
        return {name: params[name] for name in names if name in params}

    def trained(self, guide: str | None = None) -> Trained:
        """Return the trained guide of that name, or the one that the run recommends."""
        fit = self.best() if guide is None else self.fit(guide)
        chosen = {one.label: one for one in choose_guides(self._registry, self.config.guides)}
        if fit.guide not in chosen:
            raise RequestError("it came from Python or a plugin that is not installed", option="guide", value=fit.guide)
        sources = Sources({self.record.name: self.problem}, chosen, self.config)
        return trained_of(fit, replace(self.comparison, sources=sources))

    def verdict(self, guide: str) -> Verdict:
        """Return the verdict on a guide."""
        return self.fit(guide).verdict


def _posterior(data: Any) -> Any:
    found = idata.group(data, "posterior")
    if found is None:
        raise RequestError(f"it has no draws that could be used; {opt('guide')} names another")
    return found
