"""Names that a new plugin can have."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.util import find_spec

from guidebench.config.errors import RequestError
from guidebench.contracts import RESERVED_NAMES
from guidebench.plugins.registry import Registry, load_registry

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


def check_name(name: str) -> str:
    """Return the module of a plugin called `name`, which is the name of its guide as well.

    Raises
    ------
    RequestError
        Where no distribution, module or guide can be called so, or one is already.
    """
    if not _NAME.fullmatch(name):
        raise RequestError(
            f"new {name}: should begin with a lower-case letter and go on with lower-case letters, digits, '-' or '_', "
            "as my-guide"
        )
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or keyword.issoftkeyword(module):
        raise RequestError(f"new {name}: {module} is a word of Python's; choose another name, as {name}-guide")
    if module in sys.stdlib_module_names:
        raise RequestError(f"new {name}: {module} is a module of Python's own; choose another name, as {name}-guide")
    if module in RESERVED_NAMES:
        raise RequestError(f"new {name}: {module!r} is the name of a set of guides; choose another, as {name}-guide")
    owner = _owner(load_registry(), module)
    if owner is not None:
        raise RequestError(f"new {name}: {owner} has a guide called {module}; choose another name")
    found = find_spec(module)
    if found is not None and found.origin is not None:  # a folder without __init__.py hides nothing
        raise RequestError(f"new {name}: there is a module {module} already; choose another name")
    return module


def _owner(registry: Registry, guide: str) -> str | None:
    """Return the distribution that has a guide of that name, whatever its capitals and underscores, or ``None``."""
    plain = guide.replace("_", "")
    for one in (*registry.guides, *registry.disputed):
        if any(plain == name.lower().replace("_", "") for name in one.answers_to()):
            return one.distribution
    return None
