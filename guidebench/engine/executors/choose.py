"""Which executor a run gets: what was asked for, and this process where nothing was.

Nothing heavy is imported before it is known which.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from guidebench.config.errors import RequestError
from guidebench.config.settings import RunConfig
from guidebench.engine.executors.base import Executor


def chosen(config: RunConfig, given: Any = None) -> AbstractContextManager[Executor]:
    """Return the executor of a run, as a context manager.

    Parameters
    ----------
    config : RunConfig
        Its ``jobs`` and ``dask`` say which.
    given : distributed.Client or concurrent.futures.Executor, optional
        In their place, what a caller from Python has.

    Raises
    ------
    RequestError
        Where two are asked for, or what is given is no executor.
    """
    if given is not None:
        return _of(given, config)
    if config.jobs is not None:
        from guidebench.engine.executors.processes import Processes

        return Processes(config.jobs, no_plugins=config.no_plugins)
    if config.dask is not None:
        from guidebench.engine.executors.dask import cluster

        return cluster(config.dask, no_plugins=config.no_plugins)
    from guidebench.engine.executors.here import Here

    return Here()


def _of(given: Any, config: RunConfig) -> Executor:
    from guidebench.engine.executors.dask import is_client, on_client
    from guidebench.engine.executors.futures import Futures
    from guidebench.engine.executors.remote import Session

    if config.jobs is not None or config.dask is not None:
        raise RequestError("executor: there is one already, so neither jobs nor dask can be given")
    if is_client(given):
        return on_client(given, Session.of(no_plugins=config.no_plugins, watched=True))
    if not callable(getattr(given, "submit", None)):
        kind = type(given).__name__
        raise RequestError(f"executor: should be a distributed.Client or one of concurrent.futures, not {kind}")
    return Futures(given, Session.of(no_plugins=config.no_plugins))
