"""What a network is made of, as frozen values: no effects, and nothing but the standard library.

Everything sits where the kernel has it: a :class:`Topology` has nodes, a node has network namespaces,
a namespace has interfaces, routes, neighbours, forwarding entries and packet filter facts. Beside
them stands what the engine says: networks, containers with their sandbox and endpoints, services.

Two topologies are equal when the networks are: order, interface numbers and random ids (of containers,
networks, namespaces; names and MAC addresses that the engine makes at random) do not count, but are kept.
Tuples are sorted when a value is made, so that equal values also look alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from netkit.network import serial
from netkit.network.engine_model import *  # noqa: F403 (whoever uses the model imports its parts from here)
from netkit.network.engine_model import Container, Lan, Network, Node, Service
from netkit.network.kernel_model import *  # noqa: F403
from netkit.network.kernel_model import (
    HOST,
    End,
    Firewall,
    ForwardingEntry,
    Interface,
    Masquerade,
    Neighbour,
    NetworkNamespace,
    Route,
    by_name,
    sort,
)

if TYPE_CHECKING:
    from netkit.network.model import Topology


# libnetwork: netutils.GenerateIfaceName("veth", 7); osl numbers those it moves into an overlay's namespace
DRAWN_VETH = re.compile(r"veth[0-9a-f]{7}")
NUMBERED_VETH = re.compile(r"veth[0-9]+")
# swarmkit: the service's name, the slot or the node's id, and the task's id (identity.NewID: 25 digits of base 36)
RANDOM_TASK = re.compile(r".+\.[0-9a-z]+\.[0-9a-z]{25}")
DRAWN_BRIDGE = re.compile(r"br-[0-9a-f]{12}")
# where a value names interfaces of its own namespace (a network: of its host's)
NAMING = {
    Interface: ("name", "master"),
    Route: ("interface",),
    Neighbour: ("interface",),
    ForwardingEntry: ("port", "owner"),
    Masquerade: ("leaving", "not_leaving"),
    Firewall: ("isolated", "internal", "silent"),
    Network: ("bridge",),
}


def calc_container_names(node: Node) -> dict[str, str]:
    """What to call those containers of a node that are a swarm's tasks: {"hello.1.p4e7…": "hello.1"}."""
    names: dict[str, str] = {}
    for container in sorted(node.containers, key=lambda each: each.sandbox is None):  # those that run first
        if container.task and RANDOM_TASK.fullmatch(container.name):
            taken = sum(name == container.task or name.startswith(f"{container.task} #") for name in names.values())
            names[container.name] = f"{container.task} #{taken + 1}" if taken else container.task
    return names


def calc_names(node: Node, namespace: NetworkNamespace) -> dict[str, str]:
    """What to call those interfaces of a namespace whose names are random: {name: telling name}."""
    names = {}
    containers = calc_container_names(node)
    bridges = {network.bridge: network.name for network in node.networks if network.bridge}
    pattern = {HOST: DRAWN_VETH, "overlay": NUMBERED_VETH}.get(namespace.kind)
    for interface in namespace.interfaces:
        peer = interface.peer
        if interface.kind == "veth" and peer and pattern and pattern.fullmatch(interface.name):
            other = _rename_namespace(peer.namespace, containers)
            # a load balancer or a process may be called like a container: only containers go without the word for their kind
            names[interface.name] = f"veth of {other.removeprefix('container ')} {peer.interface}"
        elif interface.name in bridges and DRAWN_BRIDGE.fullmatch(interface.name):
            names[interface.name] = f"bridge of {bridges[interface.name]}"
    return names


def calc_canonical(topology: Topology) -> Topology:
    """The same topology with telling names instead of random ones, and without random MAC addresses."""
    names = {(node.name, namespace.name): _Names.of(node, namespace) for node, namespace in topology.stacks()}
    return replace(topology, nodes=tuple(_rename_node(node, names) for node in topology.nodes))


@dataclass(frozen=True)
class _Names:
    """What to call one namespace, and its interfaces and MAC addresses."""

    namespace: str
    interfaces: dict[str, str]
    macs: dict[str, str]

    @classmethod
    def of(cls, node: Node, namespace: NetworkNamespace) -> _Names:
        names = calc_names(node, namespace)
        macs = {each.mac: f"that of {names[each.name]}" for each in namespace.interfaces if each.name in names and each.mac}
        return cls(_rename_namespace(namespace.name, calc_container_names(node)), names, macs)

    def called(self, name: str | None) -> str | None:
        """What to call an interface of this namespace."""
        return self.interfaces.get(name, name) if name else name

    def within(self, text: str) -> str:
        """A rule with these names, and without the embedded DNS server's ports, which are random, too."""
        if "127.0.0.11" in text:
            text = re.sub(r"(127\.0\.0\.11:|--sport )\d+", r"\1…", text)
        return re.sub(r"\b(?:veth|br-)[0-9a-f]+\b", lambda match: self.interfaces.get(match[0], match[0]), text)


def _rename_namespace(name: str, containers: dict[str, str]) -> str:
    kind, _, title = name.partition(" ")
    return f"container {containers[title]}" if kind == "container" and title in containers else name


def _rename_node(node: Node, names: dict[tuple[str, str], _Names]) -> Node:
    host, containers = names.get((node.name, HOST), _Names(HOST, {}, {})), calc_container_names(node)
    return replace(
        node,
        namespaces=tuple(_rename(namespace, names[node.name, namespace.name], names) for namespace in node.namespaces),
        networks=tuple(_rename(network, host, names) for network in node.networks),
        containers=tuple(_rename_container(_rename(container, host, names), containers) for container in node.containers),
    )


def _rename_container(container: Container, names: dict[str, str]) -> Container:
    sandbox, (word, colon, other) = container.sandbox, container.mode.partition(":")
    return replace(
        container,
        name=names.get(container.name, container.name),
        mode=f"{word}{colon}{names.get(other, other)}",
        sandbox=sandbox and replace(sandbox, namespace=_rename_namespace(sandbox.namespace, names)),
    )


def _rename(value: Any, mine: _Names, names: dict[tuple[str, str], _Names]) -> Any:
    """A value and all in it with telling names: ``mine`` are those of the namespace it is in, ``names`` those of all places."""
    if isinstance(value, tuple):
        return tuple(_rename(each, mine, names) for each in value)
    if isinstance(value, End):
        known = names.get((value.node, value.namespace))
        return replace(value, namespace=known.namespace, interface=known.called(value.interface)) if known else value
    if not is_dataclass(value):
        return value
    old = {field.name: getattr(value, field.name) for field in fields(value)} | _clear(value, mine)
    new = {name: _rename(item, mine, names) for name, item in old.items()}
    for name in NAMING.get(type(value), ()):
        new[name] = tuple(map(mine.called, old[name])) if isinstance(old[name], tuple) else mine.called(old[name])
    return type(value)(**new)


def _clear(value: Any, mine: _Names) -> dict[str, Any]:
    """The fields of a value that follow from random names or MAC addresses, without what is random in them."""
    match value:
        case Interface(name=name, addresses=addresses) if name in mine.interfaces:
            # a link-local address follows from the MAC address (RFC 4291)
            return {"mac": "", "addresses": tuple(each for each in addresses if not each.is_link_local)}
        case Neighbour(mac=mac) | ForwardingEntry(mac=mac):
            return {"mac": mine.macs.get(mac, mac)}
        case Firewall(rules=rules):
            return {"rules": tuple(map(mine.within, rules))}
        case NetworkNamespace(routes=routes):
            kept = (each for each in routes if not (each.interface in mine.interfaces and each.destination.is_link_local))
            return {"name": mine.namespace, "routes": tuple(kept)}
    return {}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Topology:
    """The network of some nodes at one moment; :class:`netkit.network.topology.Topology` can also tell and draw itself."""

    nodes: tuple[Node, ...] = ()
    lan: Lan | None = None
    services: tuple[Service, ...] = ()

    def __post_init__(self) -> None:
        sort(self, nodes=lambda n: (n.engine is None, len(n.name), n.name), services=by_name)

    def __eq__(self, other: object) -> bool:
        return self._calc_key() == other._calc_key() if isinstance(other, Topology) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._calc_key())

    def _calc_key(self) -> tuple:
        mine = self.canonical()
        return mine.nodes, mine.lan, mine.services

    def canonical(self) -> Self:
        """The same network with names that say what a thing is where the engine made one at random."""
        return calc_canonical(self)

    def node(self, name: str) -> Node | None:
        """The node of this name, or None."""
        return next((node for node in self.nodes if node.name == name), None)

    def at(self, end: End) -> Interface | None:
        """The interface at a place, or None."""
        node = self.node(end.node)
        namespace = node and node.namespace(end.namespace)
        return namespace.interface(end.interface) if namespace else None

    def stacks(self) -> Iterator[tuple[Node, NetworkNamespace]]:
        """Every network namespace with its node, in order."""
        return ((node, namespace) for node in self.nodes for namespace in node.namespaces)

    def ends(self) -> Iterator[tuple[End, Interface]]:
        """Every interface with its place, in order."""
        for node, namespace in self.stacks():
            for interface in namespace.interfaces:
                yield End(node=node.name, namespace=namespace.name, interface=interface.name), interface

    def to_json(self, indent: int | None = None) -> str:
        """Everything, as JSON; :meth:`from_json` makes an equal value of it, ids included."""
        return serial.to_json(self, indent)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The topology that :meth:`to_json` wrote; raises ValueError with the place for anything else."""
        return serial.from_json(cls, text)
