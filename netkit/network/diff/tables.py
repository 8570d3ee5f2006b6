"""Routes, neighbours and forwarding entries that come and go."""

from __future__ import annotations

from collections.abc import Iterator

from netkit.network.diff.atoms import Atom, Pool
from netkit.network.diff.claims import is_own_row
from netkit.network.diff.value import Change
from netkit.network.diff.view import Side, View, where
from netkit.network.model import End, ForwardingEntry, Neighbour, Route
from netkit.network.words import is_chance, plain, tell_route


def tell_routes(view: View, pool: Pool) -> Iterator[Change]:
    """Routes; one that leads to the same destination another way is told as changed."""
    for atom in pool:
        match atom.path:
            case ("nodes", node, "namespaces", stack, "routes", Route()):
                pool.take(*atom.path)
                yield _tell_route(pool, node, stack, atom)


def _tell_route(pool: Pool, node: str, stack: str, atom: Atom) -> Change:
    route, about = atom.value, f"{node}/{stack}/route {atom.value.destination}"
    told_with = "macs" if is_chance(route.destination) else ""
    others = [each for each in pool.under(*atom.path[:5]) if each.kind != atom.kind and _is_rival(each.value, route)]
    if len(others) == 1 and not told_with:
        pool.take(*others[0].path)
        old, new = (atom.value, others[0].value) if atom.kind == "vanished" else (others[0].value, atom.value)
        return Change("changed", about, f"{where(node, stack)}there is a {tell_route(new)} now (was: {tell_route(old)})")
    verb = "there is a" if atom.kind == "appeared" else "there is no longer a"
    words = f"{where(node, stack)}{verb} {tell_route(route)}"
    return Change(atom.kind, about, words if atom.kind == "vanished" else f"{words} now", told_with=told_with)


def _is_rival(other: object, route: Route) -> bool:
    return isinstance(other, Route) and (other.destination, other.table, other.metric) == (route.destination, route.table, route.metric)


def tell_rows(view: View, pool: Pool) -> Iterator[Change]:
    """Neighbours and forwarding entries; first of all the VTEPs that a VTEP sends to."""
    yield from _tell_tunnels(view, pool)
    for atom in pool:
        match atom.path:
            case ("nodes", node, "namespaces", stack, "forwarding", ForwardingEntry()):
                pool.take(*atom.path)
                yield _tell_entry(view.side(atom), node, stack, atom)
            case ("nodes", node, "namespaces", stack, "neighbours", _):
                pool.take(*atom.path)
                yield _tell_neighbour(view.side(atom), node, stack, atom)


def _tell_tunnels(view: View, pool: Pool) -> Iterator[Change]:
    """Destinations that a VTEP sends to now, or no longer."""
    for atom in pool:
        match atom.path:
            case ("nodes", node, "namespaces", stack, "forwarding", ForwardingEntry(destination=target)) if target:
                other = (view.after if atom.kind == "vanished" else view.before).stack(node, stack)
                if other and not any((row.port, row.destination) == (atom.value.port, target) for row in other.forwarding):
                    yield _tell_tunnel(view, pool, node, stack, atom)


def _tell_tunnel(view: View, pool: Pool, node: str, stack: str, atom: Atom) -> Change:
    row, side = atom.value, view.side(atom)
    details = []
    for each in pool.under(*atom.path[:5]):
        if each.kind == atom.kind and (each.value.port, each.value.destination) == (row.port, row.destination):
            pool.take(*each.path)
            if side.owners.get(each.value.mac):
                details.append(f"frames for {side.owners[each.value.mac]}")
    name = next((host.name for host in side.topology.nodes if host.address == row.destination), "")
    target = f"the VTEP {row.destination}" + (f" ({plain(name)})" if name else "")
    words = f"{where(node, stack)}{plain(row.port)} sends to {target} now"
    if atom.kind == "vanished":
        words = f"{where(node, stack)}{plain(row.port)} no longer sends to {target}"
    return Change(atom.kind, f"{node}/{stack}/{row.port}", words, tuple(sorted(details)))


def _tell_entry(side: Side, node: str, stack: str, atom: Atom) -> Change:
    row: ForwardingEntry = atom.value
    about = f"{node}/{stack}/fdb {row.owner} {row.mac}"
    behind = f"behind {plain(row.port)}" if not row.destination else f"at the VTEP {row.destination}"
    behind += f" in VLAN {row.vlan}" if row.vlan is not None else ""
    if row.kind == "learned":
        verb = "learned" if atom.kind == "appeared" else "forgot"
        words = f"{plain(row.owner)} {verb} that {side.mac(row.mac)} is {behind}"
    else:
        verb = "has" if atom.kind == "appeared" else "no longer has"
        words = f"{plain(row.owner)} {verb} a {plain(row.kind)} entry: {side.mac(row.mac)} is {behind}"
    port = side.topology.at(End(node=node, namespace=stack, interface=row.port))
    usual = row.kind == "learned" or row.destination or is_own_row(row, port)
    return Change(atom.kind, about, where(node, stack) + words, told_with="learned" if usual else "")


def _tell_neighbour(side: Side, node: str, stack: str, atom: Atom) -> Change:
    row: Neighbour = atom.value
    place = f"{row.address} on {plain(row.interface)}"
    if atom.kind == "changed":
        words = f"neighbour {place} is {_tell_answer(side, atom.after)} now"
    else:
        words = f"neighbour {place} is {'known' if atom.kind == 'appeared' else 'forgotten'}: {_tell_answer(side, row)}"
    return Change(atom.kind, f"{node}/{stack}/neighbour {row.address}", where(node, stack) + words, told_with="learned")


def _tell_answer(side: Side, row: Neighbour) -> str:
    return side.mac(row.mac) if row.mac else "nobody answered"
