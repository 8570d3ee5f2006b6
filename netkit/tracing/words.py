"""What of a trace is told, and what its places, addresses, rules and changes are called: the same on every run. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from netkit.network.model import DRAWN_BRIDGE, DRAWN_VETH, HOST, Ip, Topology, calc_container_names, calc_names
from netkit.network.words import plain, tell_stack
from netkit.tracing.values import Addresses, Flow, Hop, Packet, Rule, TraceData

MOST = 6  # flows told hop by hop
DNS = 53
EPHEMERAL = 32768  # net.ipv4.ip_local_port_range begins here
RESOLVER = "127.0.0.11"
ENGINE = re.compile(r"DOCKER(?!-USER)|docker|br-|veth")  # in rules that are an engine's own
AUTHORS = {"source": ("MASQUERADE", "SNAT"), "destination": ("DNAT", "REDIRECT")}


def calc_told_flows(trace: TraceData) -> tuple[Flow, ...]:
    """The flows that are told; a flow that another one repeats (the same packets the same way) is told once."""
    kept: dict[tuple, Flow] = {}
    for flow in trace.flows:
        told = calc_told_packets(flow)
        shape = tuple((each.what, tuple((hop.place, hop.direction) for hop in each.hops), each.dropped) for each in told)
        kept.setdefault(shape, flow)
    return tuple(kept.values())[:MOST]


def calc_main_flows(trace: TraceData) -> tuple[Flow, ...]:
    """Those of them that are no look-ups of names, unless there are no others."""
    flows = calc_told_flows(trace)
    return tuple(flow for flow in flows if DNS not in (flow.addresses.destination_port, flow.addresses.source_port)) or flows


def calc_told_packets(flow: Flow) -> tuple[Packet, ...]:
    """The first packet each way, and a later one only if it was dropped or is an error."""
    # a program may ask for A and AAAA at once: the answer is that to the first question
    answers = (packet for packet in flow.packets if packet.reply and packet.what.startswith("DNS answer"))
    asked = flow.first.what.removeprefix("DNS query ")
    answer = next((packet for packet in answers if packet.what.endswith(f" {asked}")), flow.answer)
    told = {(packet.what, packet.reply): packet for packet in (flow.first, answer) if packet}
    for packet in flow.packets:
        if packet.dropped or packet.error:
            told.setdefault((packet.what, packet.reply), packet)
    return tuple(told.values())


def calc_told(trace: TraceData) -> tuple[Packet, ...]:
    """The told packets of all told flows."""
    return tuple(packet for flow in calc_told_flows(trace) for packet in calc_told_packets(flow))


def calc_told_hops(packet: Packet, topology: Topology) -> tuple[Hop, ...]:
    """The hops that are the same on every engine.

    Where bridges ask the packet filter (br_netfilter), one engine's rules drop a packet before its bridge hands it to the host,
    another's right after: that last hop is left out.
    """
    if packet.dropped and len(packet.hops) > 1:
        port, last = packet.hops[-2:]
        interface = topology.at(last.end)
        if interface and interface.kind == "bridge" and (port.namespace, port.direction, last.direction) == (last.namespace, "in", "in"):
            return packet.hops[:-1]
    return packet.hops


class Names:
    """The names of one trace."""

    def __init__(self, trace: TraceData) -> None:
        self.topology: Topology = trace.topology
        self._several = len({hop.node for packet in calc_told(trace) for hop in packet.hops if hop.namespace != HOST}) > 1
        self._interfaces = {(node.name, stack.name): calc_names(node, stack) for node, stack in self.topology.stacks()}
        self._containers = {node.name: calc_container_names(node) for node in self.topology.nodes}

    def stack(self, node: str, namespace: str) -> str:
        """ "node1", "container web", or "container c2 on node2" where several nodes are told of."""
        kind, _, title = namespace.partition(" ")
        if kind == "container":
            namespace = f"container {self._containers.get(node, {}).get(title, title)}"
        told = tell_stack(namespace, node)
        return f"{told} on {plain(node)}" if self._several and namespace != HOST else told

    def interface(self, node: str, namespace: str, name: str) -> str:
        """An interface, by what it is if its name is random."""
        known = self._interfaces.get((node, namespace), {})
        if name in known:
            return plain(known[name])
        if namespace == HOST and DRAWN_VETH.fullmatch(name):
            return "a veth that is gone"
        if DRAWN_BRIDGE.fullmatch(name):
            return "a bridge that is gone"
        return plain(name) or "an interface that is gone"

    def hop(self, hop: Hop) -> tuple[str, str, str]:
        """Where, on which interface, which way."""
        return self.stack(hop.node, hop.namespace), self.interface(hop.node, hop.namespace, hop.interface), hop.direction

    def rule(self, rule: Rule) -> str:
        """The rule as the machine has it, interfaces by telling names."""
        known = self._interfaces.get((rule.node, rule.namespace), {})
        text = re.sub(r"(127\.0\.0\.11:|--sport )\d+", r"\1…", rule.text) if RESOLVER in rule.text else rule.text
        return re.sub(r"\b(?:veth|br-)[0-9a-f]+\b", lambda match: known.get(match[0], match[0]), text)

    def is_own(self, rule: Rule) -> bool:
        """Whether somebody else than the engine has made it."""
        if rule.chain == "DOCKER-USER":
            return rule.verdict != "return"
        return rule.number > 0 and rule.chain != "DOCKER" and not rule.chain.startswith("DOCKER-") and not ENGINE.search(rule.text)


def tell_end(address: Ip, port: int | None) -> str:
    """ "172.17.0.2", "172.17.0.2:80", "172.17.0.2:…" for a random port."""
    if port is None:
        return str(address)
    where = f"[{address}]" if address.version == 6 else str(address)
    return f"{where}:{'…' if port >= EPHEMERAL else port}"


def tell_way(addresses: Addresses) -> str:
    """ "172.17.0.2 → 172.17.0.3"."""
    source = tell_end(addresses.source, addresses.source_port)
    return f"{source} → {tell_end(addresses.destination, addresses.destination_port)}"


def tell_wrapping(hop: Hop) -> str:
    """The tunnel that a packet is in, or how long it may live."""
    return f"in VXLAN {hop.tunnel.vni}, {hop.tunnel.source} → {hop.tunnel.destination}" if hop.tunnel else f"TTL {hop.ttl}"


@dataclass(frozen=True, slots=True)
class Rewrite:
    """``what`` is source or destination, ``was`` and ``now`` its address and port, ``by`` what did it."""

    what: str
    was: str
    now: str
    by: str

    def __str__(self) -> str:
        return f"{self.what} {self.was} → {self.now} ({self.by})"


def calc_rewrites(hop: Hop, reply: bool) -> tuple[Rewrite, ...]:
    """What a machine rewrote of a packet's addresses on the way to this hop, and by whose order."""
    old, new = hop.before, hop.addresses
    if old is None:
        return ()
    found = []
    for what in AUTHORS:
        was, now = ((getattr(each, what), getattr(each, f"{what}_port")) for each in (old, new))
        if was != now:
            told = (tell_end(*was), tell_end(*now))
            if told[0] == told[1]:
                told = (str(was[0]), f"{now[0]} with another port")
            found.append(Rewrite(what, *told, _find_author(hop, what, reply)))
    if not found and old.identifier != new.identifier:
        found.append(Rewrite("identifier", "one", "another", "connection tracking"))
    return tuple(found)


def _find_author(hop: Hop, what: str, reply: bool) -> str:
    """The target that did it, if a rule of this packet was one; else the connection, which remembers."""
    words = (word for rule in hop.rules for word in AUTHORS[what] if f"-j {word}" in rule.text or word.lower() in rule.text.split())
    word = next(words, "NAT undone" if reply else "NAT")
    return "masquerade" if word == "MASQUERADE" else word
