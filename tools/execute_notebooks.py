#!/usr/bin/env python3
"""Run notebooks again, each in a lab of its own, and write them back with the outputs.

    .venv/bin/python tools/execute_notebooks.py [NOTEBOOK...]    all of notebooks/ unless told
    .venv/bin/python tools/execute_notebooks.py --check ...      only say which ones would change

What is written is normalised, so that a change of one cell is a small difference in git: cell ids are
made from the cells' sources, times and interpreter versions are left out, and pieces of one stream are
joined. A notebook in which a cell fails is not written.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
KERNEL = "netkit"
WIDGET = "application/vnd.jupyter.widget-view+json"
CELL_TIMEOUT = 60  # seconds, as under nbval
KERNELSPEC = {"display_name": "node1 (netkit lab)", "language": "python", "name": KERNEL}


def execute(notebook: nbformat.NotebookNode, directory: Path) -> None:
    """Run all cells in a fresh lab, in place; raises nbclient's errors."""
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name=KERNEL,
        resources={"metadata": {"path": str(directory)}},
        record_timing=False,
    )
    with tempfile.TemporaryDirectory(prefix="netkit-progress-") as progress:
        os.environ["NETKIT_PROGRESS"] = os.path.join(progress, "progress.json")  # nobody has solved these exercises
        client.execute()


def normalise(notebook: nbformat.NotebookNode) -> None:
    """Leave only what belongs to the notebook's text and outputs, in place. May be repeated."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": {"name": "python", "pygments_lexer": "ipython3"}})
    used: set[str] = set()
    count = 0
    for cell in notebook.cells:
        cell.id = _calc_id(cell.source, used)
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = _join_streams(cell.outputs)
            for output in cell.outputs:
                output.get("data", {}).pop(WIDGET, None)  # its model ends with the kernel: text and image stay
                if output.output_type == "execute_result":
                    output.execution_count = count


def _calc_id(source: str, used: set[str]) -> str:
    """Eight hexadecimal digits from a cell's source; the same source a second time gets others."""
    number = 0
    while True:
        found = hashlib.sha256(f"{number}{source}".encode()).hexdigest()[:8]
        if found not in used:
            used.add(found)
            return found
        number += 1


def _join_streams(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """How a stream was cut into messages is chance: one output for each run of the same stream."""
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last is not None and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def main() -> int:
    """Run what the command line names; returns 1 if a notebook failed, or would change under --check."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="all of notebooks/ unless given")
    parser.add_argument("--check", action="store_true", help="run nothing: say which notebooks are not in normal form")
    options = parser.parse_args()
    status = 0
    for path in options.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        begun = time.monotonic()
        try:
            if not options.check:
                execute(notebook, path.resolve().parent)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            print(f"{path}: not written\n{error}", file=sys.stderr)
            status = 1
            continue
        before = path.read_text(encoding="utf-8")
        normalise(notebook)
        after = nbformat.writes(notebook) + "\n"
        changed = before != after
        if options.check:
            status |= changed
        elif changed:
            path.write_text(after, encoding="utf-8")
        verdict = ("differs" if options.check else "written") if changed else "unchanged"
        print(f"{path}: {verdict}" + ("" if options.check else f", {time.monotonic() - begun:.1f} s"))
    return status


if __name__ == "__main__":
    sys.exit(main())
