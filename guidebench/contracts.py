"""What plugins declare: guides, problems, metrics and report sections.

These are plain, frozen records.  Declaring one does no work and imports nothing heavy, so a plugin
module that builds its guide inside ``build`` costs nothing until somebody asks for that guide.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from guidebench.errors import PluginError

if TYPE_CHECKING:
    from guidebench.config import RunConfig
    from guidebench.metrics.evidence import Evidence
    from guidebench.report.page import Page

Bound = Literal["elbo", "augmented", "none"]
Family = Literal["none", "diagonal", "affine"]
Direction = Literal["higher", "lower", "nominal", "none"]

#: Names of sets of guides on the command line.
RESERVED_NAMES = frozenset({"all", "default", "reference"})

#: Filled in by the engine when a guide's ``build`` names it; never an option of the user's.
RESERVED_OPTIONS = frozenset({"init_loc_fn"})

_NAME = re.compile(r"[a-z][a-z0-9_.-]*(/[A-Za-z0-9_.-]+)?")


def _check_name(kind: str, name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PluginError(
            f"{kind} name {name!r} is not allowed: use a lower-case letter, then lower-case "
            "letters, digits, '_', '-' or '.'"
        )


def _check_text(kind: str, name: str, **parts: object) -> None:
    for part, value in parts.items():
        if not isinstance(value, str):
            raise PluginError(f"{kind} {name!r}: {part} must be text, not {type(value).__name__}")


def _check_names(kind: str, name: str, part: str, value: object) -> None:
    if not isinstance(value, tuple) or not all(isinstance(one, str) for one in value):
        raise PluginError(f"{kind} {name!r}: {part} must be a tuple of strings, not {value!r}")


def _check_callable(kind: str, name: str, part: str, value: object) -> None:
    if not callable(value):
        raise PluginError(f"{kind} {name!r}: {part} must be callable, not {type(value).__name__}")


@dataclass(frozen=True, kw_only=True)
class Task:
    r"""What a guide that finds its parameters itself is given: one posterior, from one starting point.

    The latent sites are shown as the guide is shown them, in unconstrained coordinates z: a real array per
    site, in a dict.  For a family that may be standardised, z is standardised; otherwise it is NumPyro's
    unconstrained image of the model's own sites.

    Parameters
    ----------
    log_density : callable
        ``log_density(sites)`` returns the log density of the posterior over z, up to the evidence, in nats:

        .. math:: \log \pi(z) = \log p(y, \theta(z)) + \log |d\theta / dz|

        It is pure JAX: it can be differentiated, compiled and mapped.  All starts of a fit share one function.
    log_weight : callable
        ``log_weight(params, key)`` returns :math:`\log \pi(z) - \log q(z)` of one draw of the guide with
        these parameters; its mean over keys is the ELBO.  It is pure JAX and shared, too.
    start : mapping of str to array
        The starting point z, by site.
    params : mapping
        The parameters with which the guide begins, by name, in their constrained space.  A
        :class:`Solution` has the same names and shapes.  A flat vector of an
        :class:`~numpyro.infer.autoguide.AutoContinuous` holds the sites in the order of their names, as
        :func:`jax.flatten_util.ravel_pytree` lays out `start`.
    key : PRNG key
        For whatever is random, one per start.
    """

    log_density: Callable[[Mapping[str, Any]], Any]
    log_weight: Callable[[Mapping[str, Any], Any], Any]
    start: Mapping[str, Any]
    params: Mapping[str, Any]
    key: Any


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The parameters that a guide has found for itself.

    Parameters
    ----------
    params : mapping
        Those of the guide that ``build`` returns, with the names and shapes of :attr:`Task.params`, in their
        constrained space.
    converged : bool
        Whether the method counts itself as finished; where not, no word of the report calls it converged.
    message : str
        What a reader should know of how it went.
    losses : array, optional
        The negative ELBO after each step, in nats, where the method knows it: a curve for the report.
    steps : int, optional
        Steps taken; the length of `losses` by default.
    """

    params: Mapping[str, Any]
    converged: bool
    message: str = ""
    losses: Any = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.params, Mapping):
            raise PluginError(f"solution: params must be a mapping by name, not {type(self.params).__name__}")
        if not isinstance(self.message, str):
            raise PluginError(f"solution: message must be text, not {type(self.message).__name__}")


@dataclass(frozen=True, kw_only=True)
class Guide:
    """A variational family that guidebench can train on a model.

    Parameters
    ----------
    name : str
        Public name, unique among all plugins.
    build : callable
        ``build(model, *, option=default, ...)`` returns a NumPyro guide for `model`.  Its
        keyword-only parameters *are* the guide's options (``-g name:option=value``); each needs a
        default.  A parameter called ``init_loc_fn`` is filled in by the engine with the common
        starting point (a NumPyro initialisation strategy); an
        :class:`~numpyro.infer.autoguide.AutoGuide` receives the start without asking.
        ``build`` runs inside JAX transformations, once per trace, so it must not keep state.
    summary : str
        One line for ``guidebench list``.
    family : {"none", "diagonal", "affine"}
        By which maps of the unconstrained space the guide may be standardised: coordinate-wise scaling
        and shifting, any invertible affine map, or none of them.  They should leave the family unchanged,
        so that the comparison stays fair; for a flow an affine map is one more, fixed, layer.
    bound : {"elbo", "augmented", "none"}
        Whether the guide's ELBO is a lower bound on log p(y) over the model's own latents, over an
        augmented space, or no bound at all (a point estimate).
    objective : callable, optional
        ``objective(num_particles)`` returns the :class:`numpyro.infer.elbo.ELBO` to train with
        unless the user names another; the score is guidebench's own ELBO in either case.
    draw : callable, optional
        ``draw(guide, params)`` returns the guide to draw from and to score, where that is not the
        trained one (AutoLaplaceApproximation trains a point and draws from a Gaussian).
    fit : callable, optional
        ``fit(task, *, option=default, ...)`` finds the guide's parameters by a method of its own, in place
        of stochastic variational inference: it takes a :class:`Task` and returns a :class:`Solution`, once
        for every starting point.  Its keyword-only parameters are options of the guide as well; one
        that ``build`` has, too, is given to both.  The first line of its docstring says in the report how
        the guide is fitted.  Building, drawing and scoring are as for any other guide.
    supports : callable, optional
        ``supports(structure)`` returns a reason why the guide cannot be used on a model with that
        :class:`~guidebench.inference.structure.ModelStructure`, or ``None``.
    aliases : tuple of str
        Further names that are accepted, the NumPyro class name for one.
    default : bool
        Part of the default set; honoured for guidebench's own guides only.
    cite : str
        Where the method was published, with a DOI where there is one.
    """

    name: str
    build: Callable[..., Callable[..., Any]]
    summary: str = ""
    family: Family = "none"
    bound: Bound = "elbo"
    objective: Callable[[int], Any] | None = None
    draw: Callable[[Any, Mapping[str, Any]], Callable[..., Any]] | None = None
    fit: Callable[..., Solution] | None = None
    supports: Callable[[Any], str | None] | None = None
    aliases: tuple[str, ...] = ()
    default: bool = False
    cite: str = ""

    def __post_init__(self) -> None:
        _check_name("guide", self.name)
        _check_text("guide", self.name, summary=self.summary, cite=self.cite)
        _check_names("guide", self.name, "aliases", self.aliases)
        for name in RESERVED_NAMES.intersection((self.name, *self.aliases)):
            raise PluginError(f"guide {self.name!r}: {name!r} is the name of a set of guides; choose another")
        _check_callable("guide", self.name, "build", self.build)
        if self.family not in ("none", "diagonal", "affine"):
            raise PluginError(f"guide {self.name!r}: family {self.family!r} is not one of none, diagonal, affine")
        if self.bound not in ("elbo", "augmented", "none"):
            raise PluginError(f"guide {self.name!r}: bound {self.bound!r} is not one of elbo, augmented, none")
        for part in ("objective", "draw", "fit", "supports"):
            if getattr(self, part) is not None:
                _check_callable("guide", self.name, part, getattr(self, part))
        self.options()

    def options(self) -> dict[str, Any]:
        """Return the user's options and their defaults, read from the signatures of ``build`` and ``fit``."""
        options: dict[str, Any] = {}
        parts: tuple[Literal["build", "fit"], ...] = ("build", "fit")
        for part in parts:
            for name, default in self._options_of(part).items():
                if name in options and options[name] != default:
                    raise PluginError(
                        f"guide {self.name!r}: option {name!r} is {options[name]!r} by default in build and "
                        f"{default!r} in fit; give it one default, or two names"
                    )
                options[name] = default
        return options

    def options_for(self, part: Literal["build", "fit"], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the options that are given which ``build`` or ``fit`` has."""
        own = self._options_of(part)
        return {name: value for name, value in given.items() if name in own}

    def wants_start(self) -> bool:
        """Return whether ``build`` asks for the common starting point."""
        return any(parameter.name == "init_loc_fn" for parameter in self._keyword_only("build"))

    def method(self) -> str:
        """Return how the guide finds its parameters itself, or nothing where it is trained."""
        if self.fit is None:
            return ""
        named = self.fit.func if isinstance(self.fit, partial) else self.fit
        first = (inspect.getdoc(named) or "").split("\n\n")[0]
        return " ".join(first.split()).rstrip(".") or "a method of its own"

    def _options_of(self, part: Literal["build", "fit"]) -> dict[str, Any]:
        options = {}
        for parameter in self._keyword_only(part):
            if part == "build" and parameter.name in RESERVED_OPTIONS:
                continue
            if parameter.default is inspect.Parameter.empty:
                raise PluginError(f"guide {self.name!r}: option {parameter.name!r} of {part} needs a default")
            options[parameter.name] = parameter.default
        return options

    def _keyword_only(self, part: Literal["build", "fit"]) -> list[inspect.Parameter]:
        function = self.build if part == "build" else self.fit
        if function is None:
            return []
        first = "model" if part == "build" else "task"
        parameters = list(inspect.signature(function).parameters.values())
        if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
            raise PluginError(f"guide {self.name!r}: {part} must take the {first} as its first argument")
        gathered = [str(p) for p in parameters[1:] if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        if gathered:
            raise PluginError(
                f"guide {self.name!r}: {part} must name its options, each with a default, in place of {gathered[0]}"
            )
        extra = [p.name for p in parameters[1:] if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        if extra:
            raise PluginError(
                f"guide {self.name!r}: {part} takes options as keyword-only arguments; "
                f"put a '*' before {', '.join(extra)}"
            )
        return parameters[1:]


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
        _check_text("reference draws", self.label, label=self.label)


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
        A :class:`~guidebench.errors.RequestError` says what the user has to do about it.
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
    log_evidence: float | None = None
    notes: tuple[str, ...] = ()
    summary: str = ""
    cite: str = ""

    def __post_init__(self) -> None:
        _check_name("problem", self.name)
        _check_text("problem", self.name, summary=self.summary, cite=self.cite)
        _check_names("problem", self.name, "observed", self.observed)
        _check_names("problem", self.name, "notes", self.notes)
        _check_callable("problem", self.name, "model", self.model)
        if self.model is not_loaded and self.load is None:
            raise PluginError(f"problem {self.name!r} needs a model, or a function load that brings it")
        for part in ("reference", "reference_draws", "load"):
            if getattr(self, part) is not None:
                _check_callable("problem", self.name, part, getattr(self, part))

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


@dataclass(frozen=True, kw_only=True)
class MetricValue:
    """One number: of which variable, and with which Monte Carlo standard error."""

    value: float
    mcse: float | None = None
    variable: str = ""
    metric: str = ""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number, or several, computed from the draws of one fit.

    Parameters
    ----------
    name : str
        Public name; what ``metrics.csv`` calls it.
    compute : callable
        ``compute(evidence)`` takes an :class:`~guidebench.metrics.evidence.Evidence` and yields
        :class:`MetricValue` records; it must be pure.  A record's ``metric`` defaults to `name`.
    needs : tuple of str
        Parts of the evidence it cannot do without: ``"density"`` (not a point estimate), ``"weights"``
        (a density over the model's own latents), ``"modes"`` (several modes), ``"heldout"``,
        ``"reference"``, ``"reference spread"`` (both a reference and a density); where one is missing
        the metric is left out, which the tables show as an empty cell.
    better : {"higher", "lower", "nominal", "none"}
        Which direction is better; "nominal" for a coverage, best at its nominal value.
    unit : str
        Unit of the value ("nat", "sd of the site", "probability").
    summary, cite : str
        One line, and the source.
    """

    name: str
    compute: Callable[[Evidence], Iterable[MetricValue]]
    needs: tuple[str, ...] = ()
    better: Direction = "none"
    unit: str = ""
    summary: str = ""
    cite: str = ""

    def __post_init__(self) -> None:
        _check_name("metric", self.name)
        _check_text("metric", self.name, unit=self.unit, summary=self.summary, cite=self.cite)
        _check_names("metric", self.name, "needs", self.needs)
        if self.better not in ("higher", "lower", "nominal", "none"):
            raise PluginError(
                f"metric {self.name!r}: better {self.better!r} is not one of higher, lower, nominal, none"
            )
        _check_callable("metric", self.name, "compute", self.compute)


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report.

    Parameters
    ----------
    name : str
        Public name; the anchor in the page.
    title : str
        The heading.
    build : callable
        ``build(page)`` takes a :class:`~guidebench.report.page.Page` (results and a place for
        figures) and returns a :class:`~guidebench.report.page.Block` or ``None`` where there is
        nothing to show.
    order : int
        Position in the report: sections appear in increasing order.
    summary : str
        One line for ``guidebench list``.
    """

    name: str
    title: str
    build: Callable[[Page], Any]
    order: int = 500
    summary: str = ""

    def __post_init__(self) -> None:
        _check_name("section", self.name)
        _check_text("section", self.name, title=self.title, summary=self.summary)
        if not isinstance(self.order, int):
            raise PluginError(f"section {self.name!r}: order must be a whole number, not {self.order!r}")
        _check_callable("section", self.name, "build", self.build)
