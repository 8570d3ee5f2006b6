"""A part of a topology: one node of it, or some containers and what they hang on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from netkit.errors import NetkitError
from netkit.network.model import HOST, Container, End, Firewall, NetworkNamespace, Node, Subnet, Topology, calc_container_names
from netkit.network.words import join, plain

# what text and figure can show beside what there is
SHOW = ("addresses", "macs", "routes", "neighbours", "fdb", "rules", "options", "all")


def calc_show(show: Collection[str], known: Collection[str] = SHOW) -> frozenset[str]:
    """What to show as a set, "all" spelt out; raises NetkitError for a word that is none of ``known``."""
    words = {show} if isinstance(show, str) else set(show)
    if unknown := words - set(known):
        raise NetkitError(f"there is nothing called {join(sorted(plain(str(word)) for word in unknown))} to show: there is {join(known)}")
    return frozenset(known if "all" in words else words)


def calc_selection(topology: Topology, node: str | None = None, focus: Collection[str] = ()) -> Topology:
    """The canonical topology, reduced to the node of that name and to the containers and namespaces in ``focus``.

    ``focus`` has names of containers ("web") and of namespaces ("netns red", or "red"); what they are
    joined to stays: other ends, bridges, tunnels, and the containers that share a namespace with them.
    Raises NetkitError, saying what there is, for a name that is not in the topology.
    """
    picture = topology.canonical()
    picture = replace(picture, nodes=find_nodes(picture, node))
    if not focus:
        return picture
    telling = {name: told for each in topology.nodes for name, told in calc_container_names(each).items()}
    chosen = _find_focus(picture, [telling.get(name, name) for name in ([focus] if isinstance(focus, str) else focus)])
    kept = _calc_reach(picture, chosen)
    nodes = tuple(found for each in picture.nodes if (found := _reduce_node(each, chosen, kept)))
    services = {container.service for each in nodes for container in each.containers}
    return replace(picture, nodes=nodes, services=tuple(each for each in picture.services if each.name in services))


def find_nodes(topology: Topology, name: str | None = None) -> tuple[Node, ...]:
    """The node of this name alone, or all nodes without one; raises NetkitError, saying what there is, for an unknown name."""
    found = tuple(node for node in topology.nodes if name in (None, node.name))
    if name is not None and not found:
        raise NetkitError(f"there is no node {plain(name)} here: there is {_tell_known(each.name for each in topology.nodes)}")
    return found


def _tell_known(names: Iterable[str]) -> str:
    return join(plain(name) for name in dict.fromkeys(names)) or "none"


def _find_focus(topology: Topology, focus: Iterable[str]) -> set[tuple[str, str]]:
    """What these names stand for, as pairs of a node and "container web", "netns red" or another namespace's name."""
    named = [(node.name, *each) for node in topology.nodes for each in _list_names(node)]
    chosen: set[tuple[str, str]] = set()
    for name in focus:
        found = {(node, place) for node, names, places in named if name in names for place in places}
        if not found:
            known = _tell_known(names[0] for _, names, _ in named)
            raise NetkitError(f"there is no container or namespace {plain(name)} here: there is {known}")
        chosen |= found
    return chosen


def _list_names(node: Node) -> Iterator[tuple[tuple[str, str], set[str]]]:
    """The names that each container and other namespace of a node goes by, with and without the word for its kind, and its places."""
    for container in node.containers:
        yield (container.name, f"container {container.name}"), _calc_places(container)
    for each in node.namespaces:
        if each.kind not in (HOST, "container"):
            yield (each.name, each.title), {each.name}


def _calc_places(container: Container) -> set[str]:
    """A container, and the namespace it is in."""
    return {f"container {container.name}", container.namespace} - {""}


def _calc_reach(picture: Topology, chosen: set[tuple[str, str]]) -> set[End]:
    """Every interface of these namespaces but the nodes' own, and what those hang on: other ends, bridges, parents, tunnels."""
    ends = dict(picture.ends())
    waiting = [end for end in ends if (end.node, end.namespace) in chosen and end.namespace != HOST]
    reached: set[End] = set()
    while waiting:
        end = waiting.pop()
        if end not in reached and end in ends:
            reached.add(end)
            interface = ends[end]
            waiting += filter(None, (interface.peer, interface.parent, interface.master and replace(end, interface=interface.master)))
            if interface.kind == "bridge":
                waiting += [other for other, port in ends.items() if port.vxlan and replace(other, interface=port.master) == end]
    return reached


def _reduce_node(node: Node, chosen: set[tuple[str, str]], kept: set[End]) -> Node | None:
    mine = {name for where, name in chosen if where == node.name}
    if not mine and not any(end.node == node.name for end in kept):
        return None
    containers = tuple(each for each in node.containers if _calc_places(each) & (mine - {HOST}))
    namespaces = [each if each.name in mine - {HOST} else _reduce_namespace(node, each, kept) for each in node.namespaces]
    left = tuple(each for each in namespaces if each.kind == HOST or each.name in mine or each.interfaces)
    names = {endpoint.network for container in containers for endpoint in container.endpoints}
    there = {interface.name for namespace in left if namespace.kind == HOST for interface in namespace.interfaces}
    networks = tuple(network for network in node.networks if network.name in names or network.bridge in there)
    return replace(node, namespaces=left, containers=containers, networks=networks)


def _reduce_namespace(node: Node, namespace: NetworkNamespace, kept: set[End]) -> NetworkNamespace:
    names = {end.interface for end in kept if (end.node, end.namespace) == (node.name, namespace.name)}
    if namespace.kind == HOST:  # the picture ends behind the ways out of the machine
        leads = (each for each in namespace.interfaces if not each.peer and not each.master)
        names |= {each.name for each in leads if each.kind in ("physical", "veth")}
    interfaces = tuple(each for each in namespace.interfaces if each.name in names)
    near = [address.network for each in interfaces for address in each.addresses]
    return replace(
        namespace,
        interfaces=interfaces,
        routes=tuple(each for each in namespace.routes if each.interface in names),
        neighbours=tuple(each for each in namespace.neighbours if each.interface in names),
        forwarding=tuple(each for each in namespace.forwarding if each.port in names),
        firewall=namespace.firewall and _reduce_firewall(namespace.firewall, {each.name for each in interfaces}, near),
    )


def _reduce_firewall(firewall: Firewall, names: set[str], near: list[Subnet]) -> Firewall:
    def is_near(source: Subnet) -> bool:
        return source.prefixlen > 0 and any(net.version == source.version and net.overlaps(source) for net in near)

    return replace(
        firewall,
        masquerades=tuple(each for each in firewall.masquerades if {each.leaving, each.not_leaving} & names or is_near(each.source)),
        forwards=tuple(each for each in firewall.forwards if any(each.to_address in net for net in near)),
        **{word: tuple(name for name in getattr(firewall, word) if name in names) for word in ("isolated", "internal", "silent")},
    )
