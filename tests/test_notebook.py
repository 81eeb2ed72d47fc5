"""The tutorial runs, cell by cell, in a kernel of its own."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

NOTEBOOK = Path(__file__).parent.parent / "docs/tutorial.ipynb"


def test_the_tutorial_runs_and_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parent.parent))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "runs/tutorial/report.html").is_file()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    data = [output.get("data", {}) for output in outputs]
    told = "".join(output.get("text", "") for output in outputs) + "".join(d.get("text/plain", "") for d in data)
    for words in ("evaluations in", "duration, ps:", "Å on transition paths", "pip install nglview"):
        assert words in told
    assert sum("image/png" in d for d in data) == 2, "the map, and the free energy"
    assert sum("<table>" in d.get("text/html", "") for d in data) == 2, "the run, and its paths"
