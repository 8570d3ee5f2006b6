"""Names drawn by lot, replaced by names that say what a thing is.

The engine names the host's end of a container's veth pair by seven random digits, its bridges by the
network's id, and gives both a random MAC address; Swarm ends the name of a task's container with
the task's id; the embedded DNS server listens on a port of the kernel's choice. All that differs after
every restart although the network is the same. Here things are named after what they are: "veth of web
eth0", "bridge of shop", "hello.1". Comparing topologies, and telling them in words, is done on these names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from netkit.network.model import (
    HOST,
    Container,
    End,
    Endpoint,
    Firewall,
    ForwardingEntry,
    Interface,
    Masquerade,
    NetworkNamespace,
    Node,
    Route,
    Topology,
)

# libnetwork: netutils.GenerateIfaceName("veth", 7); osl numbers those it moves into an overlay's namespace
DRAWN_VETH = re.compile(r"veth[0-9a-f]{7}")
NUMBERED_VETH = re.compile(r"veth[0-9]+")
# swarmkit: the service's name, the slot or the node's id, and the task's id (identity.NewID: 25 digits of base 36)
DRAWN_TASK = re.compile(r".+\.[0-9a-z]+\.[0-9a-z]{25}")
DRAWN_BRIDGE = re.compile(r"br-[0-9a-f]{12}")


@dataclass(frozen=True)
class _Names:
    """What to call one namespace, and its interfaces and MAC addresses."""

    stack: str
    interfaces: dict[str, str]
    macs: dict[str, str]

    def of(self, name: str | None) -> str | None:
        return self.interfaces.get(name, name) if name else name

    def within(self, text: str) -> str:
        if "127.0.0.11" in text:  # the embedded DNS server's ports are drawn by lot, too
            text = re.sub(r"(127\.0\.0\.11:|--sport )\d+", r"\1…", text)
        return re.sub(r"\b(?:veth|br-)[0-9a-f]+\b", lambda match: self.interfaces.get(match[0], match[0]), text)


def calc_container_names(node: Node) -> dict[str, str]:
    """What to call those containers of a node that are a swarm's tasks: {"hello.1.p4e7…": "hello.1"}."""
    names: dict[str, str] = {}
    for container in sorted(node.containers, key=lambda each: each.sandbox is None):  # those that run first
        if container.task and DRAWN_TASK.fullmatch(container.name):
            taken = sum(name == container.task or name.startswith(f"{container.task} #") for name in names.values())
            names[container.name] = f"{container.task} #{taken + 1}" if taken else container.task
    return names


def _rename_stack(name: str, containers: dict[str, str]) -> str:
    kind, _, title = name.partition(" ")
    return f"container {containers[title]}" if kind == "container" and title in containers else name


def calc_names(node: Node, namespace: NetworkNamespace) -> dict[str, str]:
    """What to call those interfaces of a namespace whose names were drawn by lot: {name: telling name}."""
    names = {}
    containers = calc_container_names(node)
    bridges = {network.bridge: network.name for network in node.networks if network.bridge}
    for interface in namespace.interfaces:
        drawn = DRAWN_VETH if namespace.kind == HOST else NUMBERED_VETH if namespace.kind == "overlay" else None
        peer = interface.peer
        if interface.kind == "veth" and peer and drawn and drawn.fullmatch(interface.name):
            other = _rename_stack(peer.namespace, containers)
            # a load balancer or a process may be called like a container: only containers go without the word for their kind
            names[interface.name] = f"veth of {other.removeprefix('container ')} {peer.interface}"
        elif interface.name in bridges and DRAWN_BRIDGE.fullmatch(interface.name):
            names[interface.name] = f"bridge of {bridges[interface.name]}"
    return names


def calc_canonical(topology: Topology) -> Topology:
    """The same topology with telling names instead of drawn ones, and without drawn MAC addresses."""
    names = {(node.name, namespace.name): _calc_names(node, namespace) for node, namespace in topology.stacks()}
    return replace(topology, nodes=tuple(_rename_node(node, names) for node in topology.nodes))


def _calc_names(node: Node, namespace: NetworkNamespace) -> _Names:
    names = calc_names(node, namespace)
    drawn = (interface for interface in namespace.interfaces if interface.name in names and interface.mac)
    return _Names(
        _rename_stack(namespace.name, calc_container_names(node)),
        names,
        {interface.mac: f"that of {names[interface.name]}" for interface in drawn},
    )


def _rename_node(node: Node, names: dict[tuple[str, str], _Names]) -> Node:
    host = names.get((node.name, HOST), _Names(HOST, {}, {}))
    containers = calc_container_names(node)
    return replace(
        node,
        namespaces=tuple(_rename_namespace(namespace, names[node.name, namespace.name], names) for namespace in node.namespaces),
        networks=tuple(replace(network, bridge=host.of(network.bridge)) for network in node.networks),
        containers=tuple(_rename_container(container, containers, names) for container in node.containers),
    )


def _rename_container(container: Container, containers: dict[str, str], names: dict) -> Container:
    sandbox, mode = container.sandbox, container.mode
    return replace(
        container,
        name=containers.get(container.name, container.name),
        mode=f"container:{containers.get(mode[10:], mode[10:])}" if mode.startswith("container:") else mode,
        sandbox=replace(sandbox, namespace=_rename_stack(sandbox.namespace, containers)) if sandbox else None,
        endpoints=tuple(_rename_endpoint(endpoint, names) for endpoint in container.endpoints),
    )


def _rename_endpoint(endpoint: Endpoint, names: dict) -> Endpoint:
    return replace(endpoint, interface=_rename_end(endpoint.interface, names))


def _rename_end(end: End | None, names: dict[tuple[str, str], _Names]) -> End | None:
    known = end and names.get((end.node, end.namespace))
    return replace(end, namespace=known.stack, interface=known.of(end.interface)) if end and known else end


def _rename_namespace(namespace: NetworkNamespace, mine: _Names, names: dict) -> NetworkNamespace:
    return replace(
        namespace,
        name=mine.stack,
        interfaces=tuple(_rename_interface(interface, mine, names) for interface in namespace.interfaces),
        routes=tuple(
            _rename_route(route, mine) for route in namespace.routes if not (route.interface in mine.interfaces and _is_local(route))
        ),
        neighbours=tuple(
            replace(row, interface=mine.of(row.interface), mac=mine.macs.get(row.mac, row.mac)) for row in namespace.neighbours
        ),
        forwarding=tuple(_rename_entry(entry, mine) for entry in namespace.forwarding),
        firewall=_rename_firewall(namespace.firewall, mine) if namespace.firewall else None,
    )


def _is_local(route: Route) -> bool:
    return route.destination.is_link_local


def _rename_interface(interface: Interface, mine: _Names, names: dict) -> Interface:
    drawn = interface.name in mine.interfaces
    return replace(
        interface,
        name=mine.of(interface.name),
        mac="" if drawn else interface.mac,
        # a link-local address follows from the MAC address (RFC 4291)
        addresses=tuple(address for address in interface.addresses if not (drawn and address.is_link_local)),
        master=mine.of(interface.master),
        peer=_rename_end(interface.peer, names),
        parent=_rename_end(interface.parent, names),
    )


def _rename_route(route: Route, mine: _Names) -> Route:
    return replace(route, interface=mine.of(route.interface))


def _rename_entry(entry: ForwardingEntry, mine: _Names) -> ForwardingEntry:
    return replace(entry, mac=mine.macs.get(entry.mac, entry.mac), port=mine.of(entry.port), owner=mine.of(entry.owner))


def _rename_firewall(firewall: Firewall, mine: _Names) -> Firewall:
    return replace(
        firewall,
        masquerades=tuple(_rename_masquerade(each, mine) for each in firewall.masquerades),
        isolated=tuple(mine.of(name) for name in firewall.isolated),
        internal=tuple(mine.of(name) for name in firewall.internal),
        silent=tuple(mine.of(name) for name in firewall.silent),
        rules=tuple(mine.within(rule) for rule in firewall.rules),
    )


def _rename_masquerade(each: Masquerade, mine: _Names) -> Masquerade:
    return replace(each, leaving=mine.of(each.leaving), not_leaving=mine.of(each.not_leaving))
