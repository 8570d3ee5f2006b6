"""Stubs and reference solutions of the exercises, as the notebooks have them, and typical mistakes.

A mistake is a replacement in the solution: {exercise: {mistake: ((what of the solution, what instead),
what the learner reads)}}.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat

from tests.attempts import chapter01, chapter02, chapter03, chapter04, chapter05

ATTEMPTS = chapter01.ATTEMPTS | chapter02.ATTEMPTS | chapter03.ATTEMPTS | chapter04.ATTEMPTS | chapter05.ATTEMPTS
SOLUTIONS: dict[str, str] = dict(chapter01.SOLUTIONS)
STUBS: dict[str, str] = {}
for _path in sorted(Path(__file__).parents[2].glob("notebooks/*.ipynb")):
    for _cell in nbformat.read(_path, 4).cells:
        STUBS |= {tag[5:]: _cell.source.removeprefix("%%bash\n") for tag in _cell.metadata.get("tags", ()) if tag.startswith("stub-")}
        SOLUTIONS |= dict(re.findall(r"Solution of (\d+\.\d+):.*?```bash\n(.*?)```", _cell.source, re.DOTALL))
