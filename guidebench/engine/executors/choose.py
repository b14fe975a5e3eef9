"""Which executor a run gets: what was asked for, and this process where nothing was."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from guidebench.config.errors import RequestError
from guidebench.config.settings import RunConfig
from guidebench.engine.executors.base import Executor
from guidebench.engine.executors.here import Here


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
    if given is None and config.jobs is None and config.dask is None:
        return Here()
    from guidebench.engine.executors.remote import Session

    session = Session.of(no_plugins=config.no_plugins)
    if given is not None:
        return _of(given, config, session)
    if config.dask is not None:
        from guidebench.engine.executors.dask import cluster

        return cluster(config.dask, session)
    from guidebench.engine.executors.processes import Processes

    return Processes(config.jobs or 1, session)


def _of(given: Any, config: RunConfig, session: Any) -> Executor:
    from guidebench.engine.executors.dask import is_client, on_client
    from guidebench.engine.executors.futures import Futures

    if config.jobs is not None or config.dask is not None:
        raise RequestError("executor: there is one already, so neither jobs nor dask can be given")
    if is_client(given):
        return on_client(given, session)
    if not callable(getattr(given, "submit", None)):
        raise RequestError(
            f"executor: should be a distributed.Client or an executor of concurrent.futures, not {type(given).__name__}"
        )
    return Futures(given, session)
