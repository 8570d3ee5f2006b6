"""What the parts of a text share: the picture, what to show, and how interfaces are called."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from netkit.network.canon import calc_container_names, calc_names
from netkit.network.model import End, Interface, NetworkNamespace, Node, Topology
from netkit.network.words import calc_owners, plain, tell_addresses


@dataclass(frozen=True)
class Telling:
    """``picture`` is canonical; ``raw`` has the interfaces as they were captured, by their canonical place."""

    picture: Topology
    show: frozenset[str]
    raw: dict[End, Interface]
    owners: dict[str, str]

    def is_drawn(self, end: End) -> bool:
        """Whether the interface's name was drawn by lot, and a telling one is used instead: no kernel lets a name have blanks."""
        return " " in end.interface

    def addresses(self, end: End, interface: Interface) -> str:
        """Its addresses in words; with link-local ones if they are to be shown."""
        if "macs" in self.show:
            return tell_addresses(self.raw.get(end, interface), chance=True)
        return tell_addresses(interface)

    def extras(self, end: End, interface: Interface) -> list[str]:
        """What was asked for beside: MAC address, MTU."""
        words = []
        mac = self.raw[end].mac if end in self.raw else interface.mac
        if "macs" in self.show and mac:
            words.append(f"MAC {plain(mac)}")
        if "options" in self.show and interface.mtu:
            words.append(f"MTU {interface.mtu}")
        return words


def calc_telling(topology: Topology, picture: Topology, show: frozenset[str]) -> Telling:
    """What to tell of ``picture``, a selection of the canonical form of ``topology``."""
    return Telling(picture, show, calc_places(topology), calc_owners(picture))


def calc_places(topology: Topology) -> dict[End, Interface]:
    """Each interface as it was captured, by the place it has in the canonical topology."""
    found = {}
    for node, namespace in topology.stacks():
        names, stack = calc_names(node, namespace), _calc_stack(node, namespace)
        for interface in namespace.interfaces:
            name = names.get(interface.name, interface.name)
            found[End(node=node.name, namespace=stack, interface=name)] = interface
    return found


def _calc_stack(node: Node, namespace: NetworkNamespace) -> str:
    names = calc_container_names(node)
    return f"container {names[namespace.title]}" if namespace.kind == "container" and namespace.title in names else namespace.name


def indent(lines: Iterable[str]) -> list[str]:
    """The lines, one step further in."""
    return [f"  {line}" for line in lines]
