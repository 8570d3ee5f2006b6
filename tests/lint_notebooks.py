"""What every notebook of the workshop has in common, as functions that return what is wrong.

Each takes a notebook (and its path, where that matters) and returns sentences, none if all is well.
"""

from __future__ import annotations

import re
from pathlib import Path

from nbformat import NotebookNode

from tests.links import find_dead_links

KERNEL = "netkit"
OPENING = ("What you will do", "What you will learn", "What you need", "How long")
CLOSING = ("Questions", "In practice", "Further reading")
MOST_LINES = 15
MOST_WORDS = 120
IGNORE_TAG = "nbval-ignore-output"
REASON = re.compile(r"^# not compared: \S.{10,}", re.MULTILINE)


def check_all(notebook: NotebookNode, path: Path) -> list[str]:
    """Everything below."""
    checks = (check_kernel, check_opening, check_closing, check_lengths, check_explanations, check_executed, check_ignored)
    return [problem for check in checks for problem in check(notebook)] + check_links(notebook, path)


def check_kernel(notebook: NotebookNode) -> list[str]:
    """Opened anywhere, the notebook asks for the kernel that lives in a lab."""
    name = notebook.metadata.get("kernelspec", {}).get("name")
    return [] if name == KERNEL else [f"its kernelspec is {name!r}, not {KERNEL!r}"]


def check_opening(notebook: NotebookNode) -> list[str]:
    """The first cell is a title, and says what awaits the reader."""
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown" or not first.source.startswith("# "):
        return ["its first cell is not a title"]
    return [f"its first cell does not say '{words}'" for words in OPENING if f"**{words}.**" not in first.source]


def check_closing(notebook: NotebookNode) -> list[str]:
    """The last sections are the same in every notebook, in the same order."""
    headings = [line[3:].strip() for cell in _markdown(notebook) for line in cell.source.splitlines() if line.startswith("## ")]
    found = tuple(headings[-len(CLOSING) :])
    return [] if found == CLOSING else [f"it ends with the sections {found}, not {CLOSING}"]


def check_lengths(notebook: NotebookNode) -> list[str]:
    """A cell shows one idea."""
    return [
        f"code cell {number} has {len(cell.source.splitlines())} lines, more than {MOST_LINES}"
        for number, cell in enumerate(_code(notebook), 1)
        if len(cell.source.splitlines()) > MOST_LINES
    ]


def check_explanations(notebook: NotebookNode) -> list[str]:
    """An explanation is short, or it is two."""
    paragraphs = [part for cell in _markdown(notebook) for part in cell.source.split("\n\n") if part.startswith("**Explain.**")]
    return [
        f"an explanation has {len(part.split())} words, more than {MOST_WORDS}: {part[:60]}…"
        for part in paragraphs
        if len(part.split()) > MOST_WORDS
    ]


def check_executed(notebook: NotebookNode) -> list[str]:
    """Committed as one run from top to bottom has left it, and without an error."""
    cells = _code(notebook)
    counts = [cell.execution_count for cell in cells]
    problems = [] if counts == list(range(1, len(cells) + 1)) else [f"its execution counts are not 1 to {len(cells)}: {counts}"]
    for number, cell in enumerate(cells, 1):
        problems += [f"code cell {number} has failed: {out.ename}" for out in cell.outputs if out.output_type == "error"]
    return problems


def check_ignored(notebook: NotebookNode) -> list[str]:
    """At most one output in ten goes uncompared, each for a reason that the reader sees too."""
    cells = _code(notebook)
    ignored = [(number, cell) for number, cell in enumerate(cells, 1) if IGNORE_TAG in cell.metadata.get("tags", [])]
    problems = [] if 10 * len(ignored) <= len(cells) else [f"{len(ignored)} of {len(cells)} outputs are not compared"]
    problems += [f"code cell {number} is not compared and does not say why" for number, cell in ignored if not REASON.search(cell.source)]
    marked = [number for number, cell in enumerate(cells, 1) if REASON.search(cell.source)]
    claimed = set(marked) - {number for number, _ in ignored}
    return problems + [f"code cell {number} says it is not compared, but it is" for number in sorted(claimed)]


def check_links(notebook: NotebookNode, path: Path) -> list[str]:
    """A link within the project leads to a file, and to a heading that it has."""
    text = "\n".join(cell.source for cell in _markdown(notebook))
    return [f"its link {target} leads nowhere" for target in find_dead_links(text, path)]


def _code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _markdown(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]
