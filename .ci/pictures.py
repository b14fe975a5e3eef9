"""Take the pictures of a report that the documentation shows: on a screen, light and dark, on a narrow one, on paper.

``python .ci/pictures.py reports/eight-schools eight-schools`` writes ``docs/images/eight-schools.png`` with
``-dark.png``, ``-narrow.png`` and ``-print.pdf``, by headless Chromium.  Look at them before they are committed.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from guidebench.report.png import quantise

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.report.browser import Browser  # noqa: E402

#: What is appended to the name, the width of the window, and whether the reader's system is dark.
WINDOWS = (("", 1280, False), ("-dark", 1280, True), ("-narrow", 400, False))

#: Pages that are kept of what is printed.
PAGES = "1-2"


def main(folder: str, name: str) -> None:
    """Write the pictures of the report in a folder."""
    report, images = Path(folder) / "report.html", ROOT / "docs" / "images"
    with tempfile.TemporaryDirectory(prefix="guidebench-pictures-", ignore_cleanup_errors=True) as profile:
        browser = Browser(Path(profile))
        try:
            browser.bare()
            for suffix, width, dark in WINDOWS:
                browser.open(report, width=width, dark=dark)
                indices, palette = quantise(np.asarray(Image.open(io.BytesIO(browser.picture())).convert("RGBA")))
                taken = Image.fromarray(indices)
                taken.putpalette(palette.ravel().tolist())
                taken.save(images / f"{name}{suffix}.png", optimize=True)
            browser.open(report)
            (images / f"{name}-print.pdf").write_bytes(browser.printed(PAGES))
        finally:
            browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
