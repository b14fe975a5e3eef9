"""The commands.  Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import os
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guidebench.cli import authors, changes, explain, home, runs
from guidebench.cli.format import FormatOption, ListFormat, print_json
from guidebench.cli.help import RunCommand
from guidebench.cli.options import LogLossOption, NoPluginsOption, PluginOption
from guidebench.cli.run import run
from guidebench.config.errors import RequestError

if TYPE_CHECKING:
    from guidebench.plugins.isolation.failures import Failure

#: Typer carries its own copy of click; this is the class of all its complaints about usage.
_USAGE_ERROR: Any = typer.BadParameter.__mro__[1]

#: What a shell asks by, with the line so far in further variables.
COMPLETION = "_GUIDEBENCH_COMPLETE"

app = typer.Typer(
    name="guidebench",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which variational guide fits a NumPyro model, and how far can it be trusted?",
)


def command() -> int:
    """Run the command that was asked for and return its exit status; what ends it is raised."""
    # jax 0.9 says of every program from its cache that versions are assumed to be compatible.
    # jaxlib 0.8 and 0.9 call it an error that they find, in every kept program, preferences of their own.
    quiet = version("jax").startswith(("0.8.", "0.9."))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3" if quiet else "2")
    # ArviZ 0.23 says so on the first import of every day, to people who never called it.
    warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing", category=FutureWarning)
    # Whether a shell is told how a line goes on, or set up to ask: Typer ends the program itself then.
    of_shell = COMPLETION in os.environ or bool({"--install-completion", "--show-completion"} & {*sys.argv[1:]})
    try:
        status = app(sys.argv[1:] or ["--help"], prog_name="guidebench", standalone_mode=False)
    except SystemExit as done:
        if not of_shell:
            raise
        return done.code if isinstance(done.code, int) else 0
    except _USAGE_ERROR as error:
        raise RequestError(error.format_message()) from None
    except typer.Abort:
        raise KeyboardInterrupt from None
    return status if isinstance(status, int) else 0


def _version(wanted: bool) -> None:
    if wanted:
        from guidebench import __version__

        print(f"guidebench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.command(cls=RunCommand)(run)


@app.command(name="list")
def list_(plugin: PluginOption = None, no_plugins: NoPluginsOption = None, form: FormatOption = ListFormat.TEXT) -> int:
    """Show guides, problems, metrics and sections with their plugins; and what is broken, with its reason."""
    from guidebench.cli import tables
    from guidebench.request.find_plugins import find_plugins

    registry = find_plugins(tuple(plugin or ()), no_plugins=bool(no_plugins))
    if form is ListFormat.JSON:
        print_json(tables.plain_registry(registry))
    else:
        tables.print_registry(registry)
    return 0


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that 'guidebench run' wrote.")],
    log_loss: LogLossOption = None,
    plugin: PluginOption = None,
    no_plugins: NoPluginsOption = None,
) -> int:
    """Write the report again from saved results, training nothing.

    The sections are those of the plugins that are installed now; --plugin adds others.
    """
    from guidebench.api.comparison import load
    from guidebench.cli.cells import say
    from guidebench.report import write
    from guidebench.report.writer import files_of
    from guidebench.request.find_plugins import find_plugins
    from guidebench.results.store import record

    comparison = load(folder, changed=say)
    chosen = bool(comparison.config.get("log_loss")) if log_loss is None else log_loss
    registry = find_plugins(tuple(plugin or ()), no_plugins=bool(no_plugins))
    failed: list[Failure] = []
    page = write(
        comparison,
        folder,
        sections=registry.sections,
        log_loss=chosen,
        on_failure=failed.append,
    )
    print(page)
    record(folder, failed, files_of(folder))
    for failure in failed:
        print(f"guidebench: {failure}", file=sys.stderr)
    return int(bool(failed))


app.command()(runs.runs)
app.command()(home.predict)
app.command()(home.recheck)
app.command()(home.models)
app.command()(changes.diff)
app.command()(explain.explain)
app.command()(authors.check)
app.command()(authors.new)


@app.command()
def info(form: FormatOption = ListFormat.TEXT) -> int:
    """Show versions, devices and caches."""
    from guidebench.cli import tables
    from guidebench.engine.keys import environment
    from guidebench.inference.device import cache

    kept = cache.folder()
    found = {**environment.describe(), "cache": f"{kept} ({cache.size(kept) / 1e6:.0f} MB)"}
    if form is ListFormat.JSON:
        print_json(
            {name: value if isinstance(value, bool | int | float) else str(value) for name, value in found.items()}
        )
    else:
        tables.print_pairs(found)
    return 0
