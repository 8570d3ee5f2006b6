"""What places, addresses and rules are called in a trace: the same on every run. Pure."""

from __future__ import annotations

import re

from netkit.network.canon import DRAWN_BRIDGE, DRAWN_VETH, calc_container_names, calc_names
from netkit.network.model import HOST, Topology
from netkit.network.words import plain, tell_stack
from netkit.tracing.model import Addresses, Hop, Ip, Rule, Trace
from netkit.tracing.path import calc_told

EPHEMERAL = 32768  # net.ipv4.ip_local_port_range begins here
RESOLVER = "127.0.0.11"
ENGINE = re.compile(r"DOCKER(?!-USER)|docker|br-|veth")  # in rules that are an engine's own


class Names:
    """The names of one trace."""

    def __init__(self, trace: Trace) -> None:
        self.topology: Topology = trace.topology
        self._node = trace.node
        self._several = len({hop.node for packet in calc_told(trace) for hop in packet.hops if hop.namespace != HOST}) > 1
        self._interfaces = {(node.name, stack.name): calc_names(node, stack) for node, stack in self.topology.stacks()}
        self._containers = {node.name: calc_container_names(node) for node in self.topology.nodes}

    def stack(self, node: str, namespace: str) -> str:
        """ "node1", "container web", or "container c2 on node2" where several nodes are told of."""
        kind, _, title = namespace.partition(" ")
        names = self._containers.get(node, {})
        told = tell_stack(f"container {names[title]}" if kind == "container" and title in names else namespace, node)
        return f"{told} on {plain(node)}" if self._several and namespace != HOST else told

    def interface(self, node: str, namespace: str, name: str) -> str:
        """An interface, by what it is if its name was drawn by lot."""
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
        return (rule.number > 0 and not rule.chain.startswith("DOCKER-") | (rule.chain == "DOCKER") and not ENGINE.search(rule.text)) or (
            rule.chain == "DOCKER-USER" and rule.verdict != "return"
        )


def tell_end(address: Ip, port: int | None) -> str:
    """ "172.17.0.2", "172.17.0.2:80", "172.17.0.2:…" for a port drawn by lot."""
    if port is None:
        return str(address)
    where = f"[{address}]" if address.version == 6 else str(address)
    return f"{where}:{'…' if port >= EPHEMERAL else port}"


def tell_way(addresses: Addresses) -> str:
    """ "172.17.0.2 → 172.17.0.3"."""
    source = tell_end(addresses.source, addresses.source_port)
    return f"{source} → {tell_end(addresses.destination, addresses.destination_port)}"
