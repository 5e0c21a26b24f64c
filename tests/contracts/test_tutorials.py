"""The tutorials run as they are printed."""

import json
from pathlib import Path

import pytest

from conf.settings import ROOT

NOTEBOOKS = sorted(ROOT.glob("docs/tutorials/*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_of_a_notebook_run_in_order(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # Without Jupyter, which nothing else here needs: a cell is Python.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names: dict[str, object] = {"__name__": "notebook"}

    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], "committed without outputs"
            code = compile(
                "".join(cell["source"]), f"{path.name} cell {number}", "exec"
            )
            exec(code, names)  # noqa: S102 (it is the tutorial)
