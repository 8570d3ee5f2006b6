"""Exercises judge the final state: solutions pass, stubs do not, and typical mistakes get their own hint."""

from __future__ import annotations

import base64
import json

import pytest

import netkit
from netkit.errors import NetkitError
from netkit.exercises import EXERCISES
from netkit.exercises.check import _misses, check, gather
from netkit.exercises.judging import Verdict, judge
from netkit.exercises.progress import read_progress, record
from netkit.laboratory.lab import open_lab
from tests.attempts import ATTEMPTS, SOLUTIONS, STUBS
from tests.shares import share


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    """Progress of tests is nobody's, and each begins with the first hint."""
    _misses.clear()
    monkeypatch.setenv("NETKIT_PROGRESS", str(tmp_path / "progress.json"))
    return tmp_path / "progress.json"


SOLVED = ""
MISTAKES = [(number, name) for number in sorted(EXERCISES) for name in ATTEMPTS[number]]


def _try(number: str, name: str) -> tuple[Verdict | None, Verdict, Verdict]:
    """In a lab as a kernel opens it, the stub and the solution, or the mistake: what is said before, then at the first and second check."""
    exercise, change = EXERCISES[number], ATTEMPTS[number][name][0] if name else ("", "")
    with open_lab(2, start=1) as lab:
        lab["node1"].run(STUBS.get(number, "true"))
        before = None if name else judge(exercise, gather(lab))
        attempt = SOLUTIONS[number].replace(*change) if name else "set -e\n" + SOLUTIONS[number]
        lab["node1"].run(attempt, check=not name)
        evidence = gather(lab)
        return before, judge(exercise, evidence), judge(exercise, evidence, attempt=2)


def _tell(pair: tuple[str, str]) -> str:
    return f"{pair[0]}-{pair[1] or 'solution'}"


@pytest.mark.once
@pytest.mark.parametrize("pair", [(number, SOLVED) for number in sorted(EXERCISES)], ids=_tell)
def test_a_solution_passes(pair):
    """The stub alone does not; with the reference solution after it, every criterion is met."""
    before, after, _ = _try(*pair)
    assert not before and before.hint and before.found
    assert after, after.text()


@pytest.mark.parametrize("pair", share(MISTAKES), ids=_tell)
def test_a_typical_mistake_gets_its_own_hint(pair):
    """What was done instead is recognised; a second failure gets a stronger hint, another one than the first."""
    number, name = pair
    change, expected = ATTEMPTS[number][name]
    assert SOLUTIONS[number].replace(*change) != SOLUTIONS[number]
    _, first, second = _try(*pair)
    assert not first and expected in first.text(), first.text()
    assert first.hint in first.text() and second.stronger in second.text() and first.text() != second.text()


@pytest.mark.once
def test_a_second_failure_gets_the_stronger_hint():
    """Until it is solved; what was checked is kept."""
    with open_lab(1) as lab:
        first, second = check("1.1", lab=lab), check("1.1", lab=lab)
        assert first.hint in first.text() and second.stronger in second.text() and first.hint not in second.text()
        lab["node1"].run("set -e\n" + SOLUTIONS["1.1"])
        assert check("1.1", lab=lab) and read_progress()["1.1"].passed
        lab["node1"].run("docker rm -f hand")
        again = check("1.1", lab=lab)
        assert again.hint in again.text() and read_progress()["1.1"].passed


@pytest.mark.once
def test_every_exercise_has_enough_mistakes():
    """At least three typical wrong answers an exercise, each with a hint of its own."""
    for number in EXERCISES:
        expected = [hint for _, hint in ATTEMPTS[number].values()]
        assert len(set(expected)) == len(expected) >= 3, number


@pytest.mark.once
def test_an_unknown_exercise_is_refused_by_name():
    """The nearest numbers are named."""
    with pytest.raises(NetkitError, match=r"no exercise '1.9': did you mean 1\."):
        check("1.9")


@pytest.mark.once
@pytest.mark.parametrize("content", ["", "nonsense", "[1, 2]", '{"1.1": 5}', '{"1.1": {"checks": "many"}}', "\0\0\0", "[" * 5000])
def test_a_corrupt_progress_file_stops_nobody(content, own_progress):
    """It is put aside, and a new one begun."""
    own_progress.write_text(content)
    assert read_progress() == {}
    assert record("1.1", True).passed
    assert read_progress()["1.1"].checks == 1
    if content:
        assert own_progress.with_suffix(".broken").read_text() == content


@pytest.mark.once
def test_progress_that_cannot_be_written_stops_nobody(monkeypatch):
    """An unwritable place costs the record, not the verdict."""
    monkeypatch.setenv("NETKIT_PROGRESS", "/proc/nowhere/progress.json")
    assert record("1.1", False).checks == 1


@pytest.mark.once
def test_progress_is_a_picture_and_a_text():
    """Every exercise is in both; what is solved, tried and open differs by more than colour."""
    record("1.1", True)
    record("1.2", False)
    shown, _ = netkit.progress()._repr_mimebundle_()
    assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")
    text = shown["text/plain"]
    assert "1.1 a container wired by hand: solved" in text and "1.2 the same on a bridge of your own: tried" in text
    assert "1.3 why does it not work?: not tried yet" in text and "01 How Docker implements networking: 1 of 4 solved" in text


@pytest.mark.once
def test_progress_survives_and_counts(own_progress):
    """Checks, and that it was passed once, whatever comes after."""
    for passed in (False, False, True, False):
        record("1.2", passed)
    assert json.loads(own_progress.read_text())["1.2"] == {"checks": 4, "passed": True}
