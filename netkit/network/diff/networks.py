"""Networks that come and go, each with its bridge and its rules; and namespaces that are no container's."""

from __future__ import annotations

from collections.abc import Iterator

from netkit.network.diff.atoms import Atom, Pool
from netkit.network.diff.claims import facts_path, path_of, take_interface, take_links
from netkit.network.diff.value import Change
from netkit.network.diff.view import Side, View, place, where
from netkit.network.model import HOST, End, Firewall, Network, NetworkNamespace
from netkit.network.text.stack import order_of_bridge, tell_way_out
from netkit.network.words import BUILTIN, join, plain, tell_addresses, tell_masquerade, tell_means


def tell_networks(view: View, pool: Pool) -> Iterator[Change]:
    """Networks that appeared or vanished."""
    for atom in pool:
        match atom.path:
            case ("nodes", node, "networks", _):
                pool.take(*atom.path)
                yield _tell_network(view.side(atom), pool, node, atom)


def _tell_network(side: Side, pool: Pool, node: str, atom: Atom) -> Change:
    network: Network = atom.value
    also = []
    words = [] if network.driver == "bridge" else [plain(network.driver)]
    words += [word for word in ("internal", "attachable", "ingress") if getattr(network, word)]
    bridge = End(node=node, namespace=HOST, interface=network.bridge) if network.bridge else None
    found = side.topology.at(bridge) if bridge else None
    if found and (path_of(bridge) not in pool or take_interface(pool, bridge, atom.kind)):
        also.append(place(bridge))
        name = plain(bridge.interface) if side.telling.is_drawn(bridge) else f"bridge {plain(bridge.interface)}"
        words.append(f"{name} with {tell_addresses(found) or 'no address'}")
    else:
        words += tell_means(network)
    details = _take_facts(side, pool, node, network, atom.kind, also)
    details += _take_hidden(side, pool, node, network, atom.kind, also)
    sentence = f"{where(node)}network {plain(network.name)} {atom.kind}" + (f": {', '.join(words)}" if words else "")
    if network.driver in BUILTIN:
        sentence = f"{where(node)}network {plain(network.name)} {atom.kind}"
    return Change(atom.kind, f"{node}/network {network.name}", sentence, tuple(details), also=tuple(also))


def _take_facts(side: Side, pool: Pool, node: str, network: Network, kind: str, also: list[str]) -> list[str]:
    """What the packet filter does for the network, out of the pool, in words."""
    bridge, details = network.bridge, []
    for atom in pool.under(*facts_path(node, "masquerades")):
        fact = atom.value
        near = bridge and bridge in (fact.leaving, fact.not_leaving)
        if atom.kind == kind and (near or fact.source in network.subnets):
            pool.take(*atom.path)
            also.append(f"{node}/{HOST}/masquerade {fact.source}")
            details.append(tell_masquerade(fact))
    stack = side.stack(node, HOST)
    firewall = stack.firewall if stack and stack.firewall else Firewall()
    if bridge and pool.take(*facts_path(node, "isolated", bridge), kind=kind):
        others = sorted((name for name in firewall.isolated if name != bridge), key=order_of_bridge)
        details += [f"no packet is forwarded between it and {join(map(plain, others))}"] * bool(others)
    if bridge and pool.take(*facts_path(node, "internal", bridge), kind=kind):
        details.append("no packet leaves it or enters it")
    if bridge and pool.take(*facts_path(node, "silent", bridge), kind=kind):
        details.append("its ports may not talk to each other")
    return details


def _take_hidden(side: Side, pool: Pool, node: str, network: Network, kind: str, also: list[str]) -> list[str]:
    """The hidden namespaces of an overlay network, out of the pool, in words."""
    details = []
    for name in (f"overlay {network.name}", f"lb {network.name}") if network.driver == "overlay" else ():
        atom = pool.take("nodes", node, "namespaces", name, kind=kind)
        if atom:
            also.append(f"{node}/{name}")
            details.append(f"{plain(name)}: {tell_inside(side, node, atom.value)}")
    return details


def tell_stacks(view: View, pool: Pool) -> Iterator[Change]:
    """Namespaces that appeared or vanished and belong to no container that did."""
    for atom in pool:
        match atom.path:
            case ("nodes", node, "namespaces", name):
                pool.take(*atom.path)
                side, links = view.side(atom), []
                if atom.value.kind not in ("named", "process"):
                    links = take_links(view, pool, side, node, name, atom.kind)
                words = f"{where(node)}{plain(name)} {atom.kind}: {tell_inside(side, node, atom.value)}"
                also = (*(place(end) for end in links), *_places(node, atom.value))
                details = tuple(tell_way_out(atom.value))
                yield Change(atom.kind, f"{node}/{name}", words, details, also=also)


def _places(node: str, stack: NetworkNamespace) -> list[str]:
    return [f"{node}/{stack.name}/{each.name}" for each in stack.interfaces if each.kind != "loopback"]


def tell_inside(side: Side, node: str, stack: NetworkNamespace) -> str:
    """A namespace and its interfaces in one sentence; without the ends of veth pairs to others, which tell of them."""
    ends = [(End(node=node, namespace=stack.name, interface=each.name), each) for each in stack.interfaces]
    found = [(end, each) for end, each in ends if each.kind != "loopback" and not side.telling.is_drawn(end)]
    if found:
        return "a network namespace with " + "; ".join(side.joined(end, each) for end, each in found)
    if not ends:
        return "a network namespace with no interface at all"
    return "a network namespace with nothing but a loopback" + (", which is down" if not ends[0][1].up else "")
