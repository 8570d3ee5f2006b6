"""What comes and goes with an interface: taken from the pool, so that it is not told again."""

from __future__ import annotations

from collections.abc import Iterator

from netkit.network.diff.atoms import Atom, Path, Pool
from netkit.network.diff.view import Side, View
from netkit.network.model import HOST, End, ForwardingEntry, Interface, Route

# MAC addresses of groups: a bridge that hears IPv4 or IPv6 multicast has rows for them
GROUPS = ("33:33:", "01:00:5e:", "01:80:c2:")


def path_of(end: End) -> Path:
    """Where an interface's differences are."""
    return ("nodes", end.node, "namespaces", end.namespace, "interfaces", end.interface)


def find_rows(pool: Pool, end: End, table: str) -> Iterator[Atom]:
    """Whole rows of a table of the namespace an interface is in."""
    for atom in pool.under("nodes", end.node, "namespaces", end.namespace, table):
        if len(atom.path) == 6:
            yield atom


def take_interface(pool: Pool, end: End, kind: str) -> bool:
    """Take an interface that appeared or vanished, with its routes and the rows that are not learned."""
    if not pool.take(*path_of(end), kind=kind):
        return False
    take_connected(pool, end, kind)
    _take_rows(pool, end, kind)
    return True


def take_connected(pool: Pool, end: End, kind: str) -> list[Route]:
    """Take the routes that the kernel itself adds and removes for the interface's addresses."""
    taken = []
    for atom in find_rows(pool, end, "routes"):
        row = atom.value
        if atom.kind == kind and isinstance(row, Route) and row.interface == end.interface and is_connected(row):
            pool.take(*atom.path)
            taken.append(row)
    return taken


def is_connected(route: Route) -> bool:
    """Whether the kernel adds this route by itself when an address is added (ip-route(8): proto kernel)."""
    return not route.gateway and route.kind == "unicast" and route.table == 254 and route.destination.prefixlen > 0


def _take_rows(pool: Pool, end: End, kind: str) -> None:
    """Take the forwarding entries of a port or bridge that came or went; what is learned is told apart from it."""
    for atom in find_rows(pool, end, "forwarding"):
        row = atom.value
        if atom.kind == kind and isinstance(row, ForwardingEntry) and end.interface in (row.port, row.owner) and row.kind != "learned":
            pool.take(*atom.path)


def take_links(view: View, pool: Pool, side: Side, node: str, stack: str, kind: str) -> list[End]:
    """Take the engine's ends of veth pairs into a namespace; hand-made ones have a story of their own."""
    found = []
    for end, interface in side.topology.ends():
        peer = interface.peer
        mine = end.node == node and peer and (peer.node, peer.namespace) == (node, stack)
        if mine and side.telling.is_drawn(end) and take_interface(pool, end, kind):
            found.append(end)
    return found


def is_own_row(row: ForwardingEntry, port: Interface | None) -> bool:
    """Whether a bridge has this row by itself: the port's own address, or a group's."""
    return row.mac.startswith((*GROUPS, "that of ")) or bool(port and port.mac == row.mac)


def facts_path(node: str, *rest: object) -> Path:
    """Where the differences of a node's own packet filter are."""
    return ("nodes", node, "namespaces", HOST, "firewall", *rest)
