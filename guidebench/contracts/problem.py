"""A problem: a model with its data, and what is known of its posterior."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from guidebench.config.errors import PluginError
from guidebench.contracts.names import check_callable, check_name, check_names, check_text, read_coords

if TYPE_CHECKING:
    from guidebench.config import RunConfig


@dataclass(frozen=True, kw_only=True)
class ReferenceDraws:
    """Draws from a posterior that somebody else's sampler made.

    They are taken for the truth only where they pass the checks that those of NUTS have to pass.

    Parameters
    ----------
    chains : mapping
        Draws by latent site, each of shape ``(chains, draws, ...)``.
    divergences : int, optional
        How many transitions diverged, where that is known.
    label : str
        Where they come from, in a word or two.
    """

    chains: Mapping[str, Any]
    divergences: int | None = None
    label: str = "reference draws"

    def __post_init__(self) -> None:
        if not isinstance(self.chains, Mapping):
            raise PluginError(f"reference draws: chains must be a mapping by site, not {type(self.chains).__name__}")
        check_text("reference draws", self.label, label=self.label)


def not_loaded(*_: Any, **__: Any) -> None:
    """Stand for the model of a problem that has not been loaded."""
    raise PluginError("the problem has to be loaded before its model can run")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A model with its data and, where there are any, held-out data and known answers.

    Parameters
    ----------
    name : str
        Public name, unique among all plugins.
    model : callable
        A NumPyro model; only a problem that is yet to be loaded does without.
    args, kwargs
        The model's arguments for training, observations included.
    predict : mapping, optional
        Arguments, by name, that replace the training ones when predicting (a grid, say).
        Observed arguments are unset by the engine.
    heldout : mapping, optional
        Arguments, by name, of data that take no part in training: the observed ones, and whatever
        else differs from `predict` (where given) or from the training arguments.
    observed : tuple of str, optional
        Which arguments hold observations; without it they are found by tracing.
    truth : mapping, optional
        True values of latent sites, where the data were simulated.
    reference : callable, optional
        ``reference(seed, count)`` returns independent draws from the exact posterior by latent site,
        each of shape ``(count, ...)``, where they can be had; without it, `reference_draws` or NUTS, where
        they pass their checks, take its place.
    reference_draws : callable, optional
        ``reference_draws()`` returns :class:`ReferenceDraws`, made earlier by some sampler.
    load : callable, optional
        ``load(config)`` returns the whole problem, under the same name, where its data have to be read
        first: it is called for the problems of a run only, with its :class:`~guidebench.config.RunConfig`.
        A :class:`~guidebench.config.errors.RequestError` says what the user has to do about it.
    coords : mapping, optional
        Names of levels by dimension, as ArviZ has them: ``{"school": ["Choate", "Deerfield", ...]}``.  A dimension is
        called as the plate it is of, any other axis ``SITE_dim_0``; the only axis of a site by the site, too.
    notes : tuple of str
        What a reader of the report should know of the data.
    log_evidence : float, optional
        The exact log p(y) in nats, where known.
    summary, cite : str
        One line, and the source.
    """

    name: str
    model: Callable[..., Any] = not_loaded
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    predict: Mapping[str, Any] | None = None
    heldout: Mapping[str, Any] | None = None
    observed: tuple[str, ...] = ()
    truth: Mapping[str, Any] | None = None
    reference: Callable[[int, int], Mapping[str, Any]] | None = None
    reference_draws: Callable[[], ReferenceDraws] | None = None
    load: Callable[[RunConfig], Problem] | None = None
    coords: Mapping[str, Sequence[Any]] | None = None
    log_evidence: float | None = None
    notes: tuple[str, ...] = ()
    summary: str = ""
    cite: str = ""

    def __post_init__(self) -> None:
        check_name("problem", self.name)
        check_text("problem", self.name, summary=self.summary, cite=self.cite)
        check_names("problem", self.name, "observed", self.observed)
        check_names("problem", self.name, "notes", self.notes)
        object.__setattr__(self, "coords", read_coords(self.name, self.coords))
        check_callable("problem", self.name, "model", self.model)
        if self.model is not_loaded and self.load is None:
            raise PluginError(f"problem {self.name!r} needs a model, or a function load that brings it")
        for part in ("reference", "reference_draws", "load"):
            if getattr(self, part) is not None:
                check_callable("problem", self.name, part, getattr(self, part))

    def arguments(self) -> dict[str, Any]:
        """Return the training arguments by name, with ``*args`` and ``**kwargs`` resolved."""
        try:
            bound = inspect.signature(self.model).bind(*self.args, **self.kwargs)
        except TypeError as error:
            raise PluginError(f"problem {self.name!r}: its arguments do not fit its model: {error}") from None
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        for parameter in bound.signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                arguments |= arguments.pop(parameter.name)
        return arguments


def with_arguments(problem: Problem, changes: Mapping[str, Any]) -> Problem:
    """Return `problem` with other values of some arguments; what its model has no name for goes to its ``**kwargs``."""
    bound = inspect.signature(problem.model).bind_partial(*problem.args, **problem.kwargs)
    bound.apply_defaults()
    parameters = bound.signature.parameters
    bound.arguments.update({name: value for name, value in changes.items() if name in parameters})
    gathered = {name: value for name, value in changes.items() if name not in parameters}
    return replace(problem, args=bound.args, kwargs={**bound.kwargs, **gathered})
