"""Fetching the part of the posterior database that is needed, from one pinned commit, checked file by file.

``python -m guidebench_posteriordb.download FOLDER`` prints the checksums of a database's files, as
``registry.txt`` holds them.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from platformdirs import user_cache_path

from guidebench import RequestError
from guidebench_posteriordb.catalogue import POSTERIORS
from guidebench_posteriordb.database import Database

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


def needed(database: Database) -> Iterator[str]:
    """Yield the path of every file that the posteriors need, some of them more than once."""
    for one in POSTERIORS:
        told = database.posterior(one.name)
        yield f"posteriors/{one.name}.json"
        yield f"data/data/{told['data_name']}.json.zip"
        yield f"reference_posteriors/draws/draws/{told['reference_posterior_name']}.json.zip"
        yield f"reference_posteriors/draws/info/{told['reference_posterior_name']}.info.json"


def main() -> None:
    """Print the checksums of the files in a folder."""
    (folder,) = sys.argv[1:]
    for name in sorted(set(needed(Database(Path(folder))))):
        print(name, hashlib.sha256((Path(folder) / name).read_bytes()).hexdigest())  # noqa: T201


if __name__ == "__main__":
    main()
