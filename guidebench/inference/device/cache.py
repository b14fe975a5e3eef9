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


def programs() -> Path:
    """Return the folder in which compiled programs are kept."""
    return folder() / "xla"


def enable(chosen: str = "") -> None:
    """Let JAX keep compiled programs, unless the user told JAX where to keep them.

    Called by the command line and by worker processes only: a library does not change the configuration of its
    process.  `chosen` is the folder to keep them in, where it is not the usual one.
    """
    import jax

    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", chosen or str(programs()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def in_use() -> str | None:
    """Return the folder in which JAX keeps compiled programs, where it keeps any."""
    import jax

    found: str | None = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    return found


def size(path: Path) -> int:
    """Return the bytes of all files below `path`."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
