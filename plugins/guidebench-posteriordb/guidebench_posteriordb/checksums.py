"""The files of the posterior database that the posteriors need, and their checksums.

``python -m guidebench_posteriordb.checksums FOLDER`` prints them for a database, as ``registry.txt`` holds them.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from guidebench_posteriordb.catalogue import POSTERIORS
from guidebench_posteriordb.database import Database


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
