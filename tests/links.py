"""Whether the links of a page lead anywhere, for pages in Markdown and for notebooks."""

from __future__ import annotations

import json
import re
from pathlib import Path

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)", re.MULTILINE)


def find_dead_links(text: str, page: Path) -> list[str]:
    """Targets in a page's text, other hosts' left out, of which the file or the heading is not there."""
    return [target for target in LINK.findall(text) if not re.match(r"https?:", target) and not _leads_somewhere(target, page)]


def _leads_somewhere(target: str, page: Path) -> bool:
    name, _, heading = target.partition("#")
    file = page.parent / name if name else page
    call = _call_in_notebook if file.suffix == ".ipynb" else _call_on_page
    return file.exists() and (not heading or heading in map(call, HEADING.findall(_read(file))))


def _read(file: Path) -> str:
    if file.suffix != ".ipynb":
        return file.read_text()
    cells = json.loads(file.read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def _call_on_page(heading: str) -> str:
    """A heading as links to a page name it, by GitHub's rule."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _call_in_notebook(heading: str) -> str:
    """A heading as links to a notebook name it, by JupyterLab's rule: capitals and marks stay."""
    return heading.replace(" ", "-")
