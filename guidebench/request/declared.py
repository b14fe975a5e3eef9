"""What the numbers of a run mean, as its plugins declare it.

It is saved with the results.  Only for results that were saved without it do the plugins of today stand in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from guidebench.contracts import Quantity
from guidebench.metrics.parts import SIMULATED
from guidebench.plugins.isolation.failures import OWN
from guidebench.plugins.registry import Registry, load_registry
from guidebench.request.find_plugins import find_plugins


def quantities(registry: Registry) -> tuple[Quantity, ...]:
    """Return what every number means that the metrics of a registry yield; of two with one name, the first counts."""
    found = [part for one in registry.metrics for part in one.declaration.quantities(one.distribution)]
    found += [replace(one, plugin=OWN) for one in SIMULATED]
    return tuple({one.name: one for one in reversed(found)}[name] for name in dict.fromkeys(one.name for one in found))


def installed(names: Iterable[str]) -> tuple[Quantity, ...]:
    """Return what the numbers of these names mean by what is installed now.

    Plugins of other distributions are imported only where there is a name that guidebench does not know.
    """
    own = quantities(load_registry(third_parties=False))
    if {one.name for one in own}.issuperset(names):
        return own
    return quantities(find_plugins(running=True))  # in a process that may train guides afterwards
