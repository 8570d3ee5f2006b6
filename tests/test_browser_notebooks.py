"""Every notebook in JupyterLab, in a real browser: it runs, shows its figures, and complains of nothing."""

from __future__ import annotations

import pytest

from tests.browsing import NOTEBOOKS, Workbench
from tests.shares import share

NAMES = [path.name for path in NOTEBOOKS]
RAISES = "raises-exception"  # the tag by which Jupyter knows a cell that is meant to fail
LEAST = 200  # CSS pixels: a figure narrower than this is not shown


@pytest.mark.parametrize("name", share(NAMES)[::-1])  # the long ones first
def test_a_notebook_runs_in_the_browser(workbench: Workbench, name):
    """All cells run, in order and without a surprise, every figure is seen as it is, and the browser complains of nothing."""
    page = workbench.open_notebook(name)
    page.run_all()
    cells = page.cells()
    figures = {cell.index: page.figures(cell.index) for cell in cells if cell.figures}
    complaints, foreign = page.complaints, page.foreign
    workbench.close_notebook(page)

    code = [cell for cell in cells if cell.kind == "code"]
    assert [cell.count for cell in code] == list(range(1, len(code) + 1))
    assert not {cell.count: cell.errors for cell in code if cell.errors and RAISES not in cell.tags}
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
