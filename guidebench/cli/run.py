"""The command that trains guides, scores them and writes a report."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guidebench.cli.options import NoPluginsOption, PluginOption
from guidebench.config.errors import RequestError
from guidebench.inference.device import threads

if TYPE_CHECKING:
    from guidebench.plugins.isolation.failures import Failure
    from guidebench.plugins.registry import Registry

#: Exit status after Ctrl-C, as shells have it.
INTERRUPTED = 130

#: Panels of options in the help.
DATA = "Your own model"
TRAINING = "Training"
OUTPUT = "Output"


def run(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET",
            help="Problems by name or glob (see 'guidebench list'), or your own model: FILE.py:MODEL or MODULE:MODEL.",
        ),
    ] = None,
    guide: Annotated[
        list[str] | None,
        typer.Option(
            "-g",
            "--guide",
            metavar="NAME[:OPT=VAL,...]",
            help="A guide, with options; repeatable. 'default' is the default set, 'all' every one; FILE.py:GUIDE or "
            "MODULE:GUIDE is your own.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The model's arguments by name: columns of a .csv, arrays of an .npz, .nc or .json file.",
            rich_help_panel=DATA,
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Held-out data, in the form of --data.", rich_help_panel=DATA),
    ] = None,
    heldout: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Hold out a random share of the rows of --data.", rich_help_panel=DATA),
    ] = None,
    observed: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARG", help="An argument that holds observations; otherwise found by tracing.", rich_help_panel=DATA
        ),
    ] = None,
    posteriordb: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|download",
            help="Folder of the posterior database, for the problems posteriordb/NAME of guidebench-posteriordb.",
            rich_help_panel=DATA,
        ),
    ] = None,
    static: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARG=VALUE",
            help="A number, flag or text for an argument of the model; repeatable.",
            rich_help_panel=DATA,
        ),
    ] = None,
    minibatch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARG=N",
            help="Train on random minibatches: the argument that the model takes as subsample_size, and its value.",
            rich_help_panel=DATA,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="default|plain",
            help="default: built to converge. plain: Adam at a constant rate, one particle, one start.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:OPT=VAL,...]",
            help="An optax optimiser with its arguments, as sgd:momentum=0.9.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(metavar="X", help="Peak learning rate.", rich_help_panel=TRAINING)
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:OPT=VAL,...]",
            help="Of the learning rate: cosine, linear, exponential or constant, with warmup=SHARE and final=SHARE.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    clip_norm: Annotated[
        float | None,
        typer.Option(metavar="X", help="Clip gradients at this global norm; 0 for never.", rich_help_panel=TRAINING),
    ] = None,
    clip_share: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Clip during the first share of the steps only; 1 for all.", rich_help_panel=TRAINING
        ),
    ] = None,
    validation: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Hold back a share of the rows from training, and stop early once their ELBO no longer improves.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Steps without an improvement before --validation stops.", rich_help_panel=TRAINING
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Optimiser steps.", rich_help_panel=TRAINING)] = None,
    restarts: Annotated[
        int | None, typer.Option(metavar="N", help="Starting points, trained side by side.", rich_help_panel=TRAINING)
    ] = None,
    particles: Annotated[
        int | None, typer.Option(metavar="N", help="Draws per gradient.", rich_help_panel=TRAINING)
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:OPT=VAL]",
            help="Trace_ELBO, TraceMeanField_ELBO, TraceGraph_ELBO or RenyiELBO:alpha=0.5.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="uniform, median, feasible, mean, sample, or value:SITE=X,SITE=X (values of the model's sites).",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    x64: Annotated[
        bool | None, typer.Option("--x64", help="Compute in float64 throughout.", rich_help_panel=TRAINING)
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of the run.", rich_help_panel=TRAINING)] = None,
    draws: Annotated[
        int | None, typer.Option(metavar="N", help="Draws from every trained guide.", rich_help_panel=OUTPUT)
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="auto|exact|nuts|none|FILE",
            help="What guides are measured against. auto: the exact posterior where it is known, else NUTS if it "
            "converges. FILE: your own draws (.nc, .npz, .csv).",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="End a guide that takes longer, and a metric or section of a plugin's.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    plugin: PluginOption = None,
    no_plugins: NoPluginsOption = None,
    simulations: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Check every guide's intervals on N data sets drawn from the model, and report their true coverage.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Results go to DIR/NAME (default: reports).", rich_help_panel=OUTPUT),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            help="Options from a file, or those of an earlier run from its results.json; options given here win.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    log_loss: Annotated[
        bool | None,
        typer.Option("--log-loss/--linear-loss", help="Axis of the loss curves.", rich_help_panel=OUTPUT),
    ] = None,
    fresh: Annotated[
        bool | None,
        typer.Option(
            "--fresh",
            help="Train everything anew; otherwise a fit that an earlier run below --out DIR finished is kept.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    strict: Annotated[
        bool | None, typer.Option("--strict", help="Exit with 1 unless every fit converged.", rich_help_panel=OUTPUT)
    ] = None,
    quiet: Annotated[
        bool | None, typer.Option("-q", "--quiet", help="Print nothing but errors.", rich_help_panel=OUTPUT)
    ] = None,
) -> int:
    """Train guides on problems, score them all alike, and write a report."""
    threads.enough()
    from guidebench.config import assignments, is_results, make_config
    from guidebench.request.find_plugins import find_plugins
    from guidebench.request.selection import choose_guides, choose_problems

    options: dict[str, Any] = {
        "problems": tuple(targets or ()),
        "guides": tuple(guide or ()),
        "data": data,
        "test": test,
        "heldout": heldout,
        "observed": tuple(observed or ()),
        "posteriordb": posteriordb,
        "static": assignments("--static", static),
        "minibatch": assignments("--minibatch", minibatch),
        "recipe": recipe,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "clip_norm": clip_norm,
        "clip_share": clip_share,
        "validation": validation,
        "patience": patience,
        "steps": steps,
        "restarts": restarts,
        "particles": particles,
        "loss": loss,
        "init": init,
        "seed": seed,
        "draws": draws,
        "reference": reference,
        "simulations": simulations,
        "x64": x64,
        "time_limit": time_limit,
        "plugins": tuple(plugin or ()),
        "no_plugins": no_plugins,
        "log_loss": log_loss,
        "out": out,
        "fresh": fresh,
        "strict": strict,
        "quiet": quiet,
    }
    settings = make_config(options, config)
    registry = find_plugins(settings.plugins, no_plugins=settings.no_plugins, running=True)
    if config is not None and is_results(config):
        _check_repeatable(config, () if targets else settings.problems, () if guide else settings.guides, registry)
    problems = choose_problems(registry, settings.problems, settings)
    guides = choose_guides(registry, settings.guides)
    name = problems[0].name if len(problems) == 1 else f"{len(problems)}-problems"
    target = Path(settings.out) / name
    _check_out(target)

    # Tracing leaves so many small objects behind that looking for cycles took an eighth of a warm run.
    gc.set_threshold(200_000, 20, 20)

    from guidebench import engine
    from guidebench.cli import tables
    from guidebench.engine.progress.terminal import bar
    from guidebench.inference.device import cache
    from guidebench.report import write
    from guidebench.results.kept import Kept
    from guidebench.results.store import record, save

    cache.enable()
    Thread(target=_import_ahead, daemon=True).start()
    kept = Kept(target, fresh=settings.fresh)
    with bar(quiet=settings.quiet) as watcher:
        comparison = engine.compare(name, problems, guides, settings, registry, watcher, keep=kept)
        watcher.note("writing the report")
        folder = save(comparison, target, place=kept.place)
        if not comparison.interrupted:
            kept.tidy()
        failed: list[Failure] = []
        metrics = [one.declaration for one in registry.metrics]
        page = write(comparison, folder, metrics=metrics, log_loss=settings.log_loss, on_failure=failed.append)
        record(folder, failed)
    comparison = replace(comparison, failures=(*comparison.failures, *failed))
    if not settings.quiet:
        tables.print_comparison(comparison, page)
    if comparison.interrupted:
        return INTERRUPTED
    if not any(fit.status.has_draws for fit in comparison):
        return 1
    bad = {"failed", "diverged"} | ({"max_steps"} if settings.strict else set())
    return int(any(fit.status in bad for fit in comparison) or bool(comparison.all_failures()))


def _check_out(folder: Path) -> None:
    """Refuse a folder that cannot be written, before anything is trained."""
    found = next(part for part in (folder, *folder.parents) if part.exists())
    if not found.is_dir():
        raise RequestError(f"--out: {found} is a file, so no results can be written to {folder}")
    if not os.access(found, os.W_OK):
        raise RequestError(f"--out: no permission to write to {found}")


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
                    f"--config {results}: {kind} {name!r} came from Python or from a plugin that is not installed, "
                    "so this run cannot be had again from here"
                )


def _import_ahead() -> None:
    """Import what scoring and drawing will need while XLA, which holds no lock of Python's, compiles."""
    for module in ("guidebench.report.drawing", "arviz", "h5netcdf", "pandas"):
        import_module(module)
