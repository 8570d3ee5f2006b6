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


def _tree(before: Topology, after: Topology, **options: bool) -> list[str]:
    """The lines without that of the node they are all about."""
    first, *lines = _lines(before, after, **options)
    assert first == "  node1"
    return lines


DOWN = _set(join(machine()), HOST, "docker0", state="down")
WEB = [
    "~   bridge docker0: up (was: no port)",
    "+     veth pair to eth0 of container web: 172.17.0.2/16",
    "+   container web: network bridge, default gateway 172.17.0.1",
]


def test_docker_run():
    """A container that appears brings its namespace, interface and cable along; the bridge it plugs into comes up."""
    diff = calc_diff(DOWN, join(machine().run("web", "bridge")))
    assert diff.text().splitlines() == ["  node1", *WEB]
    assert [change.about for change in diff.changes][1:] == ["node1/host/veth of web eth0", "node1/container web"]
    assert set(diff.changes[2].also) > {"node1/container web/eth0", "node1/container web/network bridge"}
    assert diff.marks()["node1/host/docker0"] == "changed" and diff.marks()["node1/container web/eth0"] == "appeared"


def test_publish():
    """A published port is told with its container, or alone if the container was there."""
    published = join(machine().run("web", "bridge", ports=[(8080, 80)]))
    port = "+     port 8080/tcp of node1 leads to port 80"
    assert _tree(DOWN, published) == [*WEB, port]
    assert _tree(join(machine().run("web", "bridge")), published) == ["    container web", port]


@pytest.mark.parametrize(
    ("mode", "stack", "words"),
    [
        ("host", HOST, "mode host, in the node's own network namespace"),
        ("container:web", "container web", "shares the network namespace of container web"),
        ("bridge", None, "mode bridge, in no network"),
    ],
)
def test_containers_without_a_stack_of_their_own(mode, stack, words):
    """A container that shares a network namespace says whose."""
    before, after = machine().run("web", "bridge"), machine().run("web", "bridge").add("side", mode, stack)
    assert _tree(join(before), join(after)) == [f"+   container side: {words}"]


def test_container_without_a_network():
    """A container in mode none has a namespace with nothing in it."""
    assert _tree(join(machine()), join(machine().run("job"))) == ["+   container job: mode none, nothing but a loopback"]


def test_network_create():
    """A network that appears is told as its bridge and what the packet filter does for it; nothing of it is told twice."""
    before, after = join(machine().run("web", "bridge")), join(machine().bridge("shop").run("web", "bridge"))
    assert _tree(before, after) == [
        "+   bridge of shop: 172.18.0.1/16, network shop, no port",
        "+   packets from 172.18.0.0/16 are masqueraded unless they leave by bridge of shop",
        "+   no packet is forwarded between docker0 and bridge of shop",
    ]
    places = {"node1/network shop", "node1/host/bridge of shop", "node1/host/masquerade 172.18.0.0/16"}
    assert places <= set(calc_diff(before, after).marks())
    third = join(machine().bridge("shop").bridge("back", subnet="172.19.0.0/16").run("web", "bridge"))
    was = "(was: docker0 and bridge of shop)"
    assert _tree(after, third)[-1] == f"~   no packet is forwarded between docker0, bridge of back and bridge of shop {was}"


def test_network_connect_and_disconnect():
    """A container that joins a network gets an endpoint there, which is a veth pair; leaving it is the same backwards."""
    before = join(machine().bridge("shop").run("web", "bridge"))
    after = join(machine().bridge("shop").run("web", "bridge", "shop"))
    lines, back = _tree(before, after), _tree(after, before)
    for line in ("    veth pair to eth1 of container web: 172.18.0.2/16", "    endpoint in network shop: eth1, 172.18.0.2/16"):
        assert f"+ {line}" in lines and f"- {line}" in back
    assert lines[-1] == "~     default route by 172.18.0.1 on eth1 (was: default route by 172.17.0.1 on eth0)"


def test_stop_and_start():
    """A container that stops loses its namespace, and gets it back when it starts."""
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
    stopped = _set(stopped, HOST, "docker0", state="down")
    assert _tree(runs, stopped) == [
        "~   bridge docker0: no port (was: up)",
        "-     veth pair to eth0 of container web: 172.17.0.2/16",
        "~   container web: exited (was: running, its own network namespace)",
        "~     endpoint in network bridge (was: eth0, 172.17.0.2/16)",
    ]
    assert "~   container web: running, its own network namespace (was: exited)" in _tree(stopped, runs)


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
        ("ip netns add", ["+   netns red: nothing but a loopback, which is down"]),
        (
            "ip link add",
            ["+   A: no address, veth pair to B of node1, down", "+   B: no address, veth pair to A of node1, down"],
        ),
        (
            "ip link set netns",
            [
                "~   A: veth pair to eth0 of netns red (was: veth pair to B of node1)",
                "    netns red",
                "~     eth0: moved from node1 (was: B)",
            ],
        ),
        ("ip addr add", ["    netns red", "~     eth0: 10.0.0.2/24 (was: no address)"]),
        ("ip link set up", ["    netns red", "~     eth0: up (was: down)", "+     route to 10.0.0.0/24 on eth0 from 10.0.0.2"]),
        ("ip link set master", ["    bridge docker0", "~     A: up, port of docker0 (was: down)"]),
    ],
)
def test_wiring_by_hand(step, lines):
    """Each step of wiring by hand is told by what it did, at its place."""
    steps = _wire_by_hand()
    before = list(steps)[list(steps).index(step) - 1]
    assert _tree(steps[before], steps[step]) == lines


def test_moved_interface():
    """An interface in another namespace is one change, which knows both places."""
    steps = _wire_by_hand()
    for one, other, places in (
        ("ip link add", "ip link set netns", ("node1/host/B", "node1/netns red/eth0")),
        ("ip link set netns", "ip link add", ("node1/netns red/eth0", "node1/host/B")),
    ):
        (change,) = (each for each in calc_diff(steps[one], steps[other]).changes if each.kind == "moved")
        assert (change.was, change.about) == places


def test_moved_and_set_differently():
    """What is also different about an interface that moved is told with the move."""
    steps = _wire_by_hand()
    assert _tree(steps["ip link add"], steps["ip addr add"])[-1] == "~     eth0: moved from node1, 10.0.0.2/24 (was: B, no address)"


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
    assert diff.text(learned=True).splitlines()[1] == "+   docker0 sends frames for eth0 of netns red to A (learned)"
    local = calc_diff(steps["ip addr add"], steps["ip link set up"])
    assert "~     eth0: up, fe80::ff:fe00:b/64 (was: down)" in local.text(macs=True).splitlines()


def test_rules_of_an_engine_are_told_on_request():
    """An engine's own rules are told by what they are for; a rule made by hand is told as it is."""
    before, after = join(machine()), join(machine().bridge("shop"))
    assert not any("rules" in line for line in _lines(before, after))
    assert any("POSTROUTING" in line for line in _lines(before, after, rules=True))
    rules = after.nodes[0].namespace(HOST).firewall.rules
    by_hand = _filter(after, rules=(*rules, "4 filter -A FORWARD -p icmp -j DROP"))
    for start in (before, after):
        assert _tree(start, by_hand)[-2:] == ["    rules by nf_tables", "+     4 filter -A FORWARD -p icmp -j DROP"]
    assert _tree(after, _filter(after, rules=tuple(reversed(rules)))) == ["~   rules by nf_tables: in another order"]
    assert _tree(after, _filter(after, rules=rules[1:])) == ["    rules by nf_tables", f"-     {rules[0]}"]


def test_a_policy_set_by_hand_is_told():
    """A policy that changed alone is told."""
    topology = join(machine())
    accepts = _filter(topology, policies=(Policy(family=4, table="filter", chain="FORWARD", verdict="ACCEPT"),))
    assert _tree(topology, accepts) == ["~   policies: filter FORWARD ACCEPT (IPv4) (was: filter FORWARD DROP (IPv4))"]


def test_masquerading_made_by_hand_is_told():
    """A fact of the packet filter that belongs to no network that came or went has its own line."""
    topology = join(machine())
    line = "-   packets from 172.17.0.0/16 are masqueraded unless they leave by docker0"
    assert _tree(topology, _filter(topology, masquerades=())) == [line]


def test_vteps_are_told():
    """A VTEP that sends to another machine now says to which, and for whom."""
    before = topologies.attached()
    mac = before.node("node2").namespace("container a2").interface("eth0").mac
    row = ForwardingEntry(mac=mac, port="vxlan0", owner="vxlan0", kind="permanent", destination=ipaddress.ip_address("192.168.59.2"))
    assert _tree(before, _add(before, "overlay over", forwarding=(row,))) == [
        "    overlay over",
        "      bridge br0",
        "~       vxlan0: to 192.168.59.2",
        "+     vxlan0 sends frames for eth0 of container a2 on node2 to the VTEP 192.168.59.2 (permanent)",
    ]


def test_a_task_that_moved_is_told():
    """A service's task that another node has taken over is one line."""
    before = topologies.swarm()
    (service,) = before.services
    task = replace(service.tasks[0], node="node9", state="ready")
    after = replace(before, services=(replace(service, tasks=(task, *service.tasks[1:])),))
    old = service.tasks[0]
    assert _lines(before, after) == ["  service hello", f"~   task {old.name} on node9: ready (was: on {old.node}, {old.state})"]


def test_a_node_that_starts_tells_what_it_has():
    """A node that starts is told with all that came with it inside."""
    up = topologies.bare()
    idle = replace(up, nodes=(up.nodes[0], Node(name="node2", state="idle", address=up.nodes[1].address), *up.nodes[2:]))
    assert _lines(idle, up) == [
        "~ node2: up (was: not started yet)",
        "+   bridge docker0: 172.17.0.1/16, network bridge, no port",
        "+   packets from 172.17.0.0/16 are masqueraded unless they leave by docker0",
    ]
    assert _lines(up, idle)[:2] == ["~ node2: not started yet (was: up)", "-   bridge docker0: 172.17.0.1/16, network bridge, no port"]


def test_what_the_text_does_not_tell_is_told_all_the_same():
    """A field that the text has no words for is told by its name and values."""
    topology = join(machine().run("web", "bridge"))
    changed = _on_node1(topology, lambda node: replace(node, containers=(replace(node.containers[0], image="nginx", service="shop"),)))
    assert _tree(topology, changed) == ["~   container web: image nginx, service shop (was: image busybox)"]
    assert _tree(topology, _set(topology, HOST, "docker0", mtu=1400)) == ["~   bridge docker0: MTU 1400 (was: MTU 1500)"]


def test_lines_go_node_by_node():
    """All lines of a node stand together, in the order of the nodes."""
    nodes = [line[2:] for line in _lines(topologies.bare(), topologies.workshop()) if not line[2:].startswith(" ")]
    assert nodes == ["node1", "node2"]
