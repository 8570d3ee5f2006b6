"""The book is made by one command, has everything the notebooks have, and needs nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    """A freshly made one; Sphinx's warnings, such as a dead link, are errors."""
    place = tmp_path_factory.mktemp("book") / "html"
    done = subprocess.run([ROOT / "workshop", "book", place], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return place


def test_the_contents_name_every_notebook(book):
    """The first page links to each by its title."""
    page = (book / "index.html").read_text()
    for path in NOTEBOOKS:
        title = nbformat.read(path, 4).cells[0].source.partition("\n")[0].removeprefix("# ")
        assert re.search(rf'href="{re.escape(path.stem)}\.html">{re.escape(title)}</a>', page), title


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_page_has_every_figure_and_its_words(book, path):
    """As many pictures as the notebook has, each there as a file; the folded solutions are folded."""
    page = (book / f"{path.stem}.html").read_text()
    notebook = nbformat.read(path, 4)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    sources = re.findall(r'<img[^>]* src="(_images/[^"]+)"', page)
    assert len(sources) == len(figures) and all((book / source).is_file() for source in sources)
    assert page.count("<details") >= sum(cell.source.count("<details>") for cell in notebook.cells)


def test_reading_it_asks_nothing_of_other_hosts(book):
    """No script, style, font or picture from elsewhere: it can be read on a train."""
    for page in book.glob("*.html"):
        text = page.read_text()
        assert not re.findall(r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//', text), page.name
        assert not re.findall(r'<link[^>]* rel="stylesheet"[^>]* href="(?:https?:)?//', text), page.name
        assert not re.findall(r"@import\s+url\(.?https?:", text), page.name
