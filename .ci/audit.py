"""Hold the versions in constraints.txt against the database of known weaknesses, osv.dev.

Where that cannot be reached nothing is held against it, which is said and is no failure.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: An entry that is there for certain.
PROBE = "https://api.osv.dev/v1/vulns/PYSEC-2014-8"

#: Seconds that it may take to answer.
PATIENCE = 20


def unreachable() -> str:
    """Return why the database cannot be reached, or nothing where it can."""
    try:
        with urllib.request.urlopen(PROBE, timeout=PATIENCE):
            return ""
    except urllib.error.HTTPError as error:
        return "" if error.code == 404 else f"it answers {error.code}"
    except OSError as error:
        return str(getattr(error, "reason", error))


def main() -> int:
    """Audit, and return the exit status."""
    why = unreachable()
    if why:
        print(f"skipped: the database of osv.dev cannot be reached ({why})")
        return 0
    audit = [sys.executable, "-m", "pip_audit", "--vulnerability-service", "osv", "--no-deps", "--disable-pip"]
    return subprocess.run([*audit, "--requirement", str(ROOT / "constraints.txt")], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
