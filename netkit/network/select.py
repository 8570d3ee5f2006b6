"""A part of a topology: one node of it, or some containers and what they hang on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from netkit.errors import NetkitError
from netkit.network.model import (
    HOST,
    Container,
    End,
    Firewall,
    Interface,
    NetworkNamespace,
    Node,
    Topology,
    calc_container_names,
)
from netkit.network.words import join, plain

# what text and figure can show beside what there is
SHOW = ("addresses", "macs", "routes", "neighbours", "fdb", "rules", "options", "all")


def calc_show(show: Collection[str], known: Collection[str] = SHOW) -> frozenset[str]:
    """What to show as a set, "all" spelt out; raises NetkitError for a word that is none of ``known``."""
    words = {show} if isinstance(show, str) else set(show)
    unknown = words - set(known)
    if unknown:
        raise NetkitError(f"there is nothing called {join(sorted(plain(str(word)) for word in unknown))} to show: there is {join(known)}")
    return frozenset(known if "all" in words else words)


def calc_selection(topology: Topology, node: str | None = None, focus: Collection[str] = ()) -> Topology:
    """The canonical topology, reduced to the node of that name and to the containers and namespaces in ``focus``.

    ``focus`` has names of containers ("web") and of namespaces ("netns red", or "red"); what they are
    joined to stays: other ends, bridges, tunnels, and the containers that share a namespace with them.
    Raises NetkitError, saying what there is, for a name that is not in the topology.
    """
    canonical = topology.canonical()
    picture = replace(canonical, nodes=find_nodes(canonical, node))
    if not focus:
        return picture
    names = {name: telling for each in topology.nodes for name, telling in calc_container_names(each).items()}
    chosen = find_focus(picture, [names.get(name, name) for name in ([focus] if isinstance(focus, str) else focus)])
    kept = _calc_reach(picture, {place for place in chosen if place[1] != HOST})
    nodes = [found for each in picture.nodes if (found := _reduce_node(each, chosen, kept))]
    services = {container.service for each in nodes for container in each.containers}
    return replace(picture, nodes=tuple(nodes), services=tuple(each for each in picture.services if each.name in services))


def find_nodes(topology: Topology, name: str | None = None) -> tuple[Node, ...]:
    """The node of this name alone, or all nodes without one; raises NetkitError, saying what there is, for an unknown name."""
    found = tuple(node for node in topology.nodes if name in (None, node.name))
    if name is not None and not found:
        raise NetkitError(f"there is no node {plain(name)} here: there is {_tell_known(each.name for each in topology.nodes)}")
    return found


def find_focus(topology: Topology, focus: Collection[str]) -> set[tuple[str, str]]:
    """What the names in ``focus`` stand for, as pairs of a node and "container web", "netns red" or another namespace's name.

    A container is named by its name or that of its task, another namespace by its name with or without the word for its kind;
    the namespace that a container is in is chosen with it. Names are those of ``topology``, whether canonical or not.
    Raises NetkitError, saying what there is, for a name that is neither.
    """
    chosen: set[tuple[str, str]] = set()
    for name in [focus] if isinstance(focus, str) else focus:
        found = {place for node in topology.nodes for known, *places in _list_names(node) if name in known for place in places}
        if not found:
            known = (names[0] for node in topology.nodes for names, *_ in _list_names(node))
            raise NetkitError(f"there is no container or namespace {plain(name)} here: there is {_tell_known(known)}")
        chosen |= found
    return chosen


def _tell_known(names: Iterable[str]) -> str:
    return join(plain(name) for name in dict.fromkeys(names)) or "none"


def _list_names(node: Node) -> Iterator[tuple]:
    """The names that each container and other namespace of a node goes by, the first of them to be told, and its places."""
    telling = calc_container_names(node)
    for each in node.containers:
        places = {f"container {each.name}", each.sandbox.namespace if each.sandbox else f"container {each.name}"}
        yield (each.name, telling.get(each.name, each.name), f"container {each.name}"), *((node.name, place) for place in places)
    for each in node.namespaces:
        if each.kind not in (HOST, "container"):
            yield (each.name, each.title), (node.name, each.name)


def _calc_reach(picture: Topology, stacks: set[tuple[str, str]]) -> set[End]:
    """Every interface of these namespaces, and what those hang on: other ends, bridges, parents, tunnels."""
    ends = dict(picture.ends())
    waiting = [end for end in ends if (end.node, end.namespace) in stacks and end.namespace != HOST]
    reached: set[End] = set()
    while waiting:
        end = waiting.pop()
        if end not in reached and end in ends:
            reached.add(end)
            waiting += _find_next(end, ends)
    return reached


def _find_next(end: End, ends: dict[End, Interface]) -> list[End]:
    interface = ends[end]
    found = [each for each in (interface.peer, interface.parent) if each]
    if interface.master:
        found.append(replace(end, interface=interface.master))
    if interface.kind == "bridge":
        here = (each for each in ends if (each.node, each.namespace) == (end.node, end.namespace))
        found += [each for each in here if ends[each].vxlan and ends[each].master == end.interface]
    return found


def _reduce_node(node: Node, chosen: set[tuple[str, str]], kept: set[End]) -> Node | None:
    mine = {name for where, name in chosen if where == node.name}
    if not mine and not any(end.node == node.name for end in kept):
        return None
    containers = [
        each for each in node.containers if f"container {each.name}" in mine or (each.sandbox and each.sandbox.namespace in mine - {HOST})
    ]
    namespaces = [_reduce_namespace(node, each, kept, each.name in mine) for each in node.namespaces]
    left = [each for each in namespaces if each.kind == HOST or each.name in mine or each.interfaces]
    return replace(node, namespaces=tuple(left), containers=tuple(containers), networks=_reduce_networks(node, containers, left))


def _reduce_networks(node: Node, containers: list[Container], left: list[NetworkNamespace]) -> tuple:
    names = {endpoint.network for container in containers for endpoint in container.endpoints}
    there = {interface.name for namespace in left if namespace.kind == HOST for interface in namespace.interfaces}
    return tuple(network for network in node.networks if network.name in names or network.bridge in there)


def _is_lead(interface: Interface) -> bool:
    """Whether this is a way out of the machine: the picture ends behind it."""
    return interface.kind in ("physical", "veth") and not interface.peer and not interface.master


def _reduce_namespace(node: Node, namespace: NetworkNamespace, kept: set[End], whole: bool) -> NetworkNamespace:
    if whole and namespace.kind != HOST:
        return namespace
    interfaces = tuple(
        each
        for each in namespace.interfaces
        if End(node=node.name, namespace=namespace.name, interface=each.name) in kept or (namespace.kind == HOST and _is_lead(each))
    )
    names = {each.name for each in interfaces}
    return replace(
        namespace,
        interfaces=interfaces,
        routes=tuple(each for each in namespace.routes if each.interface in names),
        neighbours=tuple(each for each in namespace.neighbours if each.interface in names),
        forwarding=tuple(each for each in namespace.forwarding if each.port in names),
        firewall=_reduce_firewall(namespace.firewall, interfaces) if namespace.firewall else None,
    )


def _reduce_firewall(firewall: Firewall, interfaces: tuple[Interface, ...]) -> Firewall:
    names = {each.name for each in interfaces}
    near = [address.network for each in interfaces for address in each.addresses]
    return replace(
        firewall,
        masquerades=tuple(
            each
            for each in firewall.masquerades
            if {each.leaving, each.not_leaving} & names
            or (each.source.prefixlen and any(net.version == each.source.version and net.overlaps(each.source) for net in near))
        ),
        forwards=tuple(each for each in firewall.forwards if any(each.to_address in net for net in near)),
        isolated=tuple(each for each in firewall.isolated if each in names),
        internal=tuple(each for each in firewall.internal if each in names),
        silent=tuple(each for each in firewall.silent if each in names),
    )
