"""What a plugin may change for the whole process, put back after each call of its code.

Every keeper below notes one piece of global state and returns what puts it back.  Modules that are
not loaded have no state to keep, and none is loaded here: declaring and discovering plugins must
stay cheap.

What no keeper can undo: what was done to files.  Functions that were replaced are the business of
:mod:`guidebench.plugins.isolation.replaced`.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any

from guidebench.plugins.isolation.ending import refused

Undo = Callable[[], None]


def load_owners() -> None:
    """Import what has state to keep, so that what the import of a plugin changes is known from what it loads."""
    import_module("numpyro")


def remember() -> Undo:
    """Note the global state, and return what puts it back; it can be called more than once."""
    undone = [undo for keeper in KEEPERS if (undo := keeper()) is not None]

    def restore() -> None:
        for undo in undone:
            with suppress(Exception):  # what cannot be put back must not end the run of the others
                undo()

    return restore


@contextmanager
def restored() -> Iterator[None]:
    """Put the global state back when the block is left, and let nothing in it end the process."""
    restore = remember()
    try:
        with refused():
            yield
    finally:
        restore()


def _loaded(name: str, part: str) -> ModuleType | None:
    """Return a module that is loaded, and complete at least as far as `part`."""
    module = sys.modules.get(name)
    return module if module is not None and hasattr(module, part) else None


def _environment() -> Undo:
    before = dict(os.environ)

    def undo() -> None:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value

    return undo


def _folder() -> Undo | None:
    try:
        before = os.getcwd()  # noqa: PTH109 - what os.chdir takes back
    except OSError:
        return None
    return lambda: os.chdir(before)


def _streams() -> Undo:
    before = sys.stdout, sys.stderr

    def undo() -> None:
        sys.stdout, sys.stderr = before

    return undo


def _path() -> Undo:
    """Keep where modules are imported from, and how; what a package has added it goes on to need."""
    lists: tuple[list[Any], ...] = (sys.path, sys.meta_path, sys.path_hooks)
    before = [list(one) for one in lists]

    def undo() -> None:
        sys.path, sys.meta_path, sys.path_hooks = lists
        for one, content in zip(lists, before, strict=True):
            if any(entry not in one for entry in content):
                one[:] = [*content, *(entry for entry in one if entry not in content)]

    return undo


def _interpreter() -> Undo:
    """Keep how deep calls may go, who watches every line, and whether cycles are looked for."""
    limit, trace, profile, collecting = sys.getrecursionlimit(), sys.gettrace(), sys.getprofile(), gc.isenabled()
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook

    def undo() -> None:
        sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
        sys.setrecursionlimit(limit)
        if sys.gettrace() is not trace:
            sys.settrace(trace)
        if sys.getprofile() is not profile:
            sys.setprofile(profile)
        (gc.enable if collecting else gc.disable)()

    return undo


def _signals() -> Undo | None:
    """Keep what the signals do that somebody ends a program with."""
    if threading.current_thread() is not threading.main_thread():
        return None
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def undo() -> None:
        for number, handler in before.items():
            if signal.getsignal(number) is not handler and handler is not None:
                signal.signal(number, handler)

    return undo


def _rights() -> Undo:
    """Keep which rights new files have."""
    before = os.umask(0o077)
    os.umask(before)

    def undo() -> None:
        os.umask(before)

    return undo


def _warnings() -> Undo:
    shared, show = warnings.filters, warnings.showwarning
    before = list(shared)

    def undo() -> None:
        warnings.showwarning = show
        if warnings.filters is shared and list(shared) == before:
            return  # putting filters back makes Python forget which warnings it has shown
        warnings.filters = shared
        shared[:] = before  # type: ignore[index]  # a list, which the stubs keep from being changed
        with warnings.catch_warnings():  # tells Python that they have changed
            pass

    return undo


def _python_random() -> Undo:
    before = random.getstate()
    return lambda: random.setstate(before)


def _numpy_random() -> Undo | None:
    numpy = _loaded("numpy", "random")
    if numpy is None:
        return None
    generator, before = numpy.random.get_bit_generator(), numpy.random.get_state(legacy=False)

    def undo() -> None:
        numpy.random.set_bit_generator(generator)
        numpy.random.set_state(before)

    return undo


def _numpy_errors() -> Undo | None:
    numpy = _loaded("numpy", "seterr")
    if numpy is None:
        return None
    before, call = numpy.geterr(), numpy.geterrcall()

    def undo() -> None:
        numpy.seterr(**before)
        numpy.seterrcall(call)

    return undo


def _jax() -> Undo | None:
    """Keep every option of JAX: its value for the process, and that for this thread."""
    jax = _loaded("jax", "config")
    if jax is None:
        return None
    holders: dict[str, Any] = getattr(jax.config, "_value_holders", {})
    before = {name: (_for_all(holder), _for_thread(holder)) for name, holder in holders.items()}

    def undo() -> None:
        for name, (for_all, for_thread) in before.items():
            holder = holders[name]
            if _for_all(holder) != for_all:
                jax.config.update(name, for_all)
            if _for_thread(holder) is not for_thread:
                holder.set_local(for_thread)
                hook = getattr(holder, "_update_thread_local_hook", None)
                if hook is not None:
                    hook(None if type(for_thread) is object else for_thread)  # a bare object says: not set

    return undo


def _for_all(holder: Any) -> Any:
    return holder.get_global() if hasattr(holder, "get_global") else holder.value


def _for_thread(holder: Any) -> Any:
    return holder.get_local() if hasattr(holder, "get_local") else None


def _handlers() -> Undo | None:
    """Keep NumPyro's stack of handlers: a guide may enter one and never leave it."""
    primitives = _loaded("numpyro.primitives", "_PYRO_STACK")
    if primitives is None:
        return None
    stack = primitives._PYRO_STACK
    before = list(stack)

    def undo() -> None:
        stack[:] = before

    return undo


def _validation() -> Undo | None:
    """Keep whether NumPyro checks the arguments of distributions."""
    module = _loaded("numpyro.distributions.distribution", "Distribution")
    if module is None:
        return None
    before = module.Distribution._validate_args

    def undo() -> None:
        module.Distribution._validate_args = before

    return undo


def _matplotlib() -> Undo:
    """Keep Matplotlib's settings but for its backend; those of one that is loaded inside are those of its file."""
    matplotlib = _loaded("matplotlib", "rc_file_defaults")
    if matplotlib is None:
        return _matplotlib_afterwards
    before = _settings(matplotlib)

    def undo() -> None:
        now = _settings(matplotlib)
        matplotlib.rcParams.update({name: value for name, value in before.items() if now.get(name) != value})

    return undo


def _settings(matplotlib: ModuleType) -> dict[str, Any]:
    """Return Matplotlib's settings past its own look-up, which is slow, and chooses a backend when asked for it."""
    values = matplotlib.rcParams
    return {name: dict.__getitem__(values, name) for name in dict.__iter__(values) if name != "backend"}


def _matplotlib_afterwards() -> None:
    matplotlib = _loaded("matplotlib", "rc_file_defaults")
    spec = None if matplotlib is None else matplotlib.__spec__
    if matplotlib is not None and not getattr(spec, "_initializing", False):
        matplotlib.rc_file_defaults()


#: Each notes one piece of state and returns what puts it back, or ``None`` where there is nothing to keep.
KEEPERS: tuple[Callable[[], Undo | None], ...] = (
    _environment,
    _folder,
    _streams,
    _path,
    _interpreter,
    _signals,
    _rights,
    _warnings,
    _python_random,
    _numpy_random,
    _numpy_errors,
    _jax,
    _handlers,
    _validation,
    _matplotlib,
)
