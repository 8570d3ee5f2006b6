"""Containers that come, go, start and stop; and their endpoints: a container joins a network, or leaves it."""

from __future__ import annotations

from collections.abc import Iterator

from netkit.network.diff.atoms import MISSING, Atom, Pool
from netkit.network.diff.claims import facts_path, take_connected, take_interface, take_links
from netkit.network.diff.networks import tell_inside
from netkit.network.diff.value import Change
from netkit.network.diff.view import Side, View, place, where
from netkit.network.model import HOST, Container, End, Endpoint
from netkit.network.text.stack import tell_way_out
from netkit.network.words import join, plain, tell_ports


def tell_containers(view: View, pool: Pool) -> Iterator[Change]:
    """Containers that appeared, vanished, started or stopped, each with its network stack."""
    for atom in pool:
        match atom.path:
            case ("nodes", node, "containers", _):
                pool.take(*atom.path)
                side, also = view.side(atom), []
                words = _tell_container(view, side, pool, node, atom.value, atom.kind, also)
                sentence = f"{where(node)}container {plain(atom.value.name)} {atom.kind}: {words}"
                details = _tell_details(side, node, atom.value)
                yield Change(atom.kind, f"{node}/container {atom.value.name}", sentence, details, also=tuple(also))
            case ("nodes", node, "containers", _, "sandbox") if None in (atom.before, atom.after):
                yield _tell_turn(view, pool, node, atom)


def _tell_turn(view: View, pool: Pool, node: str, atom: Atom) -> Change:
    """A container that started or stopped."""
    *path, _ = atom.path
    before, after = (side.topology.node(node) for side in (view.before, view.after))
    old, new = (_find(each.containers, path[-1]) for each in (before, after))
    side, kind, container = (view.after, "appeared", new) if atom.before is None else (view.before, "vanished", old)
    for each in pool.under(*path):
        if each.path[4] in ("sandbox", "state", "ports") or (each.path[4] == "endpoints" and len(each.path) > 6):
            pool.take(*each.path)
    also: list[str] = []
    words = _tell_container(view, side, pool, node, container, kind, also)
    gone = "; gone" if kind == "vanished" else ""
    sentence = f"{where(node)}container {plain(new.name)} is {plain(new.state)} now (was: {plain(old.state)}){gone}: {words}"
    return Change("changed", f"{node}/container {new.name}", sentence, _tell_details(side, node, container), also=tuple(also))


def _find(containers: tuple[Container, ...], key: object) -> Container:
    """A container by its step in a path; that of the second of a name is numbered."""
    name, number = key if isinstance(key, tuple) else (key, 1)
    return [each for each in containers if each.name == name][number - 1]


def _tell_container(view: View, side: Side, pool: Pool, node: str, container: Container, kind: str, also: list[str]) -> str:
    """A container's network stack in words, out of the pool."""
    if container.mode == HOST:
        return f"in {plain(node)}'s own network namespace"
    if not container.sandbox:
        networks = [plain(endpoint.network) for endpoint in container.endpoints]
        return plain(container.state) + (f", to be in {join(networks)}" if networks else "") + ", without a network namespace"
    name = container.sandbox.namespace
    if name != f"container {container.name}":
        return f"it shares the network namespace of {plain(name)}"
    pool.take("nodes", node, "namespaces", name, kind=kind)
    also += map(place, take_links(view, pool, side, node, name, kind))
    _take_forwards(pool, node, [address.ip for endpoint in container.endpoints for address in endpoint.addresses], kind)
    stack = side.stack(node, name)
    if not stack:
        return "its network namespace is out of sight"
    also += [f"{node}/{name}/{each.name}" for each in stack.interfaces if each.kind != "loopback"]
    own = tell_inside(side, node, stack).replace("a network namespace with ", "", 1)
    return f"its own network namespace, {own}"


def _tell_details(side: Side, node: str, container: Container) -> tuple[str, ...]:
    name = f"container {container.name}"
    stack = side.stack(node, name) if container.sandbox and container.sandbox.namespace == name else None
    words = [*(tell_way_out(stack) if stack else ()), *tell_ports(container.ports, node)]
    return (", ".join(words),) if words else ()


def _take_forwards(pool: Pool, node: str, ips: list, kind: str) -> list[str]:
    """Take the translations of ports that lead to these addresses."""
    found = [atom for atom in pool.under(*facts_path(node, "forwards")) if atom.kind == kind and atom.value.to_address in ips]
    for atom in found:
        pool.take(*atom.path)
    return [atom.value for atom in found]


def tell_endpoints(view: View, pool: Pool) -> Iterator[Change]:
    """Containers that joined a network or left it."""
    for atom in pool:
        match atom.path:
            case ("nodes", node, "containers", key, "endpoints", _):
                pool.take(*atom.path)
                container = _find(view.side(atom).topology.node(node).containers, key)
                yield _tell_endpoint(view.side(atom), pool, node, container, atom)


def _tell_endpoint(side: Side, pool: Pool, node: str, container: Container, atom: Atom) -> Change:
    endpoint: Endpoint = atom.value
    about = f"{node}/container {container.name}"
    verb = {"appeared": "joined", "vanished": "left"}[atom.kind]
    sentence = f"{where(node)}container {plain(container.name)} {verb} network {plain(endpoint.network)}"
    also: list[str] = []
    interface = side.topology.at(endpoint.interface) if endpoint.interface else None
    if interface:
        also = _take_endpoint(side, pool, endpoint.interface, atom.kind)
        sentence += f": {side.joined(endpoint.interface, interface)}"
    details = _take_mode(pool, node, container)
    _take_forwards(pool, node, [address.ip for address in endpoint.addresses], atom.kind)
    return Change(atom.kind, f"{about}/network {endpoint.network}", sentence, details, also=tuple(also))


def _take_endpoint(side: Side, pool: Pool, end: End, kind: str) -> list[str]:
    """Take an endpoint's interface, and the end of its veth pair on the bridge."""
    interface = side.topology.at(end)
    also = [place(end)]
    if take_interface(pool, end, kind):
        take_connected(pool, end, kind)
    if interface.peer and take_interface(pool, interface.peer, kind):
        also.append(place(interface.peer))
    return also


def _take_mode(pool: Pool, node: str, container: Container) -> tuple[str, ...]:
    atom = pool.take("nodes", node, "containers", container.name, "mode")
    return (
        ()
        if atom is None or MISSING in (atom.before, atom.after)
        else (f"its mode is {plain(atom.after)} now (was: {plain(atom.before)})",)
    )
