"""The commands.  Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import os
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guidebench.cli import authors, changes, home
from guidebench.cli.options import LogLossOption, NoPluginsOption, PluginOption
from guidebench.cli.run import INTERRUPTED, run
from guidebench.config.errors import GuidebenchError

if TYPE_CHECKING:
    from guidebench.plugins.isolation.failures import Failure

#: Typer carries its own copy of click; this is the class of all its complaints about usage.
_USAGE_ERROR: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="guidebench",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which variational guide fits a NumPyro model, and how far can it be trusted?",
)


def main() -> None:
    """Run the command line and exit: 0 all well, 1 a fit failed or got worse, 2 a wrong request, 130 interrupted."""
    # jax 0.9 says of every program from its cache that versions are assumed to be compatible.
    # jaxlib 0.8 and 0.9 call it an error that they find, in every kept program, preferences of their own.
    quiet = version("jax").startswith(("0.8.", "0.9."))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3" if quiet else "2")
    # ArviZ 0.23 says so on the first import of every day, to people who never called it.
    warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing", category=FutureWarning)
    try:
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except GuidebenchError as error:
        status = _complain(str(error))
    except _USAGE_ERROR as error:
        status = _complain(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        status = 0
    if status == INTERRUPTED:  # which Typer returns for a KeyboardInterrupt, too
        print("guidebench: interrupted", file=sys.stderr)
    sys.exit(status if isinstance(status, int) else 0)


def _complain(message: str) -> int:
    print(f"guidebench: {' '.join(message.split())}", file=sys.stderr)
    return 2


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


app.command()(run)


@app.command(name="list")
def list_(plugin: PluginOption = None, no_plugins: NoPluginsOption = None) -> int:
    """Show guides, problems, metrics and sections with their plugins; and what is broken, with its reason."""
    from guidebench.cli import tables
    from guidebench.request.find_plugins import find_plugins

    tables.print_registry(find_plugins(tuple(plugin or ()), no_plugins=bool(no_plugins)))
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
    from guidebench.report import write
    from guidebench.request.find_plugins import find_plugins
    from guidebench.results.store import record

    comparison = load(folder)
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
    record(folder, failed)
    for failure in failed:
        print(f"guidebench: {failure}", file=sys.stderr)
    return int(bool(failed))


app.command()(home.predict)
app.command()(home.recheck)
app.command()(home.models)
app.command()(changes.diff)
app.command()(authors.check)
app.command()(authors.new)


@app.command()
def info() -> int:
    """Show versions, devices and caches."""
    from guidebench.cli import tables
    from guidebench.engine.keys import environment
    from guidebench.inference.device import cache

    kept = cache.folder()
    found = {**environment.describe(), "cache": f"{kept} ({cache.size(kept) / 1e6:.0f} MB)"}
    tables.print_pairs(found)
    return 0
