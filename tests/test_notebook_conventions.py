"""Every notebook keeps the workshop's conventions, and the linter notices one that does not."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbval.plugin import get_sanitize_patterns

pytestmark = pytest.mark.once


def _load(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ROOT = Path(__file__).resolve().parent.parent
lint = _load("lint_notebooks", ROOT / "tests/lint_notebooks.py")
tool = _load("execute_notebooks", ROOT / "tools/execute_notebooks.py")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OPENING = "# Title\n\n" + "\n\n".join(f"**{words}.** Something." for words in lint.OPENING)
CLOSING = "\n\n".join(f"## {words}\n\nSomething." for words in lint.CLOSING)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_keeps_the_conventions(path: Path) -> None:
    """No check of the linter finds anything."""
    assert lint.check_all(nbformat.read(path, as_version=4), path) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_in_normal_form(path: Path) -> None:
    """What is committed is what tools/execute_notebooks.py writes."""
    notebook = nbformat.read(path, as_version=4)
    tool.normalise(notebook)
    assert path.read_text(encoding="utf-8") == nbformat.writes(notebook) + "\n"


def _notebook(*code: str, opening: str = OPENING, closing: str = CLOSING) -> nbformat.NotebookNode:
    """A notebook that is as it should be, but for what the caller changes."""
    cells = [new_code_cell(source, execution_count=count) for count, source in enumerate(code or ("1 + 1",), 1)]
    notebook = new_notebook(cells=[new_markdown_cell(opening), *cells, new_markdown_cell(closing)])
    notebook.metadata.kernelspec = {"name": "netkit", "display_name": "netkit", "language": "python"}
    return notebook


def _ignore(cell: nbformat.NotebookNode) -> None:
    cell.metadata.tags = [lint.IGNORE_TAG]


def test_a_good_notebook_passes(tmp_path: Path) -> None:
    """The checks below fail for their own reason only."""
    assert lint.check_all(_notebook(), tmp_path / "a.ipynb") == []


def test_another_kernel_is_noticed() -> None:
    """A notebook saved with the wrong kernel would run outside of any lab."""
    notebook = _notebook()
    notebook.metadata.kernelspec.name = "python3"
    assert lint.check_kernel(notebook)


@pytest.mark.parametrize("words", lint.OPENING)
def test_a_missing_promise_is_noticed(words: str) -> None:
    """Each part of the opening is asked for."""
    assert lint.check_opening(_notebook(opening=OPENING.replace(words, "Nothing"))) == [f"its first cell does not say '{words}'"]


@pytest.mark.parametrize("words", lint.CLOSING)
def test_a_missing_last_section_is_noticed(words: str) -> None:
    """Each closing section is asked for."""
    assert lint.check_closing(_notebook(closing=CLOSING.replace(words, "Nothing")))


def test_a_long_cell_is_noticed() -> None:
    """Fifteen lines are the limit."""
    assert lint.check_lengths(_notebook("\n".join(["1"] * 15))) == []
    assert lint.check_lengths(_notebook("1", "\n".join(["1"] * 16))) == ["code cell 2 has 16 lines, more than 15"]


def test_a_long_explanation_is_noticed() -> None:
    """A hundred and twenty words are the limit."""
    notebook = _notebook()
    notebook.cells.insert(1, new_markdown_cell("**Explain.** " + "word " * 120))
    assert lint.check_explanations(notebook)


@pytest.mark.parametrize("counts", [(1, 3), (2, 3), (None, None), (2, 1)])
def test_a_notebook_run_out_of_order_is_noticed(counts: tuple) -> None:
    """Execution counts are 1, 2, 3, …"""
    notebook = _notebook("1", "2")
    for cell, count in zip(notebook.cells[1:3], counts, strict=True):
        cell.execution_count = count
    assert lint.check_executed(notebook)


def test_a_failed_cell_is_noticed() -> None:
    """An error left in an output is not a lesson."""
    notebook = _notebook()
    notebook.cells[1].outputs = [new_output("error", ename="ValueError", evalue="", traceback=[])]
    assert lint.check_executed(notebook) == ["code cell 1 has failed: ValueError"]


def test_uncompared_outputs_are_few_and_say_why() -> None:
    """One in ten, with a reason; and a reason only where it is true."""
    good = _notebook("# not compared: it differs by engine\n1", *["2"] * 9)
    _ignore(good.cells[1])
    assert lint.check_ignored(good) == []
    for cell in good.cells[2:3]:
        _ignore(cell)
    assert len(lint.check_ignored(good)) == 2
    assert lint.check_ignored(_notebook("# not compared: it differs by engine\n1"))


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    """Links within the project are followed, to headings too; those to other hosts are not."""
    closing = "[a](b.md#part) [c](https://example.com/) [d](#Further-reading) [e](#here)\n\n" + CLOSING
    notebook, path = _notebook(closing=closing), tmp_path / "a.ipynb"
    nbformat.write(notebook, path)
    assert lint.check_links(notebook, path) == ["its link b.md#part leads nowhere", "its link #here leads nowhere"]
    (tmp_path / "b.md").write_text("# Part\n")
    assert lint.check_links(notebook, path) == ["its link #here leads nowhere"]


def test_normal_form_is_stable() -> None:
    """Normalising twice is normalising once, and one changed cell changes one id."""
    notebook = _notebook("1", "1", "2")
    tool.normalise(notebook)
    ids = [cell.id for cell in notebook.cells]
    tool.normalise(notebook)
    assert [cell.id for cell in notebook.cells] == ids and len(set(ids)) == len(ids)
    notebook.cells[3].source = "3"
    tool.normalise(notebook)
    assert [cell.id == old for cell, old in zip(notebook.cells, ids, strict=True)] == [True, True, True, False, True]


def test_normal_form_joins_a_stream() -> None:
    """Where a stream was cut is chance, the order of two streams is not."""
    notebook = _notebook()
    pieces = [("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d")]
    notebook.cells[1].outputs = [new_output("stream", name=name, text=text) for name, text in pieces]
    tool.normalise(notebook)
    assert [(out.name, out.text) for out in notebook.cells[1].outputs] == [("stdout", "ab"), ("stderr", "c"), ("stdout", "d")]


RULES = (ROOT / "tests/sanitize.cfg").read_text(encoding="utf-8")


def _sanitise(text: str) -> str:
    for regex, replace in get_sanitize_patterns(RULES):
        text = re.sub(regex, replace, text)
    return text


def test_nbval_sees_every_rule() -> None:
    """nbval overlooks what it cannot read, such as a rule that replaces by nothing."""
    assert len(get_sanitize_patterns(RULES)) == len(re.findall(r"(?m)^\[", RULES))


@pytest.mark.parametrize(
    "fact",
    [
        "02:00:00:00:00:0a dev red-port master sw",
        "inet 172.17.0.2/16 brd 172.17.255.255 scope global eth0",
        "default via 172.17.0.1 dev eth0",
        "1 packets transmitted, 0 received, 100% packet loss",
        "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
        "IP 192.168.59.254 > 192.168.59.1: ICMP echo request",
        "--dport 33000",
        "veth pair, 12:34, port 80, 2 packets dropped",
        "[2:168] -A FORWARD",
        "64 bytes from 172.17.0.1: seq=0 ttl=64",
        "from port 4789, to port 33000",
        "veth pair to eth0 of container web: 10.0.9.2/24 and 10.0.9.9/32",
        "veth pair to eth0 of lb over: 10.0.9.2/24",
    ],
)
def test_sanitising_leaves_facts_alone(fact: str) -> None:
    """A rule that eats a fact would make a wrong output pass."""
    assert _sanitise(fact) == fact


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5: veth0123abc@if4: <UP>", "17: vethfedcba9@if2: <UP>"),
        ("time=0.031 ms", "time=12 ms"),
        ("net:[4026531840]", "net:[4026532999]"),
        ("docker0\t\t8000.0242e036bca3\tno", "docker0\t\t8000.1266e3ba3651\tno"),
        ("IP 192.168.59.254.33870 > 192.168.59.1.8080: tcp 0", "IP 192.168.59.254.60999 > 192.168.59.1.8080: tcp 0"),
        (
            "3cce3300  root  20.10.24    0m03s    0        -        node1 outside",
            "0cce330f  user  28.5.2      1m13s    0        a.ipynb  node1 outside",
        ),
        ("from port 38549, to port 4789, VXLAN", "from port 60001, to port 4789, VXLAN"),
        ("a" * 64, "0123456789abcdef" * 4),
        ("lo UNKNOWN\ntunl0@NONE DOWN\nsit0@NONE DOWN\neth0 UP\n", "lo UNKNOWN\neth0 UP\n"),
        ("to eth0 of lb over: 10.0.9.2/24, 10.0.9.9/32 and 10.0.9.12/32\n", "to eth0 of lb over: 10.0.9.2/24\n"),
    ],
)
def test_sanitising_hides_what_is_chance(one: str, other: str) -> None:
    """The same output of two runs compares as equal."""
    assert _sanitise(one) == _sanitise(other)
