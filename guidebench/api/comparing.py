"""The Python face: compare guides on a model from a script or a notebook."""

from __future__ import annotations

import difflib
import inspect
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from guidebench.api.comparison import Comparison
from guidebench.api.trained import Sources
from guidebench.config import OPTIONS, RunConfig, make_config
from guidebench.config.errors import GuidebenchError, RequestError, in_python
from guidebench.contracts import Problem
from guidebench.engine.progress import watch
from guidebench.inference.device import threads
from guidebench.plugins.registry import Registered, Registry
from guidebench.request.find_plugins import find_plugins
from guidebench.request.loading.problem import adapted, check_names, name_of
from guidebench.request.own_guides import YOURS
from guidebench.request.selection import ChosenGuide, choose_guides, loaded

#: Parts of a problem that are values by name; what is held out may be a share, too.
MAPPINGS = ("predict", "heldout", "truth", "coords")

#: The guides that are compared unless others are named.
DEFAULT = ("default",)


def compare(
    model: Callable[..., Any] | Problem | str,
    *args: Any,
    guides: Any = DEFAULT,
    predict: Mapping[str, Any] | None = None,
    heldout: Mapping[str, Any] | float | None = None,
    observed: str | Sequence[str] | None = None,
    truth: Mapping[str, Any] | None = None,
    coords: Mapping[str, Sequence[Any]] | None = None,
    name: str | None = None,
    minibatch: Mapping[str, int] | None = None,
    recipe: str | None = None,
    optimizer: str | None = None,
    learning_rate: float | None = None,
    schedule: str | None = None,
    clip_norm: float | None = None,
    clip_share: float | None = None,
    validation: float | None = None,
    patience: int | None = None,
    steps: int | None = None,
    restarts: int | None = None,
    particles: int | None = None,
    loss: str | None = None,
    init: str | None = None,
    draws: int | None = None,
    seed: int | None = None,
    reference: str | Path | Mapping[str, Any] | None = None,
    simulations: int | None = None,
    posteriordb: str | Path | None = None,
    x64: bool | None = None,
    budget: int | str | None = None,
    time_limit: float | None = None,
    plugins: str | ModuleType | Sequence[str | ModuleType] = (),
    no_plugins: bool | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    isolate: bool | None = None,
    memory_limit: str | None = None,
    executor: Any = None,
    progress: bool | None = None,
    **kwargs: Any,
) -> Comparison:
    """Train guides on one model and compare them.

    Parameters
    ----------
    model : callable, Problem or str
        A NumPyro model; or a :class:`guidebench.Problem`, which holds a model with its arguments (and is the
        way to give a model an argument that is called like an option of this function); or the name of a
        problem that a plugin brings.
    *args, **kwargs
        The model's training arguments, observations included.
    guides : str, Guide, class, callable, or a sequence of these
        Names with options, as for ``guidebench run -g``; declarations; NumPyro's ``AutoGuide`` classes,
        options in a :func:`functools.partial`; or hand-written guides: functions with ``numpyro.param`` and
        ``numpyro.sample``, which take any of the model's arguments by name.
    predict : mapping, optional
        Arguments, by name, that replace the training ones when predicting.
    heldout : mapping or float, optional
        Arguments, by name, of data that take no part in training; or the share of the rows of the data to
        hold out, chosen at random.
    observed : str or sequence of str, optional
        The arguments that hold observations, where they cannot be found by tracing.
    truth : mapping, optional
        True values of latent sites, where the data were simulated.
    coords : mapping, optional
        Names of levels by plate, as ArviZ has them: ``{"school": ["Choate", "Deerfield"]}``; see :class:`Problem`.
    name : str, optional
        What the problem is called; the model's name by default.
    minibatch : mapping, optional
        The argument that the model takes as ``subsample_size``, and the rows of each minibatch:
        ``{"batch_size": 256}``.
    recipe, optimizer, learning_rate, schedule, clip_norm, clip_share, validation, patience, steps, restarts, \
particles, loss, init, draws, seed
        As the options of ``guidebench run``; ``None`` takes the default.
    reference : str, Path or mapping, optional
        What the guides are measured against: as the option of ``guidebench run``, or draws by latent
        site, each of shape ``(draws, ...)`` or, to have their convergence checked, ``(chains, draws, ...)``.
    simulations : int, optional
        Data sets to draw from the model and to fit every guide to, for the true coverage of its intervals.
    posteriordb : str or Path, optional
        Folder of the posterior database, for a problem ``"posteriordb/NAME"`` of guidebench-posteriordb.
    x64 : bool, optional
        Whether to compute in float64 throughout; outside of this call nothing changes.
    budget : int or str, optional
        Gradients that a problem may cost, or seconds: ``200_000`` or ``"60s"``.  What is left out for it is said in the
        message of each fit, and in the notes of the problem.
    time_limit : float, optional
        Seconds after which a guide is given up, and a metric of a plugin's; the others go on.
    plugins : str, module, or a sequence of these
        Plugins that are not installed: modules with hooks, ``"FILE.py"`` or ``"PKG.MODULE"``.
    no_plugins : bool, optional
        Import no installed plugin but guidebench's own.
    jobs : int, optional
        Worker processes to run fits in, side by side.
    dask : str, optional
        Where to run on a Dask cluster: the address of its scheduler, or ``"local:N"`` for N workers on this machine.
    isolate : bool, optional
        Whether every guide gets a worker process of its own, which no other guide has been in.
    memory_limit : str, optional
        Memory that a worker process may take, as ``"4G"``; one that takes more is ended.
    executor : optional
        A ``distributed.Client`` or any ``concurrent.futures.Executor`` to run fits on, in place of `jobs` and `dask`.
        It is left as it is.
    progress : bool, optional
        Whether to show how far the run is: by default in a notebook and on a terminal; with ``True``
        elsewhere, too, a line per fit on standard error.

    Returns
    -------
    Comparison
        Every fit, with its draws and scores.

    Warns
    -----
    UserWarning
        Before anything is trained: an improper posterior, an observed argument left out, a scale that may be negative,
        data that are not finite or whose columns differ wildly in size.  The same is in the notes of the problem.

    Raises
    ------
    RequestError
        Where the request is wrong; what goes wrong inside a fit is recorded in it instead.

    Examples
    --------
    >>> import guidebench as gb
    >>> comparison = gb.compare(model, x, y=y, guides=["auto_normal", my_guide])  # doctest: +SKIP
    >>> comparison.summary()  # doctest: +SKIP

    A model with an argument that is called like an option:

    >>> problem = gb.Problem(name="walk", model=walk, kwargs={"steps": 100, "y": y})  # doctest: +SKIP
    >>> gb.compare(problem, steps=2_000)  # doctest: +SKIP
    """
    options = _options(locals())
    parts = {
        "predict": predict,
        "heldout": heldout,
        "observed": observed,
        "truth": truth,
        "coords": coords,
        "name": name,
    }
    threads.enough()
    try:
        local = (plugins,) if isinstance(plugins, (str, ModuleType)) else tuple(plugins)
        registry = find_plugins(local, no_plugins=bool(no_plugins), running=True)
        specs = _listed(guides)
        problem = _problem(registry, model, args, kwargs, parts, options)
        chosen = _guides(registry, specs)
        settings = {
            **{one: options[one] for one in OPTIONS if one in options},
            "plugins": tuple(one if isinstance(one, str) else one.__name__ for one in local),
            "heldout": _share(heldout),
        }
        config = _config(problem, isinstance(model, str), specs, chosen, reference, settings)
        check_names((problem,), config)
        given = reference if isinstance(reference, Mapping) else None
        request = {"problems": (adapted(problem, config),), "guides": chosen, "config": config, "given": given}
        return _run(registry, request, progress, executor)
    except RequestError as error:
        raise error.spelled(in_python) from error.__cause__
    except GuidebenchError as error:
        raise RequestError(str(error)) from error.__cause__


def _options(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a call of :func:`compare` by name, ``None`` where one is as the signature has it."""
    found = [one for one in inspect.signature(compare).parameters.values() if one.kind is one.KEYWORD_ONLY]
    return {one.name: None if call[one.name] is one.default else call[one.name] for one in found}


def _run(registry: Registry, asked: Mapping[str, Any], progress: bool | None, executor: Any) -> Comparison:
    from guidebench.engine.executors.choose import chosen

    with chosen(asked["config"], executor) as running:  # workers, if any, have as much to import as this process
        from guidebench.engine import run
        from guidebench.engine.request import Request
        from guidebench.results.inference_data import arviz_meanwhile

        request = Request(name=asked["problems"][0].name, registry=registry, **asked)
        arviz_meanwhile()
        with watch(progress) as watcher:
            record = run.compare(request, progress=watcher, executor=running, warn=_warn)
    sources = Sources(
        {one.name: one for one in request.problems}, {one.label: one for one in request.guides}, request.config
    )
    return Comparison.from_record(record, registry.sections, sources)


def _warn(problem: str, text: str) -> None:
    """Warn of what should be known of a problem before anything is trained on it, where :func:`compare` was called."""
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_own(frame):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(f"{problem}: {text}", UserWarning, stacklevel=depth)


def _is_own(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in ("guidebench", "contextlib")


def _config(
    problem: Problem,
    named: bool,
    specs: Sequence[Any],
    chosen: Sequence[ChosenGuide],
    reference: str | Path | Mapping[str, Any] | None,
    settings: Mapping[str, Any],
) -> RunConfig:
    """Return the configuration, which names what was given as an object."""
    texts = all(isinstance(one, str) for one in specs)
    own = isinstance(reference, Mapping)
    config = make_config(
        {
            **settings,
            "problems": (problem.name if named else f"{problem.name} (from Python)",),
            "guides": tuple(specs) if texts else tuple(one.label for one in chosen),
            "observed": problem.observed,
            "reference": None if own else reference,
            "name": None,  # that of the problem, which is what the run is called
        }
    )
    return config.model_copy(update={"reference": "given"}) if own else config


# The problem


def _problem(
    registry: Registry,
    model: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    parts: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Problem:
    """Return what was asked for as a problem: the one given, or one made of a model and its arguments.

    `parts` are those of the problem, and `options` all options of :func:`compare`, ``None`` where not given.
    """
    for part in MAPPINGS:
        value = parts[part]
        if value is not None and not isinstance(value, Mapping) and part != "heldout":
            raise RequestError(f"{part}: should be a mapping of values by name, not {type(value).__name__}")
    changes = {
        **{part: parts[part] for part in MAPPINGS if isinstance(parts[part], Mapping)},
        **({"observed": _names("observed", parts["observed"])} if parts["observed"] is not None else {}),
        **({"name": parts["name"]} if parts["name"] is not None else {}),
    }
    if isinstance(model, (str, Problem)):
        if args or kwargs:
            what = f"problem {model if isinstance(model, str) else model.name!r}"
            unknown = "".join(f"; {key!r} is no option of compare" for key in list(kwargs)[:1])
            raise RequestError(f"{what} has its arguments already, so none can be given{unknown}")
        config = make_config({"posteriordb": options["posteriordb"]})
        declared = registry.problem(model) if isinstance(model, str) else Registered(model, "", YOURS)
        return replace(loaded(declared, config), **changes)
    if not callable(model):
        raise RequestError(
            f"model: should be a NumPyro model, a gb.Problem or the name of a problem, not {type(model).__name__}"
        )
    given = {**_sizes(model, args, kwargs, options["minibatch"]), **kwargs}
    _check_call(model, args, given, options)
    return Problem(model=model, args=args, kwargs=given, **{"name": name_of(model), **changes})


def _sizes(
    model: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], minibatch: Any
) -> dict[str, Any]:
    """Return the sizes of minibatches as arguments, where the model has no others for them."""
    if not isinstance(minibatch, Mapping):
        return {}
    positions = list(inspect.signature(model).parameters.values())[len(args) :]
    return {one.name: minibatch[one.name] for one in positions if one.name in minibatch and one.default is one.empty}


def _check_call(
    model: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """Refuse arguments that do not fit the model, or that may have been meant for it and were taken for options."""
    signature = inspect.signature(model)
    wrong = ""
    try:
        by_position = set(signature.bind_partial(*args).arguments)
        signature.bind(*args, **kwargs)
    except TypeError as error:
        by_position, wrong = set(), f"the arguments do not fit the model: {error}"
    for name in signature.parameters:
        missing = wrong.endswith(f"argument: {name!r}")
        if name in options and name not in by_position and (options[name] is not None or missing):
            raise RequestError(
                f"the model has an argument {name!r}, and so has compare: give the model as "
                f"gb.Problem(name=..., model=..., kwargs={{{name!r}: ...}}), or that argument by position"
            )
    if wrong:
        close = [found for key in kwargs for found in difflib.get_close_matches(key, sorted(options), n=1)]
        raise RequestError(wrong + (f"; did you mean the option {close[0]!r}?" if close else ""))


def _share(heldout: Any) -> Any:
    """Return what was asked for as the share to hold out, where it is no mapping."""
    return None if isinstance(heldout, Mapping) else heldout


def _names(option: str, given: str | Sequence[str] | None) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given or ())
    if not all(isinstance(one, str) for one in names):
        raise RequestError(f"{option}: should be a name or a list of names")
    return names


# The guides


def _guides(registry: Registry, specs: Sequence[Any]) -> tuple[ChosenGuide, ...]:
    chosen = choose_guides(registry, specs)
    if not chosen:
        raise RequestError("guides: none are given; leave it out for the default set")
    return chosen


def _listed(given: Any) -> list[Any]:
    """Return one guide, or several, as a list."""
    single = isinstance(given, str) or callable(given) or not isinstance(given, Iterable)
    return [given] if single else list(given)
