"""Fetching the part of the posterior database that is needed, from one pinned commit, checked file by file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from platformdirs import user_cache_path

from guidebench import RequestError

#: A commit of github.com/stan-dev/posteriordb.
COMMIT = "db2464a8c74a298bf92e8de1e927cf97f314d6c7"

URL = f"https://raw.githubusercontent.com/stan-dev/posteriordb/{COMMIT}/posterior_database/"


def registry() -> dict[str, str]:
    """Return the SHA-256 of every file by its path in the database."""
    text = files("guidebench_posteriordb").joinpath("registry.txt").read_text(encoding="utf-8")
    return dict(line.split() for line in text.splitlines())


def fetch(folder: Path | None = None, url: str = URL) -> Path:
    """Return the folder of the database, of which what is not there yet, or damaged, is fetched first.

    Parameters
    ----------
    folder : Path, optional
        Where to keep it; by default in the user's cache.
    url : str
        Where to fetch it from.

    Raises
    ------
    RequestError
        Where that fails, or what comes is not what was expected.
    """
    try:
        import pooch
    except ImportError:
        raise RequestError(
            f"{RequestError.opt('posteriordb')} download needs pooch: pip install 'guidebench-posteriordb[download]'"
        ) from None
    place = folder or user_cache_path("guidebench") / f"posteriordb-{COMMIT[:12]}"
    pooch.get_logger().setLevel("WARNING")
    known = pooch.create(path=place, base_url=url, registry=registry(), retry_if_failed=2)
    for name in known.registry:
        try:
            known.fetch(name)
        except Exception as error:
            text = " ".join(str(error).split())[:300]
            raise RequestError(
                f"{url}{name} could not be fetched: {text}", option="posteriordb", value="download"
            ) from error
    return place
