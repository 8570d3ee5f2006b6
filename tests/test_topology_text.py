"""A topology in words: complete, stable, readable."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from netkit.errors import NetkitError
from netkit.network.describe import to_text
from netkit.network.select import SHOW
from netkit.network.words import plain
from tests import topologies
from tests.random_topologies import random_topology
from tests.topologies import EXAMPLES, machine

pytestmark = pytest.mark.once

ROUNDS = 15
WORKSHOP = """\
LAN 192.168.59.0/24: node1 192.168.59.1, node2 192.168.59.2, outside 192.168.59.254
node1: eth0 192.168.59.1/24 on the LAN
  bridge docker0: 172.17.0.1/16, network bridge
    veth pair to eth0 of container probe: 172.17.0.2/16
  bridge of shop: 172.18.0.1/16, network shop
    veth pair to eth0 of container db: 172.18.0.3/16
    veth pair to eth0 of container web: 172.18.0.2/16
  container db: network shop, default gateway 172.18.0.1
  container probe: network bridge, default gateway 172.17.0.1
  container web: network shop, default gateway 172.18.0.1
    port 8080/tcp of node1 leads to port 80
  packets from 172.17.0.0/16 are masqueraded unless they leave by docker0
  packets from 172.18.0.0/16 are masqueraded unless they leave by bridge of shop
  no packet is forwarded between docker0 and bridge of shop
node2: eth0 192.168.59.2/24 on the LAN
  bridge docker0: 172.17.0.1/16, network bridge
    veth pair to eth0 of container app: 172.17.0.3/16
    veth pair to eth0 of container probe: 172.17.0.4/16
    veth pair to eth0 of container web: 172.17.0.2/16
  container app: network bridge, default gateway 172.17.0.1
  container probe: network bridge, default gateway 172.17.0.1
  container web: network bridge, default gateway 172.17.0.1
    port 8080/tcp of node2 leads to port 80
  packets from 172.17.0.0/16 are masqueraded unless they leave by docker0
outside: eth0 192.168.59.254/24 on the LAN, no Docker node"""
MODES = """\
  container alone: mode none, nothing but a loopback
  container job: exited, mode bridge
  container probe: mode host, in the node's own network namespace
  container sidecar: shares the network namespace of container web
  container web: network bridge, default gateway 172.17.0.1
    port 8080/tcp of node1 leads to port 80"""
# what differs between two labs with one network: drawn veths and bridges, MACs, ids, link-local addresses
DRAWN = re.compile(r"veth[0-9a-f]{7}\b|br-[0-9a-f]{12}|([0-9a-f]{2}:){5}[0-9a-f]{2}|[0-9a-f]{25,}|fe80::")


def test_the_text_of_a_lab_reads_well():
    """A lab of two nodes and six containers is told like this, and fits a screen."""
    assert to_text(topologies.workshop()) == WORKSHOP
    assert len(WORKSHOP.splitlines()) <= 40


def test_the_modes_of_containers_are_told():
    """Each mode of a container is told by what it means for the network."""
    assert MODES in to_text(topologies.modes())


def test_those_whose_owner_has_begun_anew_are_told_as_left_behind():
    """Containers that shared another's namespace, which it has left, are not told as sharing that of some process."""
    text = to_text(topologies.left_behind())
    assert "  container web: in a network namespace that its container has left" in text.splitlines()
    assert "process" not in text


@pytest.mark.parametrize(
    ("example", "line"),
    [
        ("swarm", "node1: eth0 192.168.59.1/24 on the LAN, swarm manager and leader"),
        ("swarm", "  overlay over: the hidden namespace of network over, 10.0.1.0/24, attachable"),
        ("swarm", "      vxlan0, VTEP, VNI 4097, UDP port 4789"),
        ("swarm", "      veth pair to eth0 of lb over: 10.0.1.13/24"),
        ("swarm", "service hello: replicated, 3 replicas, network over"),
        ("swarm", "  task hello.2 on node2: running"),
        ("macvlan", "    eth0: 192.168.59.128/24, macvlan in mode bridge on eth0 of node1"),
        ("macvlan", "  network lan: macvlan, 192.168.59.0/24, on eth0"),
        ("broken", "node4: not started yet"),
        ("broken", "node3: down: its first process has ended: killed by signal 9"),
        ("handmade", "    veth-green, veth pair to eth0 of netns green: 10.1.0.2/24"),
        ("handmade", "    veth-red: 10.0.0.1/24, veth pair to veth-blue of netns blue"),
        ("handmade", "  netns empty: nothing but a loopback"),
        ("bare", "  bridge docker0: 172.17.0.1/16, network bridge, no port"),
        ("two_networks", "  bridge of back: 172.19.0.1/16, network back, internal"),
    ],
)
def test_what_there_is_is_told(example, line):
    """Each kind of thing has its line."""
    assert line in to_text(EXAMPLES[example]()).splitlines()


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "hostile"])
def test_nothing_drawn_by_lot_is_told(name):
    """By default no id, MAC address, drawn name, version, image or link-local address is told."""
    text = to_text(EXAMPLES[name]())
    assert not DRAWN.search(text)
    assert "28.5" not in text and "busybox" not in text


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_container_and_address_is_told(name):
    """By default every node, container and address but those of loopbacks is told."""
    topology = EXAMPLES[name]().canonical()
    text = to_text(topology)
    for node in topology.nodes:
        assert plain(node.name) in text
        assert all(plain(container.name) in text for container in node.containers)
    for _, interface in topology.ends():
        assert interface.kind == "loopback" or all(str(address) in text for address in interface.addresses)


@pytest.mark.parametrize("word", SHOW)
def test_an_option_adds_lines_and_takes_none(word):
    """With an option more is told, in the same order."""
    topology = topologies.two_networks()
    few = [re.split(r"[,:]", line)[0] for line in to_text(topology).splitlines()]
    more = [re.split(r"[,:]", line)[0] for line in to_text(topology, show=["addresses", word]).splitlines()]
    rest = iter(more)
    assert all(line in rest for line in few)


def test_rules_routes_and_macs_are_told_on_request():
    """What was asked for is told, in words and with the rules as they are."""
    topology = topologies.single()
    text = to_text(topology, show="all")
    assert "  policies: filter FORWARD DROP (IPv4)" in text
    assert "    4 nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE" in text
    assert "    default route by 172.17.0.1 on eth0" in text
    assert "MAC 02:42:" in text and "engine 28.5.2" in text and "image busybox" in text


def test_a_node_can_be_told_alone():
    """With a node, no other one is told of."""
    text = to_text(topologies.workshop(), node="node2")
    assert text.splitlines()[1:] == WORKSHOP.splitlines()[14:24]


def test_a_focus_keeps_what_it_is_joined_to():
    """With a focus, the container, its bridge and the way out are told, and no other container."""
    text = to_text(topologies.two_networks(), focus=["web"])
    assert "bridge of front" in text and "eth0 192.168.59.1/24" in text and "port 8080/tcp" in text
    assert "container db" not in text and "docker0" not in text
    assert "container sidecar" in to_text(topologies.modes(), focus=["web"])
    assert "netns red" in to_text(topologies.handmade(), focus=["blue"])


@pytest.mark.parametrize("asked", [{"show": ["colour"]}, {"node": "node9"}, {"focus": ["nobody"]}, {"node": "node2", "focus": ["db"]}])
def test_unknown_names_are_refused(asked):
    """An unknown option, node or container raises an error that says what there is."""
    with pytest.raises(NetkitError, match=r"there is (nothing called|no node|no container or namespace) .*: there is \w+"):
        to_text(topologies.workshop(), **asked)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("web", "web"),
        ("商店 🐳", "商店 🐳"),
        ("two\nlines", "two\\nlines"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202egnp", "\\u202egnp"),
        ("back\\slash", "back\\\\slash"),
        ("zero\u200bwidth\u2028", "zero\\u200bwidth\\u2028"),
        ("\ud800", "\\ud800"),
        (" ", '" "'),
        ("", ""),
    ],
)
def test_names_cannot_break_a_line(name, told):
    """What does not print in a name is told as an escape, everything else as it is."""
    assert plain(name) == told


def test_hostile_names_make_no_lines(seeded):
    """Whatever things are called, every character of the text prints, and each line is of the text's own making."""
    for topology in [topologies.hostile(), *(random_topology(seeded) for _ in range(ROUNDS))]:
        text = to_text(topology, show="all")
        assert all(line.isprintable() for line in text.split("\n"))
        assert text == text.rstrip()


def test_the_text_is_the_same_for_the_canonical_topology(seeded):
    """Nothing in the text depends on names that the canonical topology does not have."""
    for _ in range(ROUNDS):
        topology = random_topology(seeded)
        assert to_text(topology) == to_text(topology.canonical())


def test_a_container_that_does_not_run_is_told():
    """A created container is told with its networks and state."""
    found = topologies.join(machine().run("web", "bridge"))
    (node,) = found.nodes
    container = replace(node.containers[0], state="created", sandbox=None)
    topology = replace(found, nodes=(replace(node, containers=(container,)),))
    assert "  container web: created, network bridge" in to_text(topology)
