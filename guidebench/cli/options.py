"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

PluginOption = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="MODULE",
        help="A plugin that is not installed: a module, or FILE.py, with hooks (repeatable).",
    ),
]
NoPluginsOption = Annotated[
    bool | None, typer.Option("--no-plugins", help="Import no installed plugin but guidebench's own.")
]
