"""A trace tells what independent programs tell: tcpdump in every namespace, and the rules' own counters."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from netkit.laboratory.engine import find_engine
from netkit.laboratory.lab import Lab, open_lab
from netkit.packets.headers import Icmp, Tcp, Udp
from netkit.tracing.run import trace
from netkit.tracing.view import Trace
from tests.swarms import form_swarm, ping_across_overlay
from tests.witnesses import witnesses

SETUP = """
docker network create --subnet 172.30.0.0/24 one && docker network create --ipv6 --subnet fd00:30::/64 two
for each in one two; do docker run -d --name cli-$each --network $each busybox sleep 1000; done
docker run -d --name web --network one -p 8080:80 busybox httpd -f
docker run -d --name other --network two busybox sleep 1000
docker run -d --name hosty --network host busybox sleep 1000
docker run -d --name joined --network container:cli-one busybox sleep 1000
docker exec cli-one ping -c1 web && docker exec cli-two ping -c1 other && docker exec cli-two ping -6 -c1 other
"""


@pytest.fixture(scope="module")
def traced():
    """A lab of two nodes in a swarm, with containers on bridges and on an overlay."""
    with open_lab(2, label="tests") as lab:
        lab.ensure("node1", "node2")
        lab["node1"].run(SETUP)
        form_swarm(lab["node1"], lab["node2"])
        ping_across_overlay(lab["node1"], lab["node2"])
        yield lab


@pytest.fixture(scope="module")
def watching(traced):
    """tcpdump everywhere, started once: a test looks at what was seen between two moments."""
    with witnesses(traced, "not port 2377 and not port 7946") as everywhere:
        yield everywhere


def _trace_watched(lab: Lab, watching, command: str, node: str) -> tuple[Trace, list]:
    """A trace, and what tcpdump saw meanwhile."""
    begin = time.time_ns()
    found = trace(command, lab=lab, node=node)
    end = time.time_ns()
    seen, before = [], -1
    while len(seen) != before:  # tcpdump writes a moment after it has seen
        before = len(seen)
        time.sleep(0.5)
        seen = [row for row in watching.read() if begin <= row[4].time <= end]
    return found, seen


def _matches(packet, kind: str) -> bool:
    """Whether tcpdump's packet is of a kind the trace names: "echo request", "TCP SYN", "DNS query"."""
    last = [each for each in packet.headers if isinstance(each, Icmp | Tcp | Udp)][-1:]
    last = last[0] if last else None
    if kind.startswith("TCP "):
        return isinstance(last, Tcp) and last.flags == tuple(kind.split()[1:])
    if kind in ("echo request", "echo reply"):
        return isinstance(last, Icmp) and last.type in ((8, 128) if kind == "echo request" else (0, 129))
    return isinstance(last, Udp)


def _check(found: Trace, seen: list, kind: str) -> None:
    """Every place where tcpdump saw packets of this kind is a hop, and no other, as often."""
    expected = Counter(tuple(row[:4]) for row in seen if _matches(row[4], kind))
    hops = Counter(
        (hop.node, hop.namespace, hop.interface, hop.direction)
        for packet in found.packets
        if packet.what.startswith(kind) and (not kind.startswith("TCP") or packet.what == kind)
        for hop in packet.hops
    )
    assert expected, f"tcpdump saw no {kind}"
    assert hops == expected


CASES = {
    "same bridge": ("docker exec cli-one ping -c1 172.30.0.3", "node1", ("echo request", "echo reply")),
    "across bridges": (
        "docker exec cli-one ping -c1 -W1 $(docker inspect -f '{{.NetworkSettings.Networks.two.IPAddress}}' other)",
        "node1",
        ("echo request",),
    ),
    "outbound": ("docker exec cli-one ping -c1 192.168.59.254", "node1", ("echo request", "echo reply")),
    "published": ("curl -s -o /dev/null http://192.168.59.1:8080/", "outside", ("TCP SYN", "TCP SYN ACK")),
    "by the proxy": ("curl -s -o /dev/null http://127.0.0.1:8080/", "node1", ("TCP SYN", "TCP SYN ACK")),
    "host mode": ("docker exec hosty ping -c1 192.168.59.254", "node1", ("echo request", "echo reply")),
    "container mode": ("docker exec joined ping -c1 172.30.0.3", "node1", ("echo request", "echo reply")),
    "overlay": ("docker exec c1 ping -c1 c2", "node1", ("echo request", "echo reply")),
    "IPv6": ("docker exec cli-two ping -6 -c1 other", "node1", ("echo request", "echo reply")),
    "nobody listens": ("docker exec cli-one nc -w1 172.30.0.3 81", "node1", ("TCP SYN", "TCP RST ACK")),
}


@pytest.mark.parametrize("case", CASES)
def test_hops_are_what_tcpdump_saw(traced, watching, case):
    """The hops of each packet are the places where tcpdump saw it, in every namespace of every node, no more and no fewer."""
    command, node, kinds = CASES[case]
    found, seen = _trace_watched(traced, watching, command, node)
    for kind in kinds:
        _check(found, seen, kind)
    assert found.is_complete, found.text()


@pytest.fixture(scope="module")
def without_proxy(tmp_path_factory):
    """A lab whose engine publishes ports by rules alone, and tcpdump everywhere in it."""
    engine = find_engine(None)
    place = tmp_path_factory.mktemp("engine")
    for program in ("containerd", "containerd-shim-runc-v2"):
        (place / program).symlink_to(shutil.which(program, path=f"{Path(engine.dockerd).parent}:{os.environ['PATH']}"))
    (place / "dockerd").write_text(f'#!/bin/sh\nexec {engine.dockerd} --userland-proxy=false "$@"\n')
    (place / "dockerd").chmod(0o755)
    with open_lab(1, engine=str(place), label="tests") as lab:
        lab["node1"].run("docker run -d --name web -p 8080:80 busybox httpd -f; docker run -d --name cli busybox sleep 1000")
        lab["outside"].run("for i in $(seq 250); do curl -s -o /dev/null http://192.168.59.1:8080/ && break; sleep 0.02; done")
        with witnesses(lab, "port 80 or port 8080") as everywhere:
            yield lab, everywhere


@pytest.mark.parametrize(
    ("command", "node", "source"),
    [
        ("curl -s -o /dev/null http://192.168.59.1:8080/", "outside", "192.168.59.254"),
        ("curl -s -o /dev/null http://127.0.0.1:8080/", "node1", "172.17.0.1"),
        ("docker exec cli nc -w1 192.168.59.1 8080 </dev/null", "node1", None),
        ("docker exec web nc -w1 192.168.59.1 8080 </dev/null", "node1", "172.17.0.1"),
    ],
    ids=["from outside", "from the loopback", "from another container", "from itself"],
)
def test_without_the_proxy_a_published_port_is_dnat_alone(without_proxy, command, node, source):
    """With --userland-proxy=false one flow leads to the container, whoever asks: hops as tcpdump saw them, the client's new address told."""
    lab, everywhere = without_proxy
    found, seen = _trace_watched(lab, everywhere, command, node)
    for kind in ("TCP SYN", "TCP SYN ACK"):
        _check(found, seen, kind)
    assert found.is_complete
    assert [each.addresses.destination_port for each in found.flows] == [8080]
    last = found.flows[0].first.hops[-1]
    assert (last.namespace, last.addresses.destination_port) == ("container web", 80)
    assert source in (None, str(last.addresses.source))
    assert any("-j DNAT" in rule.text for rule in found.flows[0].first.rules)


def test_the_resolver_is_seen_before_and_after_nat(traced, watching):
    """A look-up at 127.0.0.11:53 is one flow although DNAT sends it to another port; tcpdump sees the rewritten packet."""
    found, seen = _trace_watched(traced, watching, "docker exec cli-one nslookup web", "node1")
    flow = next(each for each in found.flows if str(each.addresses.destination) == "127.0.0.11")
    hop = flow.first.hops[0]
    assert (hop.namespace, hop.interface) == ("container cli-one", "lo")
    assert hop.before and hop.before.destination_port == 53 and hop.addresses.destination_port != 53
    assert any("-j DNAT --to-destination 127.0.0.11:" in rule.text for rule in flow.first.rules)
    ports = {next(each for each in row[4].headers if isinstance(each, Udp)).destination_port for row in seen if _matches(row[4], "DNS")}
    assert hop.addresses.destination_port in ports


class _Row:
    """A line of iptables-save -c: packets, and the rule."""

    def __init__(self, line: str) -> None:
        self.packets, self.rule = int(line[1 : line.index(":")]), line[line.index("] ") + 2 :]


def _count(lab: Lab) -> dict[str, int]:
    lines = lab["node1"].run("iptables-save -c").stdout.splitlines()
    return {row.rule: row.packets for row in (_Row(line) for line in lines if line.startswith("["))}


def test_the_rule_that_drops_is_the_one_that_counts(traced):
    """Of all rules that drop, exactly the one the trace names has counted exactly the packets that the trace says it dropped."""
    address = traced["node1"].docker.containers.get("other").attrs["NetworkSettings"]["Networks"]["two"]["IPAddress"]
    before = _count(traced)
    found = trace(f"docker exec cli-one ping -c2 -i 0.2 -W1 {address}", lab=traced, node="node1")
    after = _count(traced)
    dropped = [packet.dropped.text for packet in found.packets if packet.dropped]
    assert len(dropped) == 2 and len(set(dropped)) == 1
    counted = {rule: after[rule] - before.get(rule, 0) for rule in after if rule.endswith("-j DROP")}
    assert {rule: number for rule, number in counted.items() if number} == {dropped[0]: 2}
    assert (
        found.output.status == 1
        and "was dropped by the packet filter of node1 on its way from bridge of one to bridge of two" in found.verdict
    )


def test_a_masquerading_rule_is_the_one_that_counts(traced):
    """The rule that the trace says rewrote a packet has counted it."""
    before = _count(traced)
    found = trace("docker exec cli-one ping -c1 192.168.59.254", lab=traced, node="node1")
    after = _count(traced)
    named = {rule.text for rule in found.flows[0].first.rules if "MASQUERADE" in rule.text}
    assert named == {rule for rule in after if "MASQUERADE" in rule and after[rule] > before.get(rule, 0)}
    assert "(masquerade)" in found.text()


def test_a_learners_own_rule_is_told(traced):
    """A rule somebody put there is named as iptables lists it, also where it drops what never reaches an interface."""
    node = traced["node1"]
    node.run("iptables -I OUTPUT -d 172.30.0.3 -p icmp -j DROP")
    try:
        found = trace("ping -c1 -W1 172.30.0.3", lab=traced, node="node1")
    finally:
        node.run("iptables -D OUTPUT -d 172.30.0.3 -p icmp -j DROP")
    assert found.flows[0].first.hops == ()
    assert "-A OUTPUT -d 172.30.0.3/32 -p icmp -j DROP" in found.verdict


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "docker exec cli-one ping -c1 -W1 172.30.0.99",
            "No neighbour: container cli-one asked on eth0 who has 172.30.0.99 (ARP), and nobody answered.",
        ),
        ("ping -c1 -W1 10.9.9.9", "The command sent no packet"),
        ("docker exec cli-one nc -w1 172.30.0.3 81", "Nothing listens: container web refused port 81 (TCP RST)."),
        ("echo x > /dev/udp/192.168.59.254/99; sleep 0.2", "refused port 99 (ICMP port unreachable)"),
    ],
)
def test_the_verdict_says_why_there_is_no_answer(traced, command, words):
    """No neighbour, no route, nothing listening: each has its own sentence."""
    assert words in trace(command, lab=traced, node="node1").verdict


def test_a_packet_that_is_too_big_has_its_verdict(traced):
    """A link on the way that takes less is named with its MTU."""
    traced["node1"].run("ip link set eth0 mtu 1300")
    try:
        found = trace("docker exec web sh -c true; ping -c1 -W1 -M do -s 1400 192.168.59.1", lab=traced, node="outside")
        inner = trace(
            "docker exec cli-one true; nsenter --net=$(docker inspect -f '{{.NetworkSettings.SandboxKey}}' cli-one) ping -c1 -W1 -M do -s 1350 192.168.59.254",
            lab=traced,
            node="node1",
        )
    finally:
        traced["node1"].run("ip link set eth0 mtu 1500")
    assert found.command and "Too big:" in inner.verdict and "1300 bytes" in inner.verdict


def test_the_text_is_the_same_again(traced):
    """Two traces of the same command have the same text, and it holds neither times nor ports drawn by lot."""
    one, two = (trace("docker exec cli-one ping -c1 web", lab=traced, node="node1").text() for _ in range(2))
    assert one == two
    assert "veth of cli-one eth0" in one and not re.search(r"veth[0-9a-f]{7}|br-[0-9a-f]{12}|µs", one)


def test_chatter_of_others_is_left_out(traced):
    """A ping that already ran, and a swarm's gossip, are no flows of the command."""
    traced["node1"].run("docker exec -d cli-two ping -i 0.1 -c 60 -W1 192.168.59.254; sleep 0.4")
    found = trace("docker exec cli-one ping -c1 172.30.0.3; sleep 1", lab=traced, node="node1")
    assert [str(flow.addresses.destination) for flow in found.flows] == ["172.30.0.3"]
