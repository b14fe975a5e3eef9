"""The directive ``report``, which makes the report that a page shows.

Its arguments are those of ``guidebench run``.  The page gets the command, the answer in words, the picture of the first
screen and a link to the whole report, which lies beside the pages.  Fits are kept below ``docs/_build``, so that only
what has changed is trained again.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

HERE = Path("_build", "reports")


class Report(SphinxDirective):
    """Run ``guidebench run ARGUMENTS`` and show what came of it; of several problems with ``--name NAME``."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = False

    def run(self) -> list[nodes.Node]:
        """Return the command, the answer, the picture and the link."""
        arguments = shlex.split(self.arguments[0])
        folder = _run(Path(self.env.srcdir), arguments)
        self.env.metadata[self.env.docname].setdefault("reports", "")
        self.env.metadata[self.env.docname]["reports"] += f" {folder.name}"
        command = f"guidebench run {self.arguments[0]}"
        page = f"gallery/{folder.name}/report.html"
        up = "../" * self.env.docname.count("/")
        alt = f"The three quantities of {folder.name} that are farthest off, in every guide and as they should be"
        return [
            nodes.literal_block(command, command, language="console"),
            *(nodes.paragraph("", f"{name}{answer}") for name, answer in _answers(folder)),
            *_picture(folder, self.env, alt),
            nodes.raw("", f'<p><a href="{up}{page}">The whole report</a></p>', format="html"),
        ]


def _run(source: Path, arguments: list[str]) -> Path:
    """Run the command; return the folder of the run."""
    name = arguments[arguments.index("--name") + 1] if "--name" in arguments else arguments[0]
    out = source / HERE
    out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "guidebench", "run", *arguments, "--quiet"]
    # Runs are written to the folder `reports` of where they are made, as those of a reader.
    done = subprocess.run(command, cwd=out.parent, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise ExtensionError(
            f"guidebench run {shlex.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}"
        )
    return out / name


def _answers(folder: Path) -> list[tuple[str, str]]:
    """Return the answer for every problem of a run, with the name of the problem where there are several."""
    found = json.loads((folder / "results.json").read_text(encoding="utf-8"))["recommendation"]
    return [(f"{one['problem']}: " if len(found) > 1 else "", one["headline"]) for one in found]


def _picture(folder: Path, env: Any, alt: str) -> list[nodes.Node]:
    picture = folder / "figures" / "answer.png"
    if not picture.is_file():
        return []
    return [nodes.image(uri="/" + picture.relative_to(env.srcdir).as_posix(), alt=alt, width="100%")]


def _copy(app: Any, exception: Exception | None) -> None:
    """Lay the reports beside the pages."""
    if exception is not None or app.builder.format != "html":
        return
    for found in app.env.metadata.values():
        for name in found.get("reports", "").split():
            target = Path(app.outdir, "gallery", name)
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(Path(app.srcdir) / HERE / name / "report.html", target)


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("report", Report)
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
