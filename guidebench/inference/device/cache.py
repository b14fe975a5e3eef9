"""Where compiled programs are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

#: Environment variable that moves the cache.
VARIABLE = "GUIDEBENCH_CACHE_DIR"


def folder() -> Path:
    """Return the cache folder: ``GUIDEBENCH_CACHE_DIR``, or the user's cache of the platform."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen) if chosen else user_cache_path("guidebench")


def enable() -> None:
    """Let JAX keep compiled programs, unless the user told JAX where to keep them.

    Called by the command line only: a library does not change the configuration of its process.
    """
    import jax

    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(folder() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def size(path: Path) -> int:
    """Return the bytes of all files below `path`."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
