"""The notebook in the documentation: it runs as it stands, and what is saved in it is what it says."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "start" / "notebook.ipynb"


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook: Any) -> list[str]:
    """Return everything in the outputs that is text."""
    found = []
    for cell in code(notebook):
        for output in cell.outputs:
            data = dict(output.get("data", {}))
            data.pop("image/png", None)
            found += [output.get("text", ""), *map(str, data.values())]
    return found


def complaints(notebook: Any) -> list[str]:
    """Return errors and whatever was written to standard error."""
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    failed = [output.get("evalue", "") for output in outputs if output.output_type == "error"]
    return failed + [output.text for output in outputs if output.get("name") == "stderr"]


def test_it_is_saved_with_its_outputs() -> None:
    notebook = read()
    nbformat.validate(notebook)
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    assert complaints(notebook) == []
    assert any("div.guidebench" in text for text in texts(notebook))
    assert any("image/png" in output.get("data", {}) for cell in code(notebook) for output in cell.outputs)


def test_it_says_nothing_of_the_machine_that_ran_it() -> None:
    saved = NOTEBOOK.read_text(encoding="utf-8")
    assert not re.search(r"[\"' (](/(tmp|home|root|work|Users|usr|opt)/|[A-Z]:\\)", "\n".join(texts(read())))
    assert "Warning" not in "".join(texts(read()))
    assert len(saved) < 500_000


@pytest.mark.slow
def test_it_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The kernel is the one beside this interpreter, whatever the user has installed elsewhere.
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    (tmp_path / "work").mkdir()
    notebook = read()
    for cell in code(notebook):
        cell.outputs = []
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path / "work")}},
    )
    client.execute(env=dict(os.environ))
    assert complaints(notebook) == []
    assert (tmp_path / "work" / "visitors" / "report.html").is_file()
    refused, compared = [cell for cell in code(notebook) if "gb.compare(" in cell.source]
    assert "its site 'spread' (Normal) takes all real numbers" in refused.outputs[-1].text
    assert "text/html" in compared.outputs[-1].data
