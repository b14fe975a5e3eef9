"""The check of a built site names what leads nowhere and what asks another host for something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / ".ci" / "site.py"


def checked(site: Path) -> tuple[int, list[str]]:
    done = subprocess.run([sys.executable, str(SCRIPT), str(site)], capture_output=True, encoding="utf-8", check=False)
    return done.returncode, done.stdout.splitlines()


def test_a_whole_site_passes(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text('<a href="sub/">on</a><a href="https://example.org/x">away</a><i id="top">')
    (tmp_path / "sub" / "index.html").write_text('<a href="../index.html#top">back</a><img src="data:,">')
    assert checked(tmp_path) == (0, ["every link leads somewhere"])


def test_what_is_amiss_is_named(tmp_path: Path) -> None:
    page = '<a href="gone.html">x</a><a href="#gone">y</a><script src="https://example.org/a.js"></script>'
    (tmp_path / "index.html").write_text(page)
    (tmp_path / "alone.html").write_text("nobody leads here")
    status, said = checked(tmp_path)
    assert status == 1
    assert said == [
        "index.html: #gone has no such anchor",
        "index.html: there is no gone.html",
        "index.html: fetches https://example.org/a.js",
        "alone.html: no page leads to it",
    ]
