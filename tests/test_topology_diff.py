"""A diff misses nothing, says it once, and says it in words; backwards it says the opposite."""

from __future__ import annotations

import random
from dataclasses import FrozenInstanceError, replace

import pytest

from netkit.network import describe, describe_kernel
from netkit.network.difference import Change, calc_diff
from netkit.network.model import Endpoint, Interface, Topology
from tests import topologies
from tests.random_topologies import mutate, random_topology, shuffle
from tests.topologies import EXAMPLES
from tests.variations import draw_mac, mutate_each, transform

pytestmark = pytest.mark.once

ROUNDS = 20
OPPOSITE = {"appeared": "vanished", "vanished": "appeared", "changed": "changed", "moved": "moved"}
EVERYTHING = {"macs": True, "learned": True, "rules": True}


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


def _mirror(text: str) -> list[str]:
    """The lines of a diff with + and - exchanged; of other lines the sign alone."""
    return sorted({"+": "-", "-": "+"}[line[0]] + line[1:] if line[0] in "+-" else line[0] for line in text.split("\n"))


def test_there_are_no_changes_exactly_if_equal(seeded):
    """A diff is empty if the two are equal, and only then."""
    for _ in range(ROUNDS):
        before, after = _random_pair(seeded)
        assert bool(calc_diff(before, after)) == (before != after)
        assert not calc_diff(before, shuffle(before, seeded))


def _find_missed(rng: random.Random) -> set[str]:
    """Fields whose difference is not told, or not seen at all."""
    seen, missed = set(), set()
    for topology in (topologies.swarm(), topologies.modes(), topologies.macvlan()):
        for other, what in mutate_each(topology, rng):
            if what not in seen and calc_diff(topology, other).text(**EVERYTHING) == "nothing changed":
                missed.add(what)
            seen.add(what)
    return missed


def test_every_field_is_told(seeded):
    """A difference in any field of any class of the model is a change, and is told."""
    assert _find_missed(seeded) == set()


def test_a_field_without_words_would_be_missed(seeded, monkeypatch):
    """Without the clauses on what the text does not tell, fields are missed: the test above can fail."""
    for module in (describe, describe_kernel):
        monkeypatch.setattr(module, "tell_rest", lambda *_: [])
    assert {"Route.scope", "Network.scope"} <= _find_missed(seeded)


def test_whatever_is_different_is_told(seeded):
    """One field that differs, whichever it is, is told, by itself and also beside another difference."""
    for _ in range(ROUNDS):
        before = random_topology(seeded)
        one, what = mutate(before, seeded)
        both, other = mutate(one, seeded)
        first = calc_diff(before, one)
        assert first.text(**EVERYTHING) != "nothing changed", what
        if all(change.kind == "changed" for change in first.changes):  # what is new is told as a whole, like in a text
            assert calc_diff(before, both).text(**EVERYTHING) != first.text(**EVERYTHING), (what, other)


def test_random_macs_are_told_on_request_only(seeded):
    """Two labs with one network differ in the MAC addresses of containers, and by default nothing is told of that."""
    before = topologies.workshop()

    def change(part):
        is_veth = isinstance(part, Interface) and part.kind == "veth" and part.mac
        return replace(part, mac=draw_mac(seeded)) if is_veth or (isinstance(part, Endpoint) and part.mac) else part

    diff = calc_diff(before, transform(before, change))
    assert diff and diff.text() == "nothing changed" and diff.marks() == {}
    assert "container web" in diff.text(macs=True)


def test_backwards_it_is_the_mirror(seeded):
    """Backwards, what appeared vanished, what moved moved back, all else is the same, and the text has + and - exchanged."""
    for _ in range(ROUNDS):
        before, after = _random_pair(seeded)
        forwards, backwards = calc_diff(before, after), calc_diff(after, before)
        assert _tell(forwards.changes, backwards=True) == _tell(backwards.changes)
        assert _mirror(forwards.text(**EVERYTHING)) == sorted(
            line if line[0] in "+-" else line[0] for line in backwards.text(**EVERYTHING).split("\n")
        )


@pytest.mark.parametrize("one", sorted(set(EXAMPLES) - {"folded"}))
def test_examples_differ_from_each_other(one):
    """From each example to each other there are changes, and a text without line breaks or escapes of its own."""
    for other in set(EXAMPLES) - {"folded", "crowd"}:
        diff = calc_diff(EXAMPLES[one](), EXAMPLES[other]())
        assert bool(diff) == (one != other)
        assert all(line.isprintable() for line in diff.text(**EVERYTHING).split("\n"))


def test_it_is_a_value():
    """A diff is frozen, true if there are changes, and shows itself shortly."""
    diff = calc_diff(topologies.bare(), topologies.bare())
    assert not diff and diff.changes == () and diff.text() == "nothing changed" and repr(diff) == "<Diff: 0 changes>"
    one = calc_diff(topologies.bare(), replace(topologies.bare(), lan=None))
    assert one and repr(one) == "<Diff: 1 change>"
    with pytest.raises(FrozenInstanceError):
        one.changes = ()
