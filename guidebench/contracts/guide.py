"""A guide: a variational family, its options, and how it is trained."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from guidebench.config.errors import PluginError
from guidebench.contracts.method import Solution
from guidebench.contracts.names import check_callable, check_name, check_names, check_shown, check_text

Bound = Literal["elbo", "augmented", "none"]
Family = Literal["none", "diagonal", "affine"]

#: Names of sets of guides on the command line.
RESERVED_NAMES = frozenset({"all", "default", "reference"})

#: Filled in by the engine when a guide's ``build`` names it; never an option of the user's.
RESERVED_OPTIONS = frozenset({"init_loc_fn"})


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
        check_name("guide", self.name)
        check_text("guide", self.name, summary=self.summary, cite=self.cite)
        check_names("guide", self.name, "aliases", self.aliases)
        for name in RESERVED_NAMES.intersection((self.name, *self.aliases)):
            raise PluginError(f"guide {self.name!r}: {name!r} is the name of a set of guides; choose another")
        check_callable("guide", self.name, "build", self.build)
        if self.family not in ("none", "diagonal", "affine"):
            raise PluginError(f"guide {self.name!r}: family {self.family!r} is not one of none, diagonal, affine")
        if self.bound not in ("elbo", "augmented", "none"):
            raise PluginError(f"guide {self.name!r}: bound {self.bound!r} is not one of elbo, augmented, none")
        for part in ("objective", "draw", "fit", "supports"):
            if getattr(self, part) is not None:
                check_callable("guide", self.name, part, getattr(self, part))
        for name, default in self.options().items():
            check_shown("guide", self.name, f"the default of option {name!r}", default)

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
