"""A part of a topology: one node of it, or some containers and what they hang on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from netkit.errors import NetkitError
from netkit.network.canon import calc_container_names
from netkit.network.model import HOST, Container, End, Firewall, Interface, NetworkNamespace, Node, Topology
from netkit.network.words import join, plain


def calc_selection(topology: Topology, node: str | None = None, focus: Collection[str] = ()) -> Topology:
    """The canonical topology, reduced to the node of that name and to the containers and namespaces in ``focus``.

    ``focus`` has names of containers ("web") and of namespaces ("netns red", or "red"); what they are
    joined to stays: other ends, bridges, tunnels, and the containers that share a stack with them.
    Raises NetkitError, saying what there is, for a name that is not in the topology.
    """
    focus = (focus,) if isinstance(focus, str) else tuple(focus)
    raw = {name: telling for each in topology.nodes for name, telling in calc_container_names(each).items()}
    picture = topology.canonical()
    if node is not None:
        if picture.node(node) is None:
            raise NetkitError(f"there is no node {plain(node)} here: there is {_listing(each.name for each in picture.nodes)}")
        picture = replace(picture, nodes=(picture.node(node),))
    return _calc_focus(picture, [raw.get(name, name) for name in focus]) if focus else picture


def _listing(names: Iterable[str]) -> str:
    return join(plain(name) for name in dict.fromkeys(names)) or "none"


def _calc_focus(picture: Topology, focus: list[str]) -> Topology:
    stacks = {stack for name in focus for stack in _find_stacks(picture, name)}
    kept = _calc_reach(picture, stacks)
    nodes = [_reduce_node(node, focus, stacks, kept) for node in picture.nodes]
    services = {container.service for node in nodes if node for container in node.containers}
    return replace(
        picture,
        nodes=tuple(node for node in nodes if node),
        services=tuple(service for service in picture.services if service.name in services),
    )


def _find_stacks(picture: Topology, name: str) -> list[tuple[str, str]]:
    """The namespaces a name in the focus stands for, as pairs of node and namespace."""
    known = False
    found = []
    for node in picture.nodes:
        for container in node.containers:
            if container.name == name:
                known = True
                found += [(node.name, container.sandbox.namespace)] if container.sandbox else []
        found += [(node.name, each.name) for each in node.namespaces if each.kind != "container" and name in (each.name, each.title)]
        found += [(node.name, each.name) for each in node.namespaces if each.kind == "container" and name == each.name]
    if not known and not found:
        containers = [container.name for node in picture.nodes for container in node.containers]
        made = [each.name for _, each in picture.stacks() if each.kind not in (HOST, "container")]
        raise NetkitError(f"there is no container or namespace {plain(name)} here: there is {_listing([*containers, *made])}")
    return found


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


def _reduce_node(node: Node, focus: list[str], stacks: set[tuple[str, str]], kept: set[End]) -> Node | None:
    mine = {name for where, name in stacks if where == node.name}
    containers = [each for each in node.containers if each.name in focus or (each.sandbox and each.sandbox.namespace in mine - {HOST})]
    namespaces = [_reduce_namespace(node, each, kept, each.name in mine) for each in node.namespaces]
    left = [each for each in namespaces if each and (each.kind == HOST or each.name in mine or each.interfaces)]
    if not containers and not mine and not any(end.node == node.name for end in kept):
        return None
    return replace(node, namespaces=tuple(left), containers=tuple(containers), networks=_reduce_networks(node, containers, left))


def _reduce_networks(node: Node, containers: list[Container], left: list[NetworkNamespace]) -> tuple:
    names = {endpoint.network for container in containers for endpoint in container.endpoints}
    there = {interface.name for namespace in left if namespace.kind == HOST for interface in namespace.interfaces}
    return tuple(network for network in node.networks if network.name in names or network.bridge in there)


def _is_lead(interface: Interface) -> bool:
    """Whether this is a way out of the machine: the picture ends behind it."""
    return interface.kind in ("physical", "veth") and not interface.peer and not interface.master


def _reduce_namespace(node: Node, namespace: NetworkNamespace, kept: set[End], whole: bool) -> NetworkNamespace | None:
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
