"""Problems from a model of the user's own and a file with data, and what a user changes about a bundled one."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from guidebench.config import RunConfig
from guidebench.config.errors import RequestError, opt
from guidebench.contracts import Problem, with_arguments
from guidebench.inference.arguments import Arguments, as_arrays
from guidebench.inference.structure import ModelStructure, inspect_model, sizes_of
from guidebench.inference.subsampling import Whole
from guidebench.plugins.isolation.time_limit import OutOfTime, TimeLimit, told
from guidebench.request.loading.files import Data, read_data
from guidebench.request.loading.matching import Matched, match, match_test, parameters_of
from guidebench.request.loading.objects import load_object
from guidebench.request.loading.rows import row_arguments, split_rows
from guidebench.request.loading.shapes import check_sites


def name_of(model: Callable[..., Any]) -> str:
    """Return what a problem is called after its model: the name of the function, in lower case and with dashes."""
    slug = re.sub(r"[^a-z0-9]+", "-", getattr(model, "__name__", "").lower())
    return slug.lstrip("-0123456789").rstrip("-") or "model"


@dataclass(frozen=True, kw_only=True)
class _Own:
    """A model of the user's own."""

    target: str
    model: Callable[..., Any]
    parameters: Mapping[str, inspect.Parameter]

    @property
    def place(self) -> str:
        return self.target.rpartition(":")[0]

    @property
    def title(self) -> str:
        return f"{self.target.rpartition(':')[2]} of {Path(self.place).name}"

    @property
    def long_name(self) -> str:
        """Its name with that of its file before it, for models of one name in different files."""
        stem = re.sub(r"[^a-z0-9]+", "-", Path(self.place).name.removesuffix(".py").lower()).strip("-")
        return f"{stem}-{name_of(self.model)}".lstrip("-0123456789")


def own_problems(targets: Sequence[str], config: RunConfig) -> tuple[Problem, ...]:
    """Return a problem for every ``FILE.py:MODEL`` and ``MODULE:MODEL``, all with the data of the configuration.

    Raises
    ------
    RequestError
        Where a model or a file cannot be had, or they do not fit each other.
    """
    own = []
    for target in targets:
        model = load_object(target)
        if not callable(model):
            raise RequestError(f"{target}: a model is a function, and this is of type {type(model).__name__}")
        own.append(_Own(target=target, model=model, parameters=parameters_of(model, target)))
    if config.data is None and config.test is not None:
        raise RequestError(f"{opt('test')} {config.test} goes with {opt('data')} FILE")
    if config.data is None and config.heldout is not None:
        raise RequestError(
            f"{opt('heldout')} {config.heldout:g} holds out rows of {opt('data')} FILE, which is not given"
        )
    data = None if config.data is None else read_data(config.data)
    test = None if config.test is None else read_data(config.test, "test")
    shared = {name for name, count in Counter(name_of(one.model) for one in own).items() if count > 1}
    return tuple(
        _problem(one, one.long_name if name_of(one.model) in shared else name_of(one.model), data, test, config)
        for one in own
    )


def _problem(own: _Own, name: str, data: Data | None, test: Data | None, config: RunConfig) -> Problem:
    static = {key: value for key, value in config.static.items() if key in own.parameters}
    later = set(config.minibatch)
    if data is None:
        _check_complete(own, {*static, *later})
        matched = Matched(values={})
        summary = own.title
    else:
        matched = match(own.parameters, data, own.target, static, later, wide=config.x64)
        rows = "" if data.rows is None else f", {data.rows:,} row{'s' * (data.rows != 1)}"
        summary = f"{own.title} on {data.file}{rows}"
    values = {**matched.values, **static}
    values |= {key: size for key, size in config.minibatch.items() if _is_open(own, key, values)}
    problem = Problem(
        name=name,
        model=own.model,
        kwargs=values,
        observed=tuple(key for key in config.observed if key in own.parameters),
        notes=matched.notes,
        summary=summary,
    )
    structure = _in_time(problem, own.target if data is None else f"{data.where} with {own.target}", config)
    _check_observed(problem)
    if structure is None:
        return problem
    if data is not None:
        levels = {name: found for name, found in matched.levels.items() if _is_coded(data, name, found)}
        problem = replace(problem, coords=_coords({**levels, **data.coords}, structure))
    if config.heldout is not None:
        count = None if data is None else data.rows
        return _held_out(problem, structure, config, count, {*matched.counts, *config.minibatch})
    if test is not None:
        assert data is not None
        return _tested(problem, structure, matched, data, test, wide=config.x64)
    return problem


def _is_coded(data: Data, name: str, levels: tuple[str, ...]) -> bool:
    """Return whether a plate that is called like a column of text can only be of its levels, in their order.

    Where every row has a level of its own, the plate may as well be of the rows.
    """
    return data.rows != len(levels) or tuple(data.values[name].tolist()) == levels


def _coords(levels: Mapping[str, tuple[str, ...]], structure: ModelStructure) -> dict[str, tuple[str, ...]]:
    """Return the names of levels in the data by the plates that are called like them, with an s or without."""
    sizes = sizes_of((*structure.latents, *structure.observed))
    return {dim: names for name, names in levels.items() for dim in (name, f"{name}s") if sizes.get(dim) == len(names)}


def _in_time(problem: Problem, who: str, config: RunConfig) -> ModelStructure | None:
    """Inspect a problem; one whose model does not return in time is left to the run, where it costs its own rows."""
    try:
        with TimeLimit(config.time_limit):
            return _inspect(problem, who)
    except OutOfTime:
        if config.heldout is None and config.test is None:
            return None
    assert config.time_limit is not None
    raise RequestError(f"{who}: to run the model {told(config.time_limit)}, so nothing can be held out")


def _is_open(own: _Own, name: str, values: Mapping[str, Any]) -> bool:
    parameter = own.parameters.get(name)
    return parameter is not None and parameter.default is inspect.Parameter.empty and name not in values


def _check_complete(own: _Own, given: Collection[str]) -> None:
    open_ = [name for name, one in own.parameters.items() if one.default is one.empty and name not in given]
    if open_:
        plural = "s" if len(open_) > 1 else ""
        raise RequestError(
            f"{own.target} cannot run without the argument{plural} {', '.join(open_)}; "
            f"give {opt('data')} FILE, or {opt('static')} {open_[0]}=VALUE"
        )


def _check_observed(problem: Problem) -> None:
    given = inspect.signature(problem.model).bind_partial(*problem.args, **problem.kwargs).arguments
    for name in problem.observed:
        if name not in given:
            raise RequestError(f"{problem.name} is given no {name}; it has its default", option="observed", value=name)
        if np.asarray(given[name]).dtype.kind not in "biuf":
            raise RequestError(
                f"the argument {name} of {problem.name} is {given[name]!r}, not data", option="observed", value=name
            )


def _inspect(problem: Problem, who: str) -> ModelStructure:
    values = as_arrays(problem.arguments())
    model = Whole(problem.model)
    shapes = [
        f"{name} {np.shape(value)}" if np.ndim(value) else f"{name} = {value!r}"
        for name, value in values.items()
        if not isinstance(value, dict)
    ]
    told = f"; the arguments are {', '.join(shapes) or 'none'}"
    arguments = Arguments.split(model, values)
    try:
        structure = inspect_model(model, arguments, problem.observed)
        check_sites(model, arguments, who)
    except RequestError as error:
        text = error.text.removeprefix(f"{who}: ")
        raise RequestError(f"{who}: {text}{told}") from error
    return structure


def adapted(problem: Problem, config: RunConfig) -> Problem:
    """Return a bundled problem with the arguments, observed arguments and held-out rows that the user asks for.

    Raises
    ------
    RequestError
        Where it cannot have them.
    """
    parameters = inspect.signature(problem.model).parameters
    changed = {name: value for name, value in config.static.items() if name in parameters}
    if changed:
        told = ", ".join(f"{name} = {value!r}" for name, value in changed.items())
        problem = _with_arguments(problem, changed, f"Set by --static: {told}.")
        _inspect(problem, f"{opt('static')}: {problem.name}")
    observed = tuple(name for name in config.observed if name in parameters)
    if observed:
        problem = replace(problem, observed=observed)
        _check_observed(problem)
    if config.heldout is None:
        return problem
    if problem.heldout is not None:
        raise RequestError(
            f"{problem.name} has held-out data of its own", option="heldout", value=f"{config.heldout:g}"
        )
    return _held_out(problem, _inspect(problem, problem.name), config, None, set(config.minibatch))


def check_names(problems: Sequence[Problem], config: RunConfig) -> None:
    """Refuse ``--static`` and ``--observed`` for what is an argument of none of the problems.

    Raises
    ------
    RequestError
        With the arguments that there are.
    """
    known = [name for problem in problems for name in inspect.signature(problem.model).parameters]
    for option, names in (("static", config.static), ("observed", config.observed)):
        for name in names:
            if name not in known:
                whose = problems[0].name if len(problems) == 1 else "these problems"
                arguments = ", ".join(dict.fromkeys(known)) or "none"
                raise RequestError(
                    f"{whose} has no argument {name!r}; the arguments are {arguments}", option=option, value=name
                )


def _with_arguments(problem: Problem, changes: Mapping[str, Any], note: str) -> Problem:
    """Return the problem with other arguments; what is known of its posterior belongs to the old ones."""
    if problem.reference is not None or problem.log_evidence is not None:
        note += " What is known of the exact posterior belongs to other data and is left out."
    return replace(
        with_arguments(problem, changes),
        reference=None,
        log_evidence=None,
        notes=(*problem.notes, note),
    )


def _held_out(
    problem: Problem, structure: ModelStructure, config: RunConfig, count: int | None, sizes: Collection[str]
) -> Problem:
    """Return the problem with a random share of its rows held out."""
    assert config.heldout is not None
    who = f"{opt('heldout')} {config.heldout:g}: {problem.name}"
    values = as_arrays(problem.arguments())
    if structure.joint:
        raise RequestError(
            f"{who}: the observations of {', '.join(structure.joint)} are not independent given the latents, so rows "
            f"cannot be held out at random; give {opt('test')} FILE and let the model condition on the training data"
        )
    observed = _observed_arrays(structure, values, who)
    count = _rows_of(observed, values, who) if count is None else count
    names = row_arguments(values, count)
    _check_sizes(values, count, sizes, who)
    size = max(round(config.heldout * count), 1)
    if count - size < 2:
        raise RequestError(f"{who} has {count} row(s); to hold {size} out leaves fewer than 2 to train on")
    rest, part = split_rows(values, names, config.heldout, config.seed, "heldout")
    note = f"{size:,} of {count:,} rows, drawn at random, are held out; they split {', '.join(names)}."
    smaller = _with_arguments(problem, rest, note)
    trained = _part(smaller, f"{who}, on the rows that stay")
    _check_sites(structure, trained, who, ("all rows", "those that stay"))
    _check_sites(trained, _part(_with_arguments(problem, part, ""), f"{who}, on the rows held out"), who)
    return replace(smaller, heldout=part)


def _part(problem: Problem, who: str) -> ModelStructure:
    try:
        return _inspect(problem, who)
    except RequestError as error:
        raise RequestError(f"{error.text}; is the number of rows built in?") from error


def _observed_arrays(structure: ModelStructure, values: Mapping[str, Any], who: str) -> list[str]:
    found = [name for name in structure.observed_arguments if np.ndim(values[name])]
    if not found:
        raise RequestError(
            f"{who} has no argument with rows of observations; is one missing, or named with {opt('observed')}?"
        )
    return found


def _rows_of(observed: Sequence[str], values: Mapping[str, Any], who: str) -> int:
    lengths = {name: len(values[name]) for name in observed}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise RequestError(f"{who} has observations with different numbers of rows ({told}); give {opt('test')} FILE")
    return next(iter(lengths.values()))


def _check_sizes(values: Mapping[str, Any], count: int, sizes: Collection[str], who: str) -> None:
    for name, value in values.items():
        if isinstance(value, int) and not isinstance(value, bool) and value == count and name not in sizes:
            raise RequestError(
                f"{who}: {name} = {value} is the number of rows, and would be wrong for a part of them; "
                f"take it from the shape of an array in the model, or give {opt('test')} FILE"
            )


def _check_sites(
    one: ModelStructure, other: ModelStructure, who: str, parts: tuple[str, str] = ("the rows that stay", "the others")
) -> None:
    """Refuse latents whose shape depends on the rows: those of new rows are never trained."""
    shapes = {site.name: site.shape for site in other.latents}
    for site in one.latents:
        if shapes.get(site.name) != site.shape:
            found = f"shape {shapes[site.name]}" if site.name in shapes else "no such site"
            raise RequestError(
                f"{who}: latent site {site.name} has shape {site.shape} for {parts[0]} and {found} for {parts[1]}, "
                "so what was trained cannot predict rows that it has not seen"
            )


def _tested(
    problem: Problem, structure: ModelStructure, matched: Matched, data: Data, test: Data, *, wide: bool
) -> Problem:
    """Return the problem with the held-out data of another file."""
    who = f"{test.where} with {problem.name}"
    values = as_arrays(problem.arguments())
    observed = _observed_arrays(structure, values, who)
    lengths = {len(values[name]) for name in observed}
    rows = [name for name, value in matched.values.items() if np.shape(value)[:1] and len(value) in lengths]
    heldout = match_test(matched, test, rows, wide=wide)
    tested = _with_arguments(problem, heldout, "")
    _check_sites(structure, _part(tested, who), who, (f"the rows of {data.where}", "its own"))
    # With as many rows in both files, sites with a value for every row would look alike.
    found = _rows_in(heldout, observed)
    if found is not None and found in lengths and found > 1:
        fewer = {name: heldout[name][:-1] for name in row_arguments(heldout, found)}
        try:
            probe = _inspect(_with_arguments(tested, fewer, ""), who)
        except RequestError:
            probe = structure
        _check_sites(structure, probe, who, (f"{found} rows", f"{found - 1}"))
    count = f"{found:,} rows" if found is not None else "Data"
    return replace(
        problem,
        heldout=heldout,
        notes=(*problem.notes, f"{count} of {test.file} are held out."),
    )


def _rows_in(values: Mapping[str, Any], observed: Sequence[str]) -> int | None:
    lengths = {len(values[name]) for name in observed if name in values}
    return lengths.pop() if len(lengths) == 1 else None
