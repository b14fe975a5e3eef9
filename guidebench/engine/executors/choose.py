"""Which executor a run gets: what was asked for, and this process where nothing was.

Nothing heavy is imported before it is known which.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

from guidebench.config.errors import RequestError, opt
from guidebench.config.settings import OPTIONS, RunConfig
from guidebench.engine.executors.base import Executor


def chosen(config: RunConfig, given: Any = None) -> AbstractContextManager[Executor]:
    """Return the executor of a run, as a context manager.

    Parameters
    ----------
    config : RunConfig
        Those of its options that have an executor say which.
    given : distributed.Client or concurrent.futures.Executor, optional
        In their place, what a caller from Python has.

    Raises
    ------
    RequestError
        Where two are asked for, or what is given is no executor.
    """
    asked = [name for name, one in OPTIONS.items() if one.executor and getattr(config, name) is not None]
    if given is not None and asked:
        raise RequestError(f"executor: there is one already, so {opt(asked[0])} cannot be given")
    if given is not None:
        return _of(given, config)
    module = OPTIONS[asked[0]].executor if asked else "here"
    found: AbstractContextManager[Executor] = import_module(f"guidebench.engine.executors.{module}").of(config)
    return found


def _of(given: Any, config: RunConfig) -> Executor:
    from guidebench.engine.executors.dask import is_client, on_client
    from guidebench.engine.executors.futures import Futures
    from guidebench.engine.executors.remote import Session

    if is_client(given):
        return on_client(given, Session.of(no_plugins=config.no_plugins, watched=True))
    if not callable(getattr(given, "submit", None)):
        kind = type(given).__name__
        raise RequestError(f"executor: should be a distributed.Client or one of concurrent.futures, not {kind}")
    return Futures(given, Session.of(no_plugins=config.no_plugins))
