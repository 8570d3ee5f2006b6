"""Both sides of a difference, and the words that need to look around in one of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from netkit.network.diff.atoms import Atom
from netkit.network.model import HOST, End, Interface, NetworkNamespace, Node, Topology
from netkit.network.text.telling import Telling, calc_telling
from netkit.network.words import calc_owners, plain, tell_addresses, tell_condition, tell_nature, tell_stack


@dataclass(frozen=True)
class Side:
    """One of the two topologies: canonical, with its interfaces as captured and the owners of MAC addresses."""

    topology: Topology
    telling: Telling
    owners: dict[str, str]

    def stack(self, node: str, name: str) -> NetworkNamespace | None:
        """A namespace by the names of its node and its own."""
        found = self.topology.node(node)
        return found.namespace(name) if found else None

    def is_endpoint(self, end: End) -> bool:
        """Whether an engine counts this interface as a container's place in a network."""
        node = self.topology.node(end.node)
        return bool(node) and any(endpoint.interface == end for container in node.containers for endpoint in container.endpoints)

    def mac(self, mac: str) -> str:
        """A MAC address in words: by its digits if they follow from an IPv4 address, else by whose it is."""
        owner = self.owners.get(mac)
        if mac.startswith("that of "):
            return f"the MAC address of {plain(mac[8:])}"
        if not owner:
            return plain(mac)
        return f"{plain(mac)} ({owner})" if mac.startswith("02:42:") and mac in self.regular() else f"the MAC address of {owner}"

    def regular(self) -> set[str]:
        """The MAC addresses that engines make of IPv4 addresses: 02:42, then the address."""
        ips = (address.ip for _, interface in self.topology.ends() for address in interface.addresses)
        return {"02:42:" + ip.packed.hex(":") for ip in ips if isinstance(ip, ipaddress.IPv4Address)}

    def joined(self, end: End, interface: Interface) -> str:
        """An interface, its addresses, and what it is joined to: "eth0 172.17.0.2/16 joined by a veth pair to docker0"."""
        words = " ".join(each for each in (plain(interface.name), tell_addresses(interface)) if each)
        peer = self.topology.at(interface.peer) if interface.peer else None
        if peer and peer.master:
            bridge = plain(peer.master)
            where = "" if interface.peer.namespace == HOST else f" of {tell_stack(interface.peer.namespace, end.node)}"
            return f"{words} joined by a veth pair to {bridge}{where}"
        return f"{words}, {tell_nature(interface, end.node)}"

    def condition(self, end: End, interface: Interface) -> str:
        """The state of an interface in words; a bridge that lacks a port says so."""
        condition = tell_condition(interface)
        stack = self.stack(end.node, end.namespace)
        lonely = interface.kind == "bridge" and stack and not any(each.master == interface.name for each in stack.interfaces)
        if lonely and condition in ("no carrier", "down"):
            return "down, no port" if interface.up else "down"
        return condition or "up"


@dataclass(frozen=True)
class View:
    """What was, and what is."""

    before: Side
    after: Side

    def side(self, atom: Atom) -> Side:
        """The side on which what appeared or vanished is."""
        return self.before if atom.kind == "vanished" else self.after

    def nodes(self) -> Iterator[tuple[Node, Node]]:
        """The nodes that are on both sides."""
        for node in self.before.topology.nodes:
            other = self.after.topology.node(node.name)
            if other:
                yield node, other


def calc_view(before: Topology, after: Topology) -> View:
    """Both topologies, ready to be told of."""
    return View(_calc_side(before), _calc_side(after))


def _calc_side(topology: Topology) -> Side:
    picture = topology.canonical()
    return Side(picture, calc_telling(topology, picture, frozenset()), calc_owners(picture))


def where(node: str, stack: str = HOST) -> str:
    """The beginning of a sentence on something in a namespace: "node1: " or "node1: in netns red, "."""
    return f"{plain(node)}: " if stack == HOST else f"{plain(node)}: in {plain(stack)}, "


def whose(end: End) -> str:
    """An interface at the beginning of a sentence: "node1: docker0", "node1: eth0 of netns red"."""
    name = plain(end.interface)
    return f"{plain(end.node)}: {name}" if end.namespace == HOST else f"{plain(end.node)}: {name} of {plain(end.namespace)}"


def place(end: End) -> str:
    """An interface's place as ``Change.about`` has it."""
    return str(end)
