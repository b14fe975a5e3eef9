"""Running tasks on a Dask cluster: one that is there already, or workers on this machine.

Needs the extra ``guidebench[dask]``.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from guidebench.config.errors import RequestError
from guidebench.config.settings import RunConfig
from guidebench.engine.executors.futures import AHEAD, Futures, Known, Submitted
from guidebench.engine.executors.remote import Session
from guidebench.engine.lost import TaskLostError
from guidebench.inference.device import cache
from guidebench.plugins.isolation.failures import said

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

#: ``local:N`` stands for N workers on this machine.
_LOCAL = re.compile(r"local:([1-9]\d*)")

#: Seconds that a scheduler may take to answer.
PATIENCE = 30


class _OnCluster:
    """A client of Dask's as an executor.

    A worker may die of a task, which is then given to others.  As many of them may die of it as Dask allows
    (``distributed.scheduler.allowed-failures``).
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Submitted:
        """Run a function on the cluster, anew even where the cluster remembers the same call."""
        with warnings.catch_warnings():  # data travel with the task: what was put on a worker dies with it
            warnings.filterwarnings("ignore", message="Sending large graph")
            found: Submitted = self._client.submit(function, *args, key=f"guidebench-{uuid4().hex}", pure=False)
            return found


def on_client(client: Client, session: Session) -> Futures:
    """Return an executor that runs jobs on the cluster of a client.

    It submits as many as there are workers: a process runs one task at a time, and a task that waits on a worker is
    charged with that worker's death, though another one has killed it.  As long as there is no worker some are
    submitted, for clusters that grow.
    """

    def slots() -> int:
        try:
            return len(client.nthreads()) or AHEAD
        except OSError:  # the scheduler is gone, as what is submitted will say
            return AHEAD

    return Futures(_OnCluster(client), session, slots, _lost, Known())


def _lost(error: BaseException) -> BaseException:
    """Return what Dask says of a task whose workers die, in our words."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        return TaskLostError("its process died, as did those that it was tried in again")
    return error


def is_client(given: Any) -> bool:
    """Return whether an object is a client of Dask's; without loading Dask, for whoever has one has loaded it.

    Raises
    ------
    RequestError
        Where it is an asynchronous one, whose calls return before they are done.
    """
    distributed = sys.modules.get("distributed")
    if distributed is None or not isinstance(given, distributed.Client):
        return False
    if given.asynchronous:
        raise RequestError("executor: this client of Dask's is asynchronous; give one that is not")
    return True


def of(config: RunConfig) -> AbstractContextManager[Futures]:
    """Return the cluster that a run asks for."""
    assert config.dask is not None
    return cluster(config.dask, no_plugins=config.no_plugins)


@contextmanager
def cluster(where: str, *, no_plugins: bool = False) -> Iterator[Futures]:
    """Connect to a cluster, or start one on this machine, and leave it when the block is left.

    Parameters
    ----------
    where : str
        The address of a scheduler, or ``local:N`` for N workers on this machine.
    no_plugins : bool
        Whether the run has no plugins but guidebench's own.

    Raises
    ------
    RequestError
        Where Dask is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise RequestError(
            "Dask is not installed; pip install 'guidebench[dask]'", option="dask", value=where
        ) from None
    local = _LOCAL.fullmatch(where)
    session = Session.of(no_plugins=no_plugins, watched=True)
    if local:
        with (
            _quiet(),
            LocalCluster(**_here(int(local[1]))) as started,
            Client(started, set_as_default=False) as client,
        ):
            try:
                yield on_client(client, session)
            finally:
                _end(started)
        return
    try:
        # Not the default of the process: one that fails to connect would stay that, and xarray would write through it.
        client = Client(where, timeout=PATIENCE, set_as_default=False)
    except (OSError, TypeError, ValueError) as error:  # a TypeError where tls:// has no certificates
        raise RequestError(f"no scheduler answers there: {said(error)}", option="dask", value=where) from error
    with client:
        yield on_client(client, session)


def _here(count: int) -> dict[str, Any]:
    """Return the options of a cluster on this machine, which computes as this process does."""
    folder = cache.in_use() or str(cache.programs())
    kept = {
        "JAX_COMPILATION_CACHE_DIR": folder,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return {
        "n_workers": count,
        "threads_per_worker": 1,  # NumPyro traces one thing at a time
        "processes": True,
        "dashboard_address": "127.0.0.1:0",  # none at all would be port 8787, which another run may have
        "host": "127.0.0.1",
        "env": kept,
    }


def _end(started: LocalCluster) -> None:
    """Kill the workers of a cluster on this machine: Dask would give each some seconds to finish what it does."""
    for nanny in started.workers.values():
        nanny.auto_restart = False
        if nanny.pid is not None:
            with suppress(OSError):
                os.kill(nanny.pid, signal.SIGKILL)


#: Settings of Dask's for a cluster on this machine: what kills a worker is tried once more, no process tells of what
#: the run will tell, and nobody asks a worker dozens of times a second how it is, who has to stop tracing to answer.
_LIKE_HERE = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.scheduler.allowed-failures": 1,
    "logging.distributed": "critical",
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Set Dask up for a cluster on this machine, and leave it as it was."""
    import dask

    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with dask.config.set(_LIKE_HERE):
            yield
    finally:
        logger.setLevel(before)
