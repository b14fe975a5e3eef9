"""How a command prints what it has found: for people, or for programs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer


class ListFormat(StrEnum):
    """For people, or for programs."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[ListFormat, typer.Option("--format", metavar="text|json", help="json is for programs.")]


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    import json

    print(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))
