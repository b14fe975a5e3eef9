"""The command that trains guides, scores them and writes a report."""

from __future__ import annotations

import gc
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guidebench.cli.options import parameters, values
from guidebench.config.errors import RequestError
from guidebench.config.options import OUTPUT
from guidebench.inference.device import threads

if TYPE_CHECKING:
    from guidebench.engine.executors import Executor
    from guidebench.engine.request import Request
    from guidebench.plugins.isolation.failures import Failure
    from guidebench.plugins.registry import Registry
    from guidebench.results import Comparison

#: Exit status after Ctrl-C, as shells have it.
INTERRUPTED = 130

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
    threads.enough()
    from guidebench.config import is_results, make_config
    from guidebench.engine.executors.choose import chosen
    from guidebench.request.find_plugins import find_plugins
    from guidebench.request.selection import choose_guides, choose_problems

    settings = make_config(values(given), config)
    with ExitStack() as workers:
        # Processes of our own have much to import, as this one has now.
        early = workers.enter_context(chosen(settings)) if settings.jobs is not None else None
        registry = find_plugins(settings.plugins, no_plugins=settings.no_plugins, running=True)
        if config is not None and is_results(config):
            named = settings.model_copy(update={name: () for name in ("problems", "guides") if given[name]})
            _check_repeatable(config, named.problems, named.guides, registry)
        problems = choose_problems(registry, settings.problems, settings)
        guides = choose_guides(registry, settings.guides)
        name = problems[0].name if len(problems) == 1 else f"{len(problems)}-problems"
        _check_out(Path(settings.out) / name)
        executor = early or workers.enter_context(chosen(settings))
        from guidebench.engine.request import Request

        asked = Request(name=name, problems=problems, guides=guides, config=settings, registry=registry)
        return _run(asked, executor, workers.close)


def _run(request: Request, executor: Executor, end_workers: Callable[[], None]) -> int:
    """Make a run and write its report; return the exit status."""
    # Tracing leaves so many small objects behind that looking for cycles took an eighth of a warm run.
    gc.set_threshold(200_000, 20, 20)

    from guidebench.analysis.usable import write_usable
    from guidebench.cli import tables
    from guidebench.engine import run as engine
    from guidebench.engine.progress.terminal import bar
    from guidebench.engine.until import until_trusted
    from guidebench.inference.device import cache
    from guidebench.report import write
    from guidebench.report.ahead import Ahead
    from guidebench.results.kept import Kept
    from guidebench.results.passport import write_guides
    from guidebench.results.store import record, save

    settings = request.config
    cache.enable()
    Thread(target=_import_ahead, daemon=True).start()
    target = Path(settings.out) / request.name
    kept = Kept(target, fresh=settings.fresh)
    ahead = Ahead(request.registry.sections, log_loss=settings.log_loss)
    with bar(quiet=settings.quiet) as watcher:
        warn = None if settings.quiet else _warn
        if settings.until is not None:
            comparison = until_trusted(request, progress=watcher, warn=warn)
        else:
            comparison = engine.compare(
                request,
                progress=watcher,
                keep=kept,
                executor=executor,
                meanwhile=ahead,
                warn=warn,
                say=_say if settings.verbose else None,
            )
        end_workers()
        watcher.note("writing the report")
        folder = save(comparison, target, place=kept.place, beside=(write_guides, write_usable))
        if not comparison.interrupted:
            kept.tidy()
        failed: list[Failure] = []
        page = write(
            comparison,
            folder,
            sections=request.registry.sections,
            log_loss=settings.log_loss,
            on_failure=failed.append,
            ahead=ahead,
        )
        record(folder, failed)
    comparison = replace(comparison, failures=(*comparison.failures, *failed))
    if not settings.quiet:
        tables.print_comparison(comparison, page)
        for one in comparison.problems if settings.until is not None else ():
            print(f"{one.name}: {one.notes[-1]}")
    return _status(comparison, strict=settings.strict)


def _warn(problem: str, text: str) -> None:
    """Say on standard error what should be known of a problem before anything is trained on it; a bar gives way."""
    print(f"guidebench: {problem}: {text}", file=sys.stderr, flush=True)


def _say(text: str) -> None:
    """Say on standard error what a phase has computed."""
    print(f"guidebench: {text}", file=sys.stderr, flush=True)


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
    return int(any(fit.status in bad for fit in comparison) or bool(comparison.all_failures()))


def _check_out(folder: Path) -> None:
    """Refuse a folder that cannot be written, before anything is trained."""
    found = next(part for part in (folder, *folder.parents) if part.exists())
    if not found.is_dir():
        raise RequestError(f"{found} is a file, so no results can be written to {folder}", option="out")
    if not os.access(found, os.W_OK):
        raise RequestError(f"no permission to write to {found}", option="out")


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
    for module in ("guidebench.report.drawing", "arviz", "h5netcdf", "pandas"):
        import_module(module)
