"""The package stays one that a reader can hold: lines and files by room, short files and functions, no circles."""

from __future__ import annotations

import ast
import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from netkit.laboratory.lab import open_lab
from tools.count_files import count_ways

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "netkit"
# lines of code by cloc, and files: a room that grows is a decision
ROOMS = {
    "": (787, 13),
    "exercises": (1295, 10),
    "figure": (1480, 11),
    "hosts": (874, 8),
    "kernelspec": (7, 1),
    "laboratory": (2133, 24),
    "labsettings": (4, 1),
    "liveview": (890, 6),
    "network": (1625, 12),
    "operator": (1687, 13),
    "packets": (319, 3),
    "tracing": (1095, 8),
}
TWINS = {"__init__.py", "__main__.py"}
WAYS = {"capture().draw()": 25, "trace(…).text()": 35, "trace(…) in a cell": 35}

pytestmark = pytest.mark.once


def _find_modules() -> dict[str, Path]:
    """Every module of the package, by its dotted name."""
    paths = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in paths.items()}


def test_each_room_keeps_its_budget():
    """No room has more lines and files than were decided, and together they are the 12,200 lines and 110 files at most."""
    told = subprocess.run(["cloc", "--json", "--by-file", "--quiet", PACKAGE], capture_output=True, text=True, check=True).stdout
    lines, files = Counter(), Counter()
    for name, facts in json.loads(told).items():
        if name not in ("header", "SUM"):
            room, _, _ = Path(name).relative_to(PACKAGE).as_posix().rpartition("/")
            room = room.split("/")[0]
            lines[room] += facts["code"]
            files[room] += 1
    grown = {room: (lines[room], files[room]) for room in lines if lines[room] > ROOMS[room][0] or files[room] > ROOMS[room][1]}
    assert not grown, f"more than decided: {grown}"
    assert sum(most for most, _ in ROOMS.values()) <= 12_200 and sum(most for _, most in ROOMS.values()) <= 110


def test_files_and_functions_are_short():
    """No file has more than 300 lines, no function more than 40 without its docstring."""
    for path in (each for each in PACKAGE.rglob("*") if each.suffix in (".py", ".js", ".css")):
        text = path.read_text()
        assert text.count("\n") <= 300, path
        for node in ast.walk(ast.parse(text)) if path.suffix == ".py" else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                told = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) else 0
                assert node.end_lineno - node.lineno + 1 - told <= 40, f"{path}: {node.name}"


def test_no_two_files_share_a_name():
    """Who reads a file's name knows which one is meant."""
    names = Counter(path.name for path in PACKAGE.rglob("*.*") if path.suffix != ".pyc" and path.name not in TWINS)
    assert [name for name, times in names.items() if times > 1] == []


def _find_imports(name: str, path: Path, modules: dict[str, Path]) -> set[str]:
    """The package's modules that a module imports, in its functions too, but for type checkers alone."""
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    typed = {
        id(each)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for each in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typed:
            continue
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named = {f"{node.module}.{each.name}" for each in node.names}
            found |= {each if each in modules else node.module for each in named}
    return {each for each in found if each in modules and each not in ("netkit", name)}


def test_imports_have_no_circle():
    """No module needs itself, through whatever others, and whether it says so at its top or in a function."""
    modules = _find_modules()
    wants = {name: _find_imports(name, path, modules) for name, path in modules.items()}
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for each in sorted(wants[name]):
                walk(each, (*way, name))
            done.add(name)

    for name in sorted(modules):
        walk(name, ())


def test_a_reader_follows_a_call_through_few_files():
    """A capture that is drawn and a trace that is told run through no more files than somebody can read on an afternoon."""
    with open_lab(2) as lab:
        for name, files in count_ways(lab).items():
            assert len(files) <= WAYS[name], f"{name}: {len(files)} files, {sorted(files)}"
