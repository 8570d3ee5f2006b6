"""Topologies are values: frozen, equal when the networks are, and the same after a way through JSON."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import random
import typing
from typing import Any

import pytest

from netkit.network import model
from netkit.network.capture import Topology
from netkit.network.describe import to_text
from netkit.network.difference import calc_diff
from netkit.network.model import Interface
from netkit.network.select import SHOW
from tests.random_topologies import mutate, random_topology, shuffle
from tests.topologies import EXAMPLES
from tests.variations import edit

pytestmark = pytest.mark.once

ROUNDS = 25


def _tell_apart(value: Any) -> Any:
    """A value with all its fields, those that do not count included, as plain tuples."""
    if dataclasses.is_dataclass(value):
        return (type(value).__name__, *((each.name, _tell_apart(getattr(value, each.name))) for each in dataclasses.fields(value)))
    return tuple(map(_tell_apart, value)) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", EXAMPLES)
def test_json_keeps_everything_of_an_example(name):
    """An example is the same after a way through JSON, ids and interface numbers included."""
    topology = EXAMPLES[name]()
    assert _tell_apart(Topology.from_json(topology.to_json())) == _tell_apart(topology)


def test_json_keeps_everything(seeded):
    """Any topology is the same after a way through JSON, ids and interface numbers included."""
    for _ in range(ROUNDS):
        topology = random_topology(seeded)
        again = Topology.from_json(topology.to_json(indent=seeded.choice((None, 1))))
        assert again == topology
        assert _tell_apart(again) == _tell_apart(topology)


def test_json_with_anything_wrong_is_refused_by_name(seeded):
    """JSON that was tampered with gives a topology or a ValueError that names the place, and no other error."""
    text = random_topology(seeded).to_json()
    for _ in range(ROUNDS * 5):
        broken = json.dumps(edit(json.loads(text), seeded))
        try:
            topology = Topology.from_json(broken)
        except ValueError as error:
            assert str(error).startswith("Topology"), broken
        else:
            assert Topology.from_json(topology.to_json()) == topology
            assert to_text(topology, show=["all"])


@pytest.mark.parametrize("text", ["", "[", "[]", "1", '"x"', "null", "[" * 100_000, '{"nodes":' * 5_000, "\ud800"])
def test_what_is_no_topology_is_refused(text):
    """Text that is no topology raises ValueError, whatever it is."""
    with pytest.raises(ValueError, match="Topology"):
        Topology.from_json(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"nodes": [{"name": 1}]}', "Topology.nodes[0].name: 1 is no str"),
        ('{"nodes": [{"name": "a", "colour": "red"}]}', "Topology.nodes[0]: there is no 'colour' here"),
        ('{"lan": {"subnet": "10.0.0.1/24"}}', "Topology.lan.subnet: "),
        ('{"lan": {"subnet": 10}}', "Topology.lan.subnet: 10 is no address"),
        ('{"nodes": [{"name": "a", "address": true}]}', "Topology.nodes[0].address: True is no address"),
        ('{"services": [{"name": "a", "mode": "b", "vips": [["x"]]}]}', "Topology.services[0].vips[0]: 1 values instead of 2"),
        ('{"nodes": [{}]}', "Topology.nodes[0]: "),
    ],
)
def test_an_error_names_the_place(text, place):
    """The error for JSON that does not fit begins with the place that does not."""
    with pytest.raises(ValueError) as error:
        Topology.from_json(text)
    assert str(error.value).startswith(place)


def test_what_is_drawn_by_lot_does_not_count(seeded):
    """The same network with other order, numbers, ids and drawn names is equal, hashes and reads the same, and has no diff."""
    for _ in range(ROUNDS):
        topology = random_topology(seeded)
        again = shuffle(topology, seeded)
        assert again == topology
        assert hash(again) == hash(topology)
        assert calc_diff(topology, again).changes == ()
        for word in set(SHOW) - {"macs", "all"}:
            assert to_text(again, show=[word]) == to_text(topology, show=[word])


def test_everything_else_counts(seeded):
    """A network that differs in one thing, whatever it is, is not equal and has a diff."""
    for _ in range(ROUNDS * 2):
        topology = random_topology(seeded)
        other, what = mutate(topology, seeded)
        assert other != topology, what
        assert calc_diff(topology, other).changes, what
        assert calc_diff(other, topology), what


def test_topologies_made_by_lot_have_everything():
    """Every class of the model is in some of them, so the tests that change one thing get to all there is."""
    reached, rng = set(), random.Random(1)
    for _ in range(120):
        topology = random_topology(rng).canonical()
        waiting: list[Any] = [topology]
        while waiting:
            value = waiting.pop()
            if dataclasses.is_dataclass(value):
                reached.add(type(value))
                waiting += [getattr(value, each.name) for each in dataclasses.fields(value)]
            elif isinstance(value, tuple):
                waiting += value
    classes = {each for each in vars(model).values() if isinstance(each, type) and dataclasses.is_dataclass(each)}
    assert reached == classes - {model.Topology} | {Topology}


def test_canonical_names_are_final(seeded):
    """Giving telling names to what has them already changes nothing."""
    for _ in range(ROUNDS):
        once = random_topology(seeded).canonical()
        assert _tell_apart(once.canonical()) == _tell_apart(once)


def test_values_are_frozen(seeded):
    """No field of any part of a topology can be set, and no attribute be added."""
    waiting: list[Any] = [random_topology(seeded)]
    while waiting:
        value = waiting.pop()
        if dataclasses.is_dataclass(value):
            for each in dataclasses.fields(value):
                with pytest.raises(dataclasses.FrozenInstanceError):
                    setattr(value, each.name, None)
                waiting.append(getattr(value, each.name))
            assert not hasattr(value, "__dict__")
        elif isinstance(value, tuple):
            waiting += value


def test_fields_are_of_their_types(seeded):
    """Addresses are address objects, collections are tuples: everything in a topology can be hashed."""
    topology = random_topology(seeded)
    hints = typing.get_type_hints(Interface)
    for _, interface in topology.ends():
        assert isinstance(interface.addresses, tuple)
        assert all(isinstance(each, ipaddress.IPv4Interface | ipaddress.IPv6Interface) for each in interface.addresses)
        assert interface.peer is None or isinstance(interface.peer, typing.get_args(hints["peer"])[0])
        hash(interface)


def test_references_of_random_topologies_lead_somewhere(seeded):
    """In a topology made by lot each veth pair is mutual, and masters and parents exist."""
    for _ in range(ROUNDS):
        topology = shuffle(random_topology(seeded), seeded)
        for end, interface in topology.ends():
            if interface.peer:
                assert topology.at(interface.peer).peer == end
            if interface.master:
                assert topology.at(dataclasses.replace(end, interface=interface.master)).kind == "bridge"
            assert interface.parent is None or topology.at(interface.parent)
