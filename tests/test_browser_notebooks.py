"""Every notebook in JupyterLab, in a real browser: it runs, shows its figures, and complains of nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from tests.browsing import NOTEBOOKS, Cell, NotebookPage, Workbench
from tests.patience import patiently

NAMES = [path.name for path in reversed(NOTEBOOKS)]  # the long ones first
AT_ONCE = 2  # tabs
LONGEST = patiently(240)  # seconds for one notebook, on a machine that is slow and busy with others
RAISES = "raises-exception"  # the tag by which Jupyter knows a cell that is meant to fail
LEAST = 200  # CSS pixels: a figure narrower than this is not shown


@dataclass(frozen=True, slots=True)
class Seen:
    """What a notebook was like after all its cells had run."""

    cells: tuple[Cell, ...]
    figures: dict[int, list[dict[str, float]]]  # by the index of the cell that shows them
    complaints: tuple[str, ...]
    foreign: tuple[str, ...]


@pytest.fixture(scope="module")
def seen(request, workbench) -> dict[str, Seen]:
    """All notebooks that were chosen, run in tabs of one server, some at once."""
    items = [item for item in request.session.items if "seen" in getattr(item, "fixturenames", ())]
    chosen = {item.callspec.params["name"] for item in items}
    waiting = [name for name in NAMES if name in chosen]
    running: list[NotebookPage] = []
    found: dict[str, Seen] = {}
    deadline = time.monotonic() + LONGEST * len(waiting)
    while waiting or running:
        if waiting and len(running) < AT_ONCE:
            page = workbench.open_notebook(waiting.pop(0))
            page.start_all()
            running.append(page)
        for page in [page for page in running if page.is_idle()]:
            found[page.name] = _look(page)
            running.remove(page)
            workbench.close_notebook(page)
        assert time.monotonic() < deadline, f"not done: {[page.name for page in running]}"
        time.sleep(0.1)
    return found


def _look(page: NotebookPage) -> Seen:
    cells = page.cells()
    figures = {cell.index: page.figures(cell.index) for cell in cells if cell.figures}
    return Seen(cells, figures, tuple(page.complaints), tuple(page.foreign))


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_in_the_browser(seen, name):
    """Every cell has run, once and in order, and none ended in an error that it is not known for."""
    code = [cell for cell in seen[name].cells if cell.kind == "code"]
    assert [cell.count for cell in code] == list(range(1, len(code) + 1))
    failed = {cell.count: cell.errors for cell in code if cell.errors and RAISES not in cell.tags}
    assert not failed


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_shows_its_figures(seen, name):
    """Every picture among the outputs has been decoded, is visible, and is not cut or squeezed out of shape."""
    notebook = seen[name]
    for cell in notebook.cells:
        shown = notebook.figures.get(cell.index, [])
        assert len(shown) == cell.figures, f"cell {cell.count} shows {len(shown)} of {cell.figures} figures"
        for figure in shown:
            assert figure["natural_width"] > 0 and figure["width"] >= LEAST, f"cell {cell.count}: {figure}"
            stretched = figure["width"] / figure["natural_width"] * figure["natural_height"] / figure["height"]
            assert stretched == pytest.approx(1, abs=0.02), f"cell {cell.count}: {figure}"


@pytest.mark.parametrize("name", NAMES)
def test_the_browser_complains_of_nothing(seen, name):
    """No error in the console, no failed request, and nothing asked of anybody but the server itself."""
    assert seen[name].complaints == ()
    assert seen[name].foreign == ()


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
