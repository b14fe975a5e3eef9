"""What a function refers to outside of itself, read from its bytecode."""

from __future__ import annotations

import dis
from collections.abc import Iterable, Iterator
from importlib.util import resolve_name
from types import CodeType

#: Names in code that looks at what nobody sees who looks at the code: files, the clock, the environment.  By names
#: alone this can be no complete list; it has the usual ways.
LOOKS = frozenset(
    {
        *("open", "load", "loads", "loadtxt", "genfromtxt", "fromfile", "memmap", "read_text", "read_bytes"),
        *("environ", "getenv", "urlopen", "urandom", "input", "eval", "exec", "globals", "__import__"),
        *(
            "File",
            "Dataset",
            "ZipFile",
            "listdir",
            "iterdir",
            "glob",
            "rglob",
            "recv",
            "request",
            "requests",
            "connect",
        ),
        *("import_module", "now", "today", "time", "time_ns", "perf_counter", "monotonic"),
    }
)


def names(code: CodeType) -> list[str]:
    """Return the names of globals, attributes and modules in code and in the functions inside it."""
    return sorted({name for one in _codes(code) for name in one.co_names})


def looking(names: Iterable[str]) -> str | None:
    """Return the first of the names that says that code looks at more than its arguments, if there is one."""
    return next((name for name in names if name in LOOKS or name.startswith(("read_", "open_"))), None)


def imports(code: CodeType, package: str) -> list[str]:
    """Return the modules that code imports while it runs, by their whole names; `package` is the one it is in."""
    return sorted({name for one in _codes(code) for name in _imported(one, package)})


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _imported(code: CodeType, package: str) -> Iterator[str]:
    instructions = list(dis.get_instructions(code))
    for position, one in enumerate(instructions):
        if one.opname == "IMPORT_NAME":
            level = instructions[position - 2].argval  # pushed before the names
            relative = "." * level if isinstance(level, int) else ""
            yield resolve_name(relative + str(one.argval), package) if relative and package else str(one.argval)
