"""Which plugins a run has: those that are installed, unless they are switched off, and local ones."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from guidebench.config.errors import RequestError, opt
from guidebench.plugins.isolation.failures import LOCAL
from guidebench.plugins.isolation.state import load_owners
from guidebench.plugins.registry import Registry, Source, load_registry, others_installed
from guidebench.request.loading.objects import load_module


def find_plugins(
    local: Sequence[str | ModuleType] = (), *, no_plugins: bool = False, running: bool = False
) -> Registry:
    """Return the registry of installed and local plugins.

    Parameters
    ----------
    local : sequence of str or module
        Modules with hooks that are not installed: ``FILE.py``, ``PKG.MODULE``, or the module itself.
    no_plugins : bool
        Import no installed plugin but guidebench's own.
    running : bool
        Whether guides will be trained: what a plugin changes about JAX while it is imported is then put back.

    Raises
    ------
    RequestError
        Where a local plugin is not there; one that is broken is named in the registry.
    """
    if running and (local or others_installed(third_parties=not no_plugins)):
        load_owners()
    missing: list[RequestError] = []
    sources = [_local(one, missing) for one in dict.fromkeys(local)]
    registry = load_registry(third_parties=not no_plugins, local=sources)
    if missing:
        raise missing[0]
    return registry


def _local(given: str | ModuleType, missing: list[RequestError]) -> Source:
    if isinstance(given, ModuleType):
        return Source(given.__name__, LOCAL, lambda: given)

    def load() -> ModuleType:
        try:
            return load_module(given)
        except RequestError as error:
            if error.__cause__ is not None:  # it is there and its code fails, as that of any plugin may
                raise error.__cause__ from None
            missing.append(RequestError(f"{opt('plugins')} {error.text}"))
            raise

    return Source(given, LOCAL, load)
