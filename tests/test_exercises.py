"""Exercises judge the final state: solutions pass, stubs do not, and typical mistakes get their own hint."""

from __future__ import annotations

import base64
import json

import pytest

import netkit
from netkit.errors import NetkitError
from netkit.exercises.book import EXERCISES
from netkit.exercises.check import _failures, check
from netkit.exercises.progress import read_progress, record
from netkit.lab.lab import open_lab
from tests.attempts import ATTEMPTS, SOLUTIONS, STUBS


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    """Progress of tests is nobody's, and each begins with the first hint."""
    _failures.clear()
    monkeypatch.setenv("NETKIT_PROGRESS", str(tmp_path / "progress.json"))
    return tmp_path / "progress.json"


@pytest.mark.parametrize("number", sorted(EXERCISES))
def test_a_solution_passes(number):
    """The stub alone does not; with the reference solution after it, every criterion is met."""
    with open_lab(2) as lab:
        lab["node1"].run(STUBS.get(number, "true"))
        before = check(number, lab=lab)
        assert not before and before.hint and before.found
        lab["node1"].run("set -e\n" + SOLUTIONS[number])
        after = check(number, lab=lab)
        assert after, after.text()
        assert read_progress()[number].passed


@pytest.mark.parametrize("number, name", [(number, name) for number in sorted(ATTEMPTS) for name in ATTEMPTS[number]])
def test_a_typical_mistake_gets_its_own_hint(number, name):
    """What was done instead is recognised; a second failure gets a stronger hint, another one than the first."""
    change, expected = ATTEMPTS[number][name]
    with open_lab(2) as lab:
        lab["node1"].run(STUBS.get(number, "true"))
        attempt = SOLUTIONS[number].replace(*change)
        assert attempt != SOLUTIONS[number]
        lab["node1"].run(attempt, check=False)
        first, second = check(number, lab=lab), check(number, lab=lab)
        assert not first and expected in first.text(), first.text()
        assert first.hint in first.text() and second.stronger in second.text() and first.text() != second.text()


def test_every_exercise_has_enough_mistakes():
    """At least three typical wrong answers an exercise, each with a hint of its own."""
    for number in EXERCISES:
        expected = [hint for _, hint in ATTEMPTS[number].values()]
        assert len(set(expected)) == len(expected) >= 3, number


def test_an_unknown_exercise_is_refused_by_name():
    """The nearest numbers are named."""
    with pytest.raises(NetkitError, match=r"no exercise '1.9': did you mean 1\."):
        check("1.9")


@pytest.mark.parametrize("content", ["", "nonsense", "[1, 2]", '{"1.1": 5}', '{"1.1": {"checks": "many"}}', "\0\0\0", "[" * 5000])
def test_a_corrupt_progress_file_stops_nobody(content, own_progress):
    """It is put aside, and a new one begun."""
    own_progress.write_text(content)
    assert read_progress() == {}
    assert record("1.1", True).passed
    assert read_progress()["1.1"].checks == 1
    if content:
        assert own_progress.with_suffix(".broken").read_text() == content


def test_progress_that_cannot_be_written_stops_nobody(monkeypatch):
    """An unwritable place costs the record, not the verdict."""
    monkeypatch.setenv("NETKIT_PROGRESS", "/proc/nowhere/progress.json")
    assert record("1.1", False).checks == 1


def test_progress_is_a_picture_and_a_text():
    """Every exercise is in both; what is solved, tried and open differs by more than colour."""
    record("1.1", True)
    record("1.2", False)
    shown, _ = netkit.progress()._repr_mimebundle_()
    assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")
    text = shown["text/plain"]
    assert "1.1 a container wired by hand: solved" in text and "1.2 the same on a bridge of your own: tried" in text
    assert "1.3 why does it not work?: not tried yet" in text and "1 of 4 solved" in text


def test_progress_survives_and_counts(own_progress):
    """Checks, and that it was passed once, whatever comes after."""
    for passed in (False, False, True, False):
        record("1.2", passed)
    assert json.loads(own_progress.read_text())["1.2"] == {"checks": 4, "passed": True}
