"""A diff misses nothing, says it once, and says it in words; backwards it says the opposite."""

from __future__ import annotations

import random
from dataclasses import FrozenInstanceError, replace

import pytest

from netkit.network.difference import OPPOSITE, Change, calc_diff
from netkit.network.model import (
    Topology,
)
from tests import topologies
from tests.random_topologies import mutate, random_topology, shuffle
from tests.topologies import EXAMPLES

pytestmark = pytest.mark.once

ROUNDS = 20


def _random_pair(rng: random.Random) -> tuple[Topology, Topology]:
    """Two topologies: unrelated ones, or one that became the other in a few steps."""
    before = random_topology(rng)
    if rng.random() < 0.3:
        return before, random_topology(rng)
    after = before
    for _ in range(rng.randint(1, 6)):
        after, _what = mutate(after, rng)
    return before, after


def _tell(changes: tuple[Change, ...], backwards: bool = False) -> list[tuple]:
    """What the changes are, or would be if time ran backwards."""
    told = []
    for change in changes:
        places = (change.was, change.about) if backwards and change.kind == "moved" else (change.about, change.was)
        told.append((OPPOSITE[change.kind] if backwards else change.kind, *places, sorted(change.also), change.told_with))
    return sorted(told)


def test_there_are_no_changes_exactly_if_equal(seeded):
    """A diff is empty if the two are equal, and only then."""
    for _ in range(ROUNDS):
        before, after = _random_pair(seeded)
        assert bool(calc_diff(before, after).changes) == (before != after)
        assert calc_diff(before, shuffle(before, seeded)).changes == ()


def test_backwards_it_is_the_mirror(seeded):
    """Backwards, what appeared vanished, what moved moved back, and all else is the same."""
    for _ in range(ROUNDS):
        before, after = _random_pair(seeded)
        forwards, backwards = calc_diff(before, after).changes, calc_diff(after, before).changes
        assert _tell(forwards, backwards=True) == _tell(backwards)


def test_backwards_it_says_the_opposite(seeded):
    """The sentence on what vanished is that on what appeared, but for this word."""
    for _ in range(ROUNDS):
        before, after = _random_pair(seeded)
        appeared = {each.words for each in calc_diff(before, after).changes if " appeared" in each.words and each.kind == "appeared"}
        vanished = {each.words for each in calc_diff(after, before).changes if each.kind == "vanished"}
        assert {words.replace(" appeared", " vanished", 1) for words in appeared} <= vanished


@pytest.mark.parametrize("one", sorted(set(EXAMPLES) - {"folded"}))
def test_examples_differ_from_each_other(one):
    """From each example to each other there are changes, and a text without line breaks or escapes of its own."""
    for other in set(EXAMPLES) - {"folded", "crowd"}:
        diff = calc_diff(EXAMPLES[one](), EXAMPLES[other]())
        assert bool(diff) == (one != other)
        text = diff.text(macs=True, learned=True, rules=True)
        assert all(line.isprintable() for line in text.split("\n"))


def test_every_change_is_told_with_all_options(seeded):
    """With every option, the text has a line for every change."""
    for _ in range(ROUNDS):
        diff = calc_diff(*_random_pair(seeded))
        lines = diff.text(macs=True, learned=True, rules=True).splitlines()
        assert all(change.words in lines for change in diff.changes)


def test_it_is_a_value():
    """A diff is frozen, true if there are changes, and shows itself shortly."""
    diff = calc_diff(topologies.bare(), topologies.bare())
    assert not diff and diff.changes == () and diff.text() == "nothing changed" and repr(diff) == "<Diff: 0 changes>"
    one = calc_diff(topologies.bare(), replace(topologies.bare(), lan=None))
    assert one and repr(one) == "<Diff: 1 change>"
    with pytest.raises(FrozenInstanceError):
        one.changes = ()
