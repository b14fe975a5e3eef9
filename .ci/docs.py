"""Write the generated parts of the documentation, or check that they are up to date and that links lead somewhere.

``python .ci/docs.py`` writes; ``python .ci/docs.py --check`` changes nothing and exits with 1 where something is
stale or broken.  Generated are ``docs/command-line.md``, from the commands and ``.ci/examples.toml``, and the table in
``docs/compatibility.md``, from ``tox.ini``.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
EXAMPLES = ROOT / ".ci" / "examples.toml"

COMMANDS = """\
# The command line

<!-- Written by .ci/docs.py from the commands themselves. -->

`guidebench COMMAND --help` prints the same. Exit status: 0 all well; 1 a fit failed (or, with `--strict`, did not
converge), a check failed, the disk was full, or something got worse from one run to another; 2 the request was
wrong: one line says how, and nothing is written; 3 guidebench itself failed: one line says where the log with the
traceback is; 130 interrupted and 143 terminated, with the finished fits kept.

[Fits side by side](side-by-side.md) is about `--jobs` and `--dask`, [Long runs](long-runs.md) about what is kept
and goes on.
"""

#: The part of ``docs/compatibility.md`` that is generated.
BEGIN, END = "<!-- From tox.ini, by .ci/docs.py. -->", "<!-- Up to here. -->"

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def command_line() -> str:
    """Return every command with its arguments and options."""
    import typer

    from guidebench.cli.app import app

    root: Any = typer.main.get_command(app)
    examples = tomllib.loads(EXAMPLES.read_text(encoding="utf-8"))
    parts = (part for name in root.commands for part in _command(root.commands[name], examples.get(name, {})))
    return "\n".join([COMMANDS, *parts])


def _command(command: Any, examples: Mapping[str, str]) -> Iterator[str]:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    words = ["guidebench", command.name, *(one.metavar if one.required else f"[{one.metavar}]" for one in arguments)]
    usage = " ".join([*words, *(["[OPTIONS]"] if options else [])])
    yield f"## `guidebench {command.name}`\n\n{command.help}\n\n    {usage}\n"
    for panel in dict.fromkeys(getattr(one, "rich_help_panel", None) for one in options):
        rows = [one for one in options if getattr(one, "rich_help_panel", None) == panel]
        yield f"| {panel or 'option'} | | default |\n|---|---|---|"
        yield "\n".join(f"| {_spelled(one)} | {_escaped(one.help or '')} | {_default(one)} |" for one in rows) + "\n"
    yield from (f"    # {what}\n    {line}\n" for line, what in examples.items())
    given = {word for line in examples for word in line.split()}
    for one in options:
        if not given & {*one.opts, *one.secondary_opts}:
            raise SystemExit(f"{EXAMPLES.name}: no example of 'guidebench {command.name}' has {one.opts[-1]}")


def _spelled(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return names if option.is_flag else f"{names} `{_escaped(option.metavar)}`"


def _default(option: Any) -> str:
    from guidebench.cli.help import default_of
    from guidebench.config import OPTIONS

    if option.name in OPTIONS:
        return default_of(option.name)
    return "" if option.default in (None, False) else _escaped(str(getattr(option.default, "value", option.default)))


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def matrix() -> str:
    """Return the environments of ``tox -m matrix`` as a table."""
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    labels = dict(line.split(" = ") for line in tox["tox"]["labels"].strip().splitlines())
    (section,) = (name for name in tox.sections() if re.fullmatch(r"testenv:py\{.*\}-jax\{.*\}", name))
    pins: dict[str, dict[str, str]] = {}
    for line in tox[section]["deps"].strip().splitlines():
        factor, requirement = line.split(": ")
        package, _, version = requirement.partition("==")
        pins.setdefault(factor, {})[package] = version.removesuffix(".*")
    rows = []
    for env in labels["matrix"].split(", "):
        python, jax = env.split("-")
        version = f"3.{python.removeprefix('py3')}"
        arviz = "0.x" if version == "3.11" else "1.x"
        rows.append(f"| `{env}` | {version} | {pins[jax]['jax']} | {pins[jax]['numpyro']} | {arviz} |")
    return "\n".join(["| environment | Python | jax | numpyro | ArviZ |", "|---|---|---|---|---|", *rows])


def generated() -> dict[Path, str]:
    """Return what the generated files should hold."""
    compatibility = DOCS / "compatibility.md"
    text = compatibility.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return {
        DOCS / "command-line.md": command_line(),
        compatibility: f"{before}{BEGIN}\n\n{matrix()}\n\n{END}{rest.split(END)[1]}",
    }


def broken_links() -> Iterator[str]:
    """Yield links in Markdown files of the project that lead to no file of it."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    for name in listed.stdout.split():
        file = ROOT / name
        for found in _LINK.finditer(file.read_text(encoding="utf-8")):
            target = (found[1] or found[2]).partition("#")[0]
            if target and "://" not in target and not (file.parent / target).exists():
                yield f"{name}: there is no {target}"


def main() -> int:
    """Write or check; return the exit status."""
    check = sys.argv[1:] == ["--check"]
    stale = []
    for file, text in generated().items():
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        if check:
            stale.append(f"{file.relative_to(ROOT)} is out of date; run python .ci/docs.py")
        else:
            file.write_text(text, encoding="utf-8")
    problems = [*stale, *broken_links()]
    print("\n".join(problems) or "the documentation is up to date")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
