"""A function of the user's by where it is: ``path/to/file.py:NAME`` or ``pkg.module:NAME``."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from guidebench.config.errors import RequestError
from guidebench.contracts import Guide
from guidebench.plugins.isolation.failures import reason

#: Begins the name under which a user's file is in ``sys.modules``.
PREFIX = "guidebench_own_"

_FILE = re.compile(r"(?P<place>.+?\.py)(?::(?P<name>[^:]*))?(?::(?P<rest>.*))?", re.DOTALL)
_MODULE = re.compile(r"(?P<place>[^\W\d]\w*(?:\.[^\W\d]\w*)+):(?P<name>[^\W\d]\w*)(?::(?P<rest>.*))?", re.DOTALL)


def is_object_path(text: str) -> bool:
    """Return whether `text` begins as ``FILE.py``, ``FILE.py:NAME`` or ``PKG.MODULE:NAME`` does.

    It goes by the looks alone, and options after a second colon do not matter.  The name of a plugin's
    guide may look like ``PKG.MODULE:NAME`` when it has a dot in it: what is registered goes first.
    """
    return bool(_FILE.fullmatch(text) or _MODULE.fullmatch(text))


def split_object_path(text: str) -> tuple[str, str | None]:
    """Return what to load and, without its colon, what comes after: ``FILE.py:NAME``, ``opt=val,...`` or ``None``."""
    found = _FILE.fullmatch(text) or _MODULE.fullmatch(text)
    if found is None:
        return text, None
    place, name, rest = found["place"], found["name"], found["rest"]
    return (place if name is None else f"{place}:{name}"), rest


def load_object(text: str) -> Any:
    """Return what ``FILE.py:NAME`` or ``MODULE:NAME`` is: a function, a class, or a guide's declaration or several.

    A file is imported under a name of its own, with the modules beside it importable; the same file,
    unchanged, is imported once.  A module is looked for in the working directory, too.

    Raises
    ------
    RequestError
        With one line on what is missing or fails.
    """
    place, colon, name = text.rpartition(":")
    if not colon:
        place, name = text, ""
    module = load_module(place)
    if not name:
        raise RequestError(f"{place}: name what to take from it, as {place}:NAME; {_offer(module)}")
    try:
        found = getattr(module, name)
    except AttributeError:
        close = difflib.get_close_matches(name, _names(module), n=1)
        hint = f"did you mean {close[0]!r}?" if close else _offer(module)
        raise RequestError(f"{text}: {place} has no {name!r}; {hint}") from None
    if not isinstance(found, Guide | list | tuple) and not callable(found):
        raise RequestError(f"{text}: {name!r} is no function but of type {type(found).__name__}; {_offer(module)}")
    return found


def load_module(place: str) -> ModuleType:
    """Return the module in ``FILE.py``, or that of a name; see :func:`load_object`.

    Raises
    ------
    RequestError
        Where it is missing; and where its code fails, with the exception as the cause.
    """
    return _from_file(place) if _is_file(place) else _from_module(place)


def _is_file(place: str) -> bool:
    return "/" in place or "\\" in place or place.endswith(".py") or Path(place).exists()


def _names(module: ModuleType) -> list[str]:
    """Return what the module itself defines that can be a model or a guide."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (isinstance(value, Guide) or (callable(value) and getattr(value, "__module__", None) == module.__name__))
    ]


def _offer(module: ModuleType) -> str:
    names = _names(module)
    return f"it defines {', '.join(names)}" if names else "it defines no function"


class _Source(SourceFileLoader):
    """Runs a file and leaves no ``__pycache__`` in the user's folder."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _from_file(place: str) -> ModuleType:
    file = Path(place)
    if file.is_dir():
        raise RequestError(f"{place}: that is a folder; name a file, as {(file / 'FILE.py').as_posix()}:NAME")
    if not file.exists():
        raise RequestError(f"{place}: there is no such file{_nearby(file)}")
    if file.suffix != ".py":
        raise RequestError(f"{place}: a model or guide comes from a .py file")
    file = file.resolve()
    try:
        digest = hashlib.sha256(str(file).encode() + b"\0" + file.read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise RequestError(f"{place} cannot be read: {error.strerror}") from None
    name = f"{PREFIX}{file.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file, loader=_Source(name, str(file)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _forget_other_siblings(file.parent)
    sys.modules[name] = module
    try:
        with importable(file.parent):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _failed(place, error) from error
    return module


def _nearby(file: Path) -> str:
    beside = [one.name for one in file.parent.glob("*.py")] if file.parent.is_dir() else []
    close = difflib.get_close_matches(file.name, beside, n=1, cutoff=0.75)
    return f"; did you mean {(file.parent / close[0]).as_posix()}?" if close else ""


def _from_module(place: str) -> ModuleType:
    if not all(part.isidentifier() for part in place.split(".")):
        raise RequestError(f"{place}: neither a .py file nor the name of a module")
    try:
        with importable(Path.cwd()):
            return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
            raise RequestError(f"{place}: there is no module {error.name!r}; a file is named as FILE.py:NAME") from None
        raise _failed(place, error) from error
    except (Exception, SystemExit) as error:
        raise _failed(place, error) from error


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let modules in `folder` be imported, before any other."""
    entry = str(folder)
    before = list(sys.path)
    sys.path.insert(0, entry)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before


def _forget_other_siblings(folder: Path) -> None:
    """Forget a ``helpers`` that an earlier file had beside it, where this file has another beside it."""
    earlier = {_folder(module) for name, module in list(sys.modules.items()) if name.startswith(PREFIX)}
    earlier -= {None, folder}
    for name in _modules_in(folder):
        if name in sys.modules and _folder(sys.modules[name]) in earlier:
            del sys.modules[name]


def _modules_in(folder: Path) -> Iterable[str]:
    yield from (file.stem for file in folder.glob("*.py"))
    yield from (file.parent.name for file in folder.glob("*/__init__.py"))


def _folder(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return None
    path = Path(file).resolve()
    return path.parent.parent if path.name == "__init__.py" else path.parent


def _failed(place: str, error: BaseException) -> RequestError:
    """Return the line for an import that failed: what, and where in the user's own code."""
    if isinstance(error, SyntaxError):
        line = "" if error.lineno is None else f":{error.lineno}"
        return RequestError(f"{place} is not valid Python: {error.msg} ({_shown(error.filename or place)}{line})")
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename)]
    where = f" ({_shown(own[-1].filename)}:{own[-1].lineno})" if own else ""
    return RequestError(f"{place} cannot be imported: {reason(error)}{where}")


def _is_own(filename: str) -> bool:
    """Return whether a file is the user's code: neither guidebench nor an installed package nor Python itself."""
    path = Path(filename)
    if path.name.startswith("<") or "site-packages" in path.parts or path == Path(__file__):
        return False
    return not path.is_relative_to(sysconfig.get_path("stdlib"))


def _shown(filename: str) -> str:
    """Return a path from the working directory where it lies below."""
    path = Path(filename)
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.as_posix()
