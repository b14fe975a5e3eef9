"""The command that trains guides, scores them and writes a report."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from guidebench.cli import cells, folder, log
from guidebench.cli.ending import INTERRUPTED
from guidebench.cli.life import sign_of_life
from guidebench.cli.options import parameters, values
from guidebench.cli.place import place_of
from guidebench.config.errors import RequestError
from guidebench.config.options import OUTPUT
from guidebench.inference.device import threads

if TYPE_CHECKING:
    from guidebench.engine.events import Event
    from guidebench.engine.executors import Executor
    from guidebench.engine.progress import Progress
    from guidebench.engine.request import Request
    from guidebench.plugins.isolation.failures import Failure
    from guidebench.plugins.registry import Registry
    from guidebench.report.ahead import Ahead
    from guidebench.results import Comparison
    from guidebench.results.kept import Kept

#: The one option that is none of the configuration: where that is read from.
CONFIG = inspect.Parameter(
    "config",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            help="Options from a file, or those of an earlier run from its results.json; options given here win.",
            rich_help_panel=OUTPUT,
        ),
    ],
)


def _with_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of a run, from their declarations; --config stands behind --out in the help."""
    found = []
    for one in parameters():
        found += [one, CONFIG] if one.name == "out" else [one]
    command.__signature__ = inspect.Signature(found, return_annotation=int)  # type: ignore[attr-defined]
    return command


@_with_options
def run(*, config: Path | None, **given: Any) -> int:
    """Train guides on problems, score them all alike, and write a report."""
    with ExitStack() as held, ExitStack() as workers:
        with sign_of_life(quiet=bool(given["quiet"])):
            ready = _made_ready(config, given, held, workers)
        return _run(ready, workers.close)


class _Ready(NamedTuple):
    """What is asked for, what an earlier run has kept of it, what runs it, and what notes its events."""

    request: Request
    kept: Kept
    executor: Executor
    events: Callable[[Event], None]


def _made_ready(config: Path | None, given: Mapping[str, Any], held: ExitStack, workers: ExitStack) -> _Ready:
    """Return a run that can begin; its folder and its log are let go with `held`, and its processes with `workers`."""
    threads.enough()
    from guidebench.config import is_results, make_config
    from guidebench.engine.executors.choose import chosen
    from guidebench.request.find_plugins import find_plugins
    from guidebench.request.selection import choose_guides, choose_problems

    settings = make_config(values(given), config)
    # Processes of our own have much to import, as this one has now.
    early = workers.enter_context(chosen(settings)) if settings.jobs is not None else None
    registry = find_plugins(settings.plugins, no_plugins=settings.no_plugins, running=True)
    if config is not None and is_results(config):
        named = settings.model_copy(update={name: () for name in ("problems", "guides") if given[name]})
        _check_repeatable(config, named.problems, named.guides, registry)
    problems = choose_problems(registry, settings.problems, settings)
    guides = choose_guides(registry, settings.guides)
    out = Path(settings.out)
    claim = folder.claim_of(problems, settings.problems, out)
    name, told = place_of(settings, [one.name for one in problems], [one.label for one in guides], claim)
    folder.check_out(out / name)
    folder.check_room(out / name, len(problems), len(guides))
    if told and not settings.quiet:
        cells.say(told)
    from guidebench.engine.request import Request
    from guidebench.results.kept import Kept, clear
    from guidebench.results.lock import owned

    asked = Request(name=name, problems=problems, guides=guides, config=settings, registry=registry)
    held.enter_context(owned(out / name))
    clear(out / name)
    kept = Kept(out / name, fresh=settings.fresh, claim=claim)
    executor = early or workers.enter_context(chosen(settings))
    events = held.enter_context(log.written(out / name, aloud=settings.verbose))
    return _Ready(asked, kept, executor, events)


def _run(ready: _Ready, end_workers: Callable[[], None]) -> int:
    """Make a run and write its report; return the exit status."""
    # Tracing leaves so many small objects behind that looking for cycles took an eighth of a warm run.
    gc.set_threshold(200_000, 20, 20)

    from guidebench.cli import standing, tables
    from guidebench.engine.progress import watch
    from guidebench.inference.device import cache
    from guidebench.report.ahead import Ahead
    from guidebench.report.beside import Beside, worthwhile

    request, settings = ready.request, ready.request.config
    cache.enable()
    target = Path(settings.out) / request.name
    failed: list[Failure] = []
    with ExitStack() as helping, watch(not settings.quiet) as watcher:
        beside = None
        if settings.fresh or not standing.stamped(target):  # else it may be that nothing is to be drawn
            Thread(target=_import_ahead, daemon=True).start()
            # Workers of the run take all cores, and leave this process to draw.
            alone = settings.jobs is None and settings.dask is None
            beside = helping.enter_context(Beside()) if alone and worthwhile() else None
        ahead = Ahead(request.registry.sections, log_loss=settings.log_loss, beside=beside)
        warn = None if settings.quiet or settings.verbose else _warn  # the log, which is shown then, has it, too
        comparison = _compared(ready, watcher, ahead, warn)
        end_workers()
        page = target / "report.html"
        if not standing.stands(comparison, target):
            watcher.note("writing the report")
            page = _written(comparison, target, ready, ahead, failed)
    comparison = replace(comparison, failures=(*comparison.failures, *failed))
    for failure in comparison.failures:
        log.failed(failure)
    if not settings.quiet:
        with suppress(BrokenPipeError):  # who has seen enough
            tables.print_comparison(comparison, page)
            for one in comparison.problems if settings.until is not None else ():
                cells.show(cells.make_console(), f"{one.name}: {one.notes[-1]}")
    return _status(comparison, strict=settings.strict)


def _written(comparison: Comparison, target: Path, ready: _Ready, ahead: Ahead, failed: list[Failure]) -> Path:
    """Write results and report, and note in `failed` the sections that could not be made; return the page."""
    from guidebench.analysis import usable
    from guidebench.api import answers
    from guidebench.cli import standing
    from guidebench.report import write
    from guidebench.report.writer import files_of
    from guidebench.results import passport
    from guidebench.results.store import record, save

    request, beside = ready.request, {**passport.files_of(comparison), **usable.files_of(comparison)}
    save(comparison, target, kept=ready.kept.placed, beside=beside, told=answers.told(comparison))
    if not comparison.interrupted:
        ready.kept.tidy()
    page = write(
        comparison,
        target,
        sections=request.registry.sections,
        log_loss=request.config.log_loss,
        on_failure=failed.append,
        ahead=ahead,
    )
    record(target, failed, files_of(target))
    standing.stamp(target, request.registry.sections)
    return page


def _compared(ready: _Ready, progress: Progress, ahead: Ahead, warn: Callable[[str, str], None] | None) -> Comparison:
    """Return what the run comes to: all that was asked for, or as much as it takes to have draws to use."""
    from guidebench.engine import run, until

    request, kept, executor, events = ready
    if request.config.until is not None:
        return until.until_trusted(request, progress=progress, warn=warn)
    return run.compare(request, progress=progress, keep=kept, executor=executor, meanwhile=ahead, warn=warn, log=events)


def _warn(problem: str, text: str) -> None:
    """Say on standard error what should be known of a problem before anything is trained on it; a bar gives way."""
    cells.say(f"{problem}: {text}")


def _status(comparison: Comparison, *, strict: bool) -> int:
    """Return the exit status of a run."""
    if comparison.interrupted:
        return INTERRUPTED
    if comparison.config.get("until"):  # it is about draws, whoever has them
        missing = [one for one in comparison.problems if not any(fit.verdict.usable for fit in comparison.of(one.name))]
        return int(any(not one.reference for one in missing))
    if not any(fit.status.has_draws for fit in comparison):
        return 1
    bad = {"failed", "diverged"} | ({"max_steps"} if strict else set())
    # A plugin that is broken and was not asked for is no failure of this run.
    failed = any(one.phase not in ("import", "hook") for one in comparison.all_failures())
    return int(failed or any(fit.status in bad for fit in comparison))


def _check_repeatable(results: Path, problems: Sequence[str], guides: Sequence[str], registry: Registry) -> None:
    """Refuse earlier results that name what only Python knew: its models and guides are not part of them."""
    known = {
        "problem": {name for one in registry.problems for name in (one.name, one.qualified_name)},
        "guide": {name for one in registry.guides for name in (*one.answers_to(), one.qualified_name)},
    }
    for kind, names in (("problem", problems), ("guide", guides)):
        for name in names:
            bare = name.partition(":")[0]
            own = bare.endswith(".py") or (":" in name and "=" not in name)
            if not own and not any(mark in name for mark in "*?[") and bare not in {*known[kind], "default", "all"}:
                raise RequestError(
                    f"{kind} {name!r} came from Python or from a plugin that is not installed, "
                    "so this run cannot be had again from here",
                    option="config",
                    value=results,
                )


def _import_ahead() -> None:
    """Import what scoring and drawing will need while XLA, which holds no lock of Python's, compiles."""
    from guidebench.results import inference_data

    with suppress(Exception):  # whoever needs it will say so
        for module in ("guidebench.report.drawing", "h5netcdf", "pandas"):
            import_module(module)
        inference_data.arviz()
