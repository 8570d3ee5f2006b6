"""What each step of a learner's does is told in words that name the kernel's objects, once."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from netkit.network.difference import calc_diff
from netkit.network.model import (
    HOST,
    BridgePort,
    End,
    Firewall,
    ForwardingEntry,
    Interface,
    NetworkNamespace,
    Node,
    Policy,
    Route,
    Topology,
)
from tests import topologies
from tests.topologies import join, machine

pytestmark = pytest.mark.once

A = Interface(name="A", kind="veth", mac="02:00:00:00:00:0a", state="down", peer=End(node="node1", namespace=HOST, interface="B"))
B = Interface(name="B", kind="veth", mac="02:00:00:00:00:0b", state="down", peer=End(node="node1", namespace=HOST, interface="A"))
LOOPBACK = Interface(name="lo", kind="loopback", mac="00:00:00:00:00:00")


def _on_node1(topology: Topology, change: Callable[[Node], Node]) -> Topology:
    """The topology with its first node replaced."""
    return replace(topology, nodes=(change(topology.nodes[0]), *topology.nodes[1:]))


def _in(topology: Topology, stack: str, change: Callable[[NetworkNamespace], NetworkNamespace]) -> Topology:
    """The topology with a namespace of its first node replaced."""
    return _on_node1(
        topology, lambda node: replace(node, namespaces=tuple(change(each) if each.name == stack else each for each in node.namespaces))
    )


def _set(topology: Topology, stack: str, interface: str, **settings: Any) -> Topology:
    """The topology with an interface set differently."""
    return _in(
        topology,
        stack,
        lambda found: replace(
            found, interfaces=tuple(replace(each, **settings) if each.name == interface else each for each in found.interfaces)
        ),
    )


def _add(topology: Topology, stack: str, **more: tuple) -> Topology:
    """The topology with more interfaces, routes or rows in a namespace."""
    return _in(topology, stack, lambda found: replace(found, **{name: getattr(found, name) + new for name, new in more.items()}))


def _filter(topology: Topology, **facts: Any) -> Topology:
    return _in(topology, HOST, lambda found: replace(found, firewall=replace(found.firewall or Firewall(), **facts)))


def _lines(before: Topology, after: Topology, **options: bool) -> list[str]:
    return calc_diff(before, after).text(**options).splitlines()


DOWN = _set(join(machine()), HOST, "docker0", state="down")
WEB = "container web appeared: its own network namespace, eth0 172.17.0.2/16 joined by a veth pair to docker0"


def test_docker_run():
    """A container that appears brings its namespace, interface and cable along; the bridge it plugs into comes up."""
    diff = calc_diff(DOWN, join(machine().run("web", "bridge")))
    assert diff.text().splitlines() == [f"node1: {WEB}", "  default gateway 172.17.0.1", "node1: docker0 is up now (was: down, no port)"]
    assert diff.changes[0].about == "node1/container web"
    assert set(diff.changes[0].also) == {"node1/container web/eth0", "node1/host/veth of web eth0"}
    assert diff.marks()["node1/host/veth of web eth0"] == "appeared"


def test_publish():
    """A published port is told with its container, or alone if the container was there."""
    published = join(machine().run("web", "bridge", ports=[(8080, 80)]))
    assert "  default gateway 172.17.0.1, port 8080/tcp of node1 leads to port 80" in _lines(DOWN, published)
    lines = _lines(join(machine().run("web", "bridge")), published)
    assert lines == ["node1: port 8080/tcp leads to 172.17.0.2:80", "node1: container web: port 8080/tcp of node1 leads to port 80"]


@pytest.mark.parametrize(
    ("mode", "stack", "words"),
    [
        ("host", HOST, "in node1's own network namespace"),
        ("container:web", "container web", "it shares the network namespace of container web"),
        ("bridge", None, "running, without a network namespace"),
    ],
)
def test_containers_without_a_stack_of_their_own(mode, stack, words):
    """A container that shares a stack says whose."""
    before, after = machine().run("web", "bridge"), machine().run("web", "bridge").add("side", mode, stack)
    assert _lines(join(before), join(after)) == [f"node1: container side appeared: {words}"]


def test_container_without_a_network():
    """A container in mode none has a stack with nothing in it."""
    words = "node1: container job appeared: its own network namespace, nothing but a loopback"
    assert _lines(join(machine()), join(machine().run("job"))) == [words]


def test_network_create():
    """A network that appears names its bridge and what the packet filter does for it; nothing of it is told twice."""
    before, after = join(machine().run("web", "bridge")), join(machine().bridge("shop").run("web", "bridge"))
    assert _lines(before, after) == [
        "node1: network shop appeared: bridge of shop with 172.18.0.1/16",
        "  packets from 172.18.0.0/16 are masqueraded unless they leave by bridge of shop",
        "  no packet is forwarded between it and docker0",
    ]
    places = ("node1/host/bridge of shop", "node1/host/masquerade 172.18.0.0/16")
    assert calc_diff(before, after).changes[0].also == places


def test_network_connect_and_disconnect():
    """A container that joins a network gets an interface there; leaving it is the same backwards."""
    before = join(machine().bridge("shop").run("web", "bridge"))
    after = join(machine().bridge("shop").run("web", "bridge", "shop"))
    interface = "network shop: eth1 172.18.0.2/16 joined by a veth pair to bridge of shop"
    assert f"node1: container web joined {interface}" in _lines(before, after)
    assert f"node1: container web left {interface}" in _lines(after, before)
    routes = "default route by 172.18.0.1 on eth1 now (was: default route by 172.17.0.1 on eth0)"
    assert f"node1: in container web, there is a {routes}" in _lines(before, after)


def test_stop_and_start():
    """A container that stops loses its stack, and gets it back when it starts."""
    runs = join(machine().run("web", "bridge"))

    def stop(node: Node) -> Node:
        (container,) = node.containers
        endpoints = tuple(replace(each, interface=None, addresses=()) for each in container.endpoints)
        return replace(
            node,
            namespaces=tuple(each for each in node.namespaces if each.kind == HOST),
            containers=(replace(container, state="exited", sandbox=None, endpoints=endpoints),),
        )

    stopped = _in(_on_node1(runs, stop), HOST, lambda found: replace(found, interfaces=tuple(i for i in found.interfaces if not i.peer)))
    stack = "its own network namespace, eth0 172.17.0.2/16 joined by a veth pair to docker0"
    assert _lines(runs, stopped)[0] == f"node1: container web is exited now (was: running); gone: {stack}"
    assert _lines(stopped, runs)[0] == f"node1: container web is running now (was: exited): {stack}"
    assert len(calc_diff(runs, stopped).changes) == 1


def _wire_by_hand() -> dict[str, Topology]:
    """The steps of wiring a namespace by hand, each as the topology after it."""
    steps = {"begin": join(machine().run("web", "bridge"))}
    red = NetworkNamespace(name="netns red", kind="named", interfaces=(LOOPBACK,))
    steps["ip netns add"] = _on_node1(steps["begin"], lambda node: replace(node, namespaces=(*node.namespaces, red)))
    steps["ip link add"] = _add(steps["ip netns add"], HOST, interfaces=(A, B))
    moved = _add(steps["ip netns add"], HOST, interfaces=(replace(A, peer=End(node="node1", namespace="netns red", interface="eth0")),))
    steps["ip link set netns"] = _add(moved, "netns red", interfaces=(replace(B, name="eth0"),))
    address = (ipaddress.ip_interface("10.0.0.2/24"),)
    steps["ip addr add"] = _set(steps["ip link set netns"], "netns red", "eth0", addresses=address)
    local = ipaddress.ip_interface("fe80::ff:fe00:b/64")
    up = _set(steps["ip addr add"], "netns red", "eth0", up=True, state="up", addresses=(*address, local))
    routes = [Route(destination=each.network, interface="eth0", source=each.ip, scope="link") for each in (*address, local)]
    steps["ip link set up"] = _add(up, "netns red", routes=tuple(routes))
    port = BridgePort(state="forwarding")
    plugged = _set(steps["ip link set up"], HOST, "A", up=True, state="up", master="docker0", port=port)
    own = ForwardingEntry(mac=A.mac, port="A", owner="docker0", kind="permanent")
    steps["ip link set master"] = _add(plugged, HOST, forwarding=(own,))
    learned = ForwardingEntry(mac=B.mac, port="A", owner="docker0", kind="learned")
    steps["ping"] = _add(steps["ip link set master"], HOST, forwarding=(learned,))
    return steps


@pytest.mark.parametrize(
    ("step", "lines"),
    [
        ("ip netns add", ["node1: netns red appeared: a network namespace with nothing but a loopback, which is down"]),
        ("ip link add", ["node1: a veth pair appeared: A of node1, down, and B of node1, down"]),
        ("ip link set netns", ["node1: B moved from node1 to netns red and is called eth0 there"]),
        ("ip addr add", ["node1: eth0 of netns red got the address 10.0.0.2/24"]),
        (
            "ip link set up",
            ["node1: eth0 of netns red is up now (was: down)", "  there is a route to 10.0.0.0/24 on eth0 now"],
        ),
        ("ip link set master", ["node1: A is up now (was: down); is a port of docker0 now"]),
        ("ping", ["nothing changed"]),
    ],
)
def test_wiring_by_hand(step, lines):
    """Each step of wiring by hand is told by what it did, in one sentence."""
    steps = _wire_by_hand()
    before = list(steps)[list(steps).index(step) - 1]
    assert _lines(steps[before], steps[step]) == lines


def test_moved_interface():
    """An interface in another namespace is one change, which knows both places."""
    steps = _wire_by_hand()
    (change,) = calc_diff(steps["ip link add"], steps["ip link set netns"]).changes
    assert (change.kind, change.was, change.about) == ("moved", "node1/host/B", "node1/netns red/eth0")
    (back,) = calc_diff(steps["ip link set netns"], steps["ip link add"]).changes
    assert (back.kind, back.was, back.about) == ("moved", "node1/netns red/eth0", "node1/host/B")


def test_moved_and_set_differently():
    """What is also different about an interface that moved is told with the move."""
    steps = _wire_by_hand()
    (change,) = calc_diff(steps["ip link add"], steps["ip addr add"]).changes
    assert change.details == ("got the address 10.0.0.2/24",)


def test_a_container_with_the_address_of_another_is_no_move():
    """Engines give a MAC address again with its address: another container's interface has not moved."""
    one, other = join(machine().run("web", "bridge")), join(machine().run("db", "bridge"))
    mac = one.nodes[0].namespace("container web").interface("eth0").mac
    other = _set(other, "container db", "eth0", mac=mac)
    assert {change.kind for change in calc_diff(one, other).changes} == {"appeared", "vanished"}


def test_what_fills_by_itself_is_told_on_request():
    """Learned rows, and what follows from random MAC addresses, are changes that only an option tells."""
    steps = _wire_by_hand()
    diff = calc_diff(steps["ip link set master"], steps["ping"])
    assert diff and diff.text() == "nothing changed" and diff.marks() == {}
    assert diff.text(learned=True) == "node1: docker0 learned that the MAC address of eth0 of netns red is behind A"
    local = calc_diff(steps["ip addr add"], steps["ip link set up"])
    assert "node1: eth0 of netns red got the address fe80::ff:fe00:b/64" in local.text(macs=True)


def test_a_mac_address_made_of_an_address_is_told_as_it_is():
    """A MAC address that engines up to 27 make of the IPv4 address is told by its digits."""
    web = _set(join(machine().run("web", "bridge")), "container web", "eth0", mac="02:42:ac:11:00:02")
    veth = next(each.name for each in web.nodes[0].namespace(HOST).interfaces if each.peer)
    row = ForwardingEntry(mac="02:42:ac:11:00:02", port=veth, owner="docker0", kind="learned")
    words = "node1: docker0 learned that 02:42:ac:11:00:02 (eth0 of container web) is behind veth of web eth0"
    assert _lines(web, _add(web, HOST, forwarding=(row,)), learned=True) == [words]


def test_rules_of_an_engine_are_told_on_request():
    """An engine's own rules are told by what they are for; a rule made by hand is told as it is."""
    before, after = join(machine()), join(machine().bridge("shop"))
    assert not any("rules" in line for line in _lines(before, after))
    assert any("POSTROUTING" in line for line in _lines(before, after, rules=True))
    rules = after.nodes[0].namespace(HOST).firewall.rules
    by_hand = _filter(after, rules=(*rules, "4 filter -A FORWARD -p icmp -j DROP"))
    for start in (before, after):
        assert "  now: 4 filter -A FORWARD -p icmp -j DROP" in _lines(start, by_hand)
    assert _lines(after, _filter(after, rules=tuple(reversed(rules)))) == [
        "node1: the rules of the packet filter are tried in another order"
    ]


def test_a_policy_set_by_hand_is_told():
    """A policy that changed alone is told."""
    topology = join(machine())
    accepts = _filter(topology, policies=(Policy(family=4, table="filter", chain="FORWARD", verdict="ACCEPT"),))
    assert _lines(topology, accepts) == ["node1: the policy of filter FORWARD (IPv4) is ACCEPT now (was: DROP)"]


def test_masquerading_made_by_hand_is_told():
    """A fact of the packet filter that belongs to no network that came or went has its own line."""
    topology = join(machine())
    words = "packets from 172.17.0.0/16 are {} masqueraded unless they leave by docker0"
    assert f"node1: {words.format('no longer')}" in _lines(topology, _filter(topology, masquerades=()))


def test_vteps_are_told():
    """A VTEP that sends to another machine now says to which."""
    before = topologies.attached()
    row = ForwardingEntry(
        mac="02:42:0a:00:01:15", port="vxlan0", owner="vxlan0", kind="permanent", destination=ipaddress.ip_address("192.168.59.2")
    )
    after = _add(before, "overlay over", forwarding=(row,))
    assert _lines(before, after)[0] == "node1: in overlay over, vxlan0 sends to the VTEP 192.168.59.2 (node2) now"


def test_a_node_that_starts_tells_what_it_has():
    """A node that starts is one change, with all that came with it below."""
    up = topologies.bare()
    idle = replace(up, nodes=(up.nodes[0], Node(name="node2", state="idle", address=up.nodes[1].address), *up.nodes[2:]))
    assert _lines(idle, up) == [
        "node2 is up now (was: not started yet)",
        "  bridge docker0: 172.17.0.1/16, network bridge, no port",
        "  packets from 172.17.0.0/16 are masqueraded unless they leave by docker0",
    ]
    assert _lines(up, idle)[0] == "node2 is not started yet now (was: up)"
    assert [change.kind for change in calc_diff(up, idle).changes] == ["changed"]


def test_what_has_no_sentence_is_told_all_the_same():
    """A field without a sentence of its own is told by its name and values."""
    topology = join(machine().run("web", "bridge"))
    changed = _on_node1(topology, lambda node: replace(node, containers=(replace(node.containers[0], image="nginx"),)))
    assert _lines(topology, changed) == ["node1: container web: image: nginx (was: busybox)"]
    assert _lines(topology, _set(topology, HOST, "docker0", mtu=1400)) == ["node1: docker0 MTU: 1400 (was: 1500)"]


def test_lines_go_node_by_node():
    """All lines of a node stand together, in the order of the nodes."""
    lines = [line for line in _lines(topologies.bare(), topologies.workshop()) if not line.startswith(" ")]
    firsts = [line.split(":")[0] for line in lines]
    assert firsts == sorted(firsts) and set(firsts) == {"node1", "node2"}
