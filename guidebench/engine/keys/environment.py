"""The versions and the machine that made a result."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("guidebench", "jax", "jaxlib", "numpyro", "optax", "arviz", "xarray", "numpy", "scipy", "pluggy")


def versions() -> dict[str, str]:
    """Return the version of Python and of every package that shapes the numbers."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


@cache
def machine() -> dict[str, str]:
    """Return the versions and the kinds of devices that numbers depend on; loads JAX."""
    import jax

    return {**versions(), "devices": ", ".join(sorted({device.device_kind for device in jax.devices()}))}


def describe() -> dict[str, Any]:
    """Return versions, platform, devices and precision; loads JAX."""
    import jax

    return {
        **versions(),
        "platform": f"{platform.system()} {platform.machine()}",  # no host, no kernel: reports are passed on
        "devices": ", ".join(str(device) for device in jax.devices()),
        "x64": bool(jax.config.jax_enable_x64),  # type: ignore[attr-defined]
    }
