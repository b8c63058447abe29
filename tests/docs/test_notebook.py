"""The notebook of the documentation runs, and shows tables and figures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

PATH = Path(__file__).resolve().parents[2] / "docs" / "notebook.ipynb"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each code cell shows: MIME type to content."""
    notebook = nbformat.read(PATH, as_version=4)
    resources = {"metadata": {"path": str(tmp_path_factory.mktemp("notebook"))}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert all(len(each) == 1 for each in outputs), "a warning, or nothing"
    return [dict(each[0].data) for each in outputs]


def test_it_is_stored_without_outputs() -> None:
    notebook = nbformat.read(PATH, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.cell_type == "markdown" or (cell.outputs, cell.execution_count) == ([], None)


def test_it_shows_tables_and_figures(shown: list[dict[str, Any]]) -> None:
    pair, result, frame, figure, closed, again = shown
    assert pair["text/plain"].startswith("Pair(")
    for table in (result, closed):
        assert "<td>rmg</td>" in table["text/html"]
        assert not re.search(r"style|color|#[0-9a-f]{3}", table["text/html"])
    assert "<table" in frame["text/html"]
    for each in (figure, again):
        assert each["image/png"].startswith("iVBORw0KGgo")
    before, after = (
        float(re.search(r"<td>l2m</td><td>([\d.e-]+)", each["text/html"])[1])  # type: ignore[index]
        for each in (result, closed)
    )
    assert after < 0.1 * before
