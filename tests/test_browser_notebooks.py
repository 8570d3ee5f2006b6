"""Every notebook in JupyterLab, in a real browser: it runs, says what is committed, shows its figures, and complains of nothing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns

from tests.browsing import NOTEBOOKS, Workbench, read_text
from tests.cells import find_lacking
from tests.shares import share

RAISES = "raises-exception"  # the tag by which Jupyter knows a cell that is meant to fail
IGNORED = "nbval-ignore-output"
LEAST = 200  # CSS pixels: a figure narrower than this is not shown
SUBSTITUTIONS = get_sanitize_patterns((Path(__file__).parent / "sanitize.cfg").read_text())


def _tell(outputs: Iterable[dict]) -> dict[str, str]:
    """What nbval compares of a cell's outputs: the text of each stream, of values and of errors, after the substitutions."""
    told: dict[str, str] = defaultdict(str)
    for output in outputs:
        # JupyterLab keeps line feeds alone
        told[output.get("name", output["output_type"])] += read_text(output).replace("\r\n", "\n")
    for pattern, instead in SUBSTITUTIONS:
        told = {kind: re.sub(pattern, instead, text) for kind, text in told.items()}
    return told


@pytest.mark.parametrize("path", share(NOTEBOOKS)[::-1], ids=lambda path: path.name)  # the long ones first
def test_a_notebook_runs_in_the_browser(workbench: Workbench, path):
    """All cells run, in order and to the committed outputs, every figure is seen as it is, and the browser complains of nothing."""
    page = workbench.open_notebook(path.name)
    page.run_all()
    cells = page.cells()
    figures = {cell.index: page.figures(cell.index) for cell in cells if cell.figures}
    complaints, foreign = page.complaints, page.foreign
    workbench.close_notebook(page)

    code = [cell for cell in cells if cell.kind == "code"]
    assert [cell.count for cell in code] == list(range(1, len(code) + 1))
    committed = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    for cell, one in zip(code, committed, strict=True):
        assert RAISES in cell.tags or not cell.errors, f"cell {cell.count}: {cell.errors}"
        assert IGNORED in cell.tags or find_lacking(cell.tags) or _tell(cell.outputs) == _tell(one.outputs), f"cell {cell.count}"
    for cell in cells:
        shown = figures.get(cell.index, [])
        assert len(shown) == cell.figures, f"cell {cell.count} shows {len(shown)} of {cell.figures} figures"
        for figure in shown:  # it has been decoded, is visible, and is neither cut nor squeezed out of shape
            assert figure["natural_width"] > 0 and figure["width"] >= LEAST, f"cell {cell.count}: {figure}"
            stretched = figure["width"] / figure["natural_width"] * figure["natural_height"] / figure["height"]
            assert stretched == pytest.approx(1, abs=0.02), f"cell {cell.count}: {figure}"
    assert complaints == []
    assert foreign == [], "something was asked of somebody else than the server itself"


def test_a_terminal_is_in_the_notebooks_lab(workbench: Workbench):
    """A terminal of JupyterLab is node1 of the open notebook's lab: it sees what a cell has made, and the cell what it makes."""
    page = workbench.open_notebook("00-start-here.ipynb")
    assert page.type_cell("!docker run -d --name made-in-a-cell busybox sleep 600 >/dev/null; hostname").text == "node1\n"
    terminal = page.open_terminal()
    terminal.expect("root@node1")
    terminal.type("docker ps --format 'it sees {{.Names}}'; docker network create --label at=$(hostname) made-in-a-terminal\n")
    terminal.expect("it sees made-in-a-cell")
    terminal.type("echo $((40 + 2)) done\n")
    terminal.expect("42 done")
    page.show()
    listed = page.type_cell("%%bash\ndocker network ls --filter label=at=node1 --format '{{.Name}}'")
    assert listed.text == "made-in-a-terminal\n"
    workbench.close_notebook(page)
