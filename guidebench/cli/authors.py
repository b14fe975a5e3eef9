"""The commands for authors of guides: a new project, and the contract suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from guidebench.cli.completion import guides as guides_named
from guidebench.config.errors import RequestError


def new(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Of folder and distribution, as my-guide; the guide is then my_guide."),
    ],
    licence: Annotated[
        str, typer.Option("--license", metavar="SPDX", help="Apache-2.0, MIT or BSD-3-Clause.")
    ] = "Apache-2.0",
    author: Annotated[
        str | None, typer.Option(metavar="NAME", help="Holds the copyright (default: the authors of NAME).")
    ] = None,
) -> int:
    """Write a guide plugin, ready to install and tested, into the folder NAME."""
    from guidebench.cli.new import create

    folder = create(name, Path.cwd(), licence=licence, author=author)
    module = name.replace("-", "_")
    print(f"{folder.name}/ holds a guide plugin that works as it is.  Edit {folder.name}/{module}.py, and then:")
    print(f"    cd {folder.name} && pip install . && pytest && guidebench run -g {module}")
    return 0


def check(
    guides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="An installed guide, or your own: FILE.py:GUIDE or MODULE:GUIDE.",
            autocompletion=guides_named,
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--check", metavar="CHECK", help="Run this check alone; repeatable.")
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option("--expect", metavar="CHECK=REASON", help="A check that fails, and why it should; repeatable."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Show every check and what it is for.")] = False,
) -> int:
    """Run the contract suite on guides: a line per check, and status 1 where one fails."""
    from guidebench.cli import outcomes
    from guidebench.testing import Subject
    from guidebench.testing.select import check_expected, chosen
    from guidebench.testing.subject import Refused

    if listed:
        outcomes.print_checks(chosen(only or ()))
        return 0
    if not guides:
        raise RequestError("check: name a guide, as guidebench check auto_normal; guidebench list names them all")
    checks, expected = chosen(only or ()), check_expected(_reasons(expect or ()))
    subjects = [Subject(one) for one in dict.fromkeys(guides)]
    for subject in subjects:
        if isinstance(subject.found, Refused) and subject.found.request:
            raise RequestError(subject.found.reason)
    from guidebench.inference.device import cache

    cache.enable()
    failed = [outcomes.print_outcomes(subject, checks, expected) for subject in subjects]
    return int(any(failed))


def _reasons(texts: Sequence[str]) -> dict[str, str]:
    """Return ``CHECK=REASON`` texts by check."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, reason = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise RequestError("should be CHECK=REASON", option="expect", value=text)
        found[name] = reason
    return found
