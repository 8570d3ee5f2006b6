"""What a network is made of, as frozen values: no effects, and nothing but the standard library.

Everything sits where the kernel has it: a :class:`Topology` has nodes, a node has network namespaces,
a namespace has interfaces, routes, neighbours, forwarding entries and packet filter facts. Beside
them stands what the engine says: networks, containers with their sandbox and endpoints, services.

Two topologies are equal when the networks are: order, interface numbers and random ids (of containers,
networks, namespaces; names and MAC addresses that the engine makes at random) do not count, but are kept.
Tuples are sorted when a value is made, so that equal values also look alike.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_address, ip_interface, ip_network
from types import NoneType, UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from netkit.network.engine_model import *  # noqa: F403 (whoever uses the model imports its parts from here)
from netkit.network.engine_model import Lan, Node, Service
from netkit.network.kernel_model import *  # noqa: F403
from netkit.network.kernel_model import HOST, End, Firewall, Interface, NetworkNamespace, Value, by_name, in_order

# libnetwork: netutils.GenerateIfaceName("veth", 7); osl numbers those it moves into an overlay's namespace
DRAWN_VETH = re.compile(r"veth[0-9a-f]{7}")
NUMBERED_VETH = re.compile(r"veth[0-9]+")
# swarmkit: the service's name, the slot or the node's id, and the task's id (identity.NewID: 25 digits of base 36)
RANDOM_TASK = re.compile(r".+\.[0-9a-z]+\.[0-9a-z]{25}")
DRAWN_BRIDGE = re.compile(r"br-[0-9a-f]{12}")


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
    names, containers = {}, calc_container_names(node)
    bridges = {network.bridge: network.name for network in node.networks if network.bridge}
    pattern = {HOST: DRAWN_VETH, "overlay": NUMBERED_VETH}.get(namespace.kind)
    for interface in namespace.interfaces:
        peer = interface.peer
        if interface.kind == "veth" and peer and pattern and pattern.fullmatch(interface.name):
            word, _, title = peer.namespace.partition(" ")
            other = containers.get(title, title) if word == "container" else peer.namespace
            # a load balancer or a process may be called like a container: only containers go without the word for their kind
            names[interface.name] = f"veth of {other} {peer.interface}"
        elif interface.name in bridges and DRAWN_BRIDGE.fullmatch(interface.name):
            names[interface.name] = f"bridge of {bridges[interface.name]}"
    return names


def calc_canonical(topology: Topology) -> Topology:
    """The same topology with telling names instead of random ones, and without random MAC addresses."""
    names, nodes = _calc_all_names(topology), []
    for node in topology.nodes:
        host = names.get((node.name, HOST)) or _calc_words(node, NetworkNamespace(name=HOST, kind=HOST))
        namespaces = tuple(_rename(each, names[node.name, each.name], names) for each in node.namespaces)
        nodes.append(replace(_rename(replace(node, namespaces=()), host, names), namespaces=namespaces))
    return replace(topology, nodes=tuple(nodes))


def find_captured(topology: Topology) -> dict[End, Interface]:
    """Each interface as it was captured, by the place it has in the canonical topology."""
    names = _calc_all_names(topology)
    return {_rename(end, {}, names): interface for end, interface in topology.ends()}


def _calc_all_names(topology: Topology) -> dict[tuple[str, str], dict[str, str]]:
    return {(node.name, namespace.name): _calc_words(node, namespace) for node, namespace in topology.namespaces()}


def _calc_words(node: Node, namespace: NetworkNamespace) -> dict[str, str]:
    """What to say for whatever is random in a namespace: names of its interfaces, their MAC addresses, the node's containers."""
    names, containers = calc_names(node, namespace), calc_container_names(node)
    macs = {each.mac: f"that of {names[each.name]}" for each in namespace.interfaces if each.name in names and each.mac}
    told = {f"{before}{old}": f"{before}{new}" for old, new in containers.items() for before in ("", "container ", "container:")}
    return told | macs | names


def _rename(value: Any, mine: dict[str, str], names: dict[tuple[str, str], dict[str, str]]) -> Any:
    """A value and all in it with telling names: ``mine`` are those of the namespace it is in, ``names`` those of all places."""
    if isinstance(value, str):
        return mine.get(value, value)
    if isinstance(value, tuple):
        return tuple(_rename(each, mine, names) for each in value)
    if isinstance(value, End):
        there = names.get((value.node, value.namespace), {})
        return End(node=value.node, namespace=_rename(value.namespace, there, names), interface=_rename(value.interface, there, names))
    if not is_dataclass(value):
        return value
    new = {each.name: _rename(getattr(value, each.name), mine, names) for each in fields(value)}
    match value:
        case Interface(name=name, mac=mac, addresses=addresses):
            is_random = name in mine  # and with it the MAC address, and a link-local address, which follows from that (RFC 4291)
            new["kernel_name"], new["mac"] = value.kernel_name or name, "" if is_random else mac
            new["addresses"] = tuple(each for each in addresses if not (is_random and each.is_link_local))
        case NetworkNamespace(routes=routes):
            kept = (each for each in routes if not (each.interface in mine and each.destination.is_link_local))
            new["routes"] = _rename(tuple(kept), mine, names)
        case Firewall(rules=rules):
            new["rules"] = tuple(_rename_rule(each, mine) for each in rules)
    return type(value)(**new)


def _rename_rule(text: str, names: dict[str, str]) -> str:
    """A rule with these names, and without the embedded DNS server's ports, which are random, too."""
    if "127.0.0.11" in text:
        text = re.sub(r"(127\.0\.0\.11:|--sport )\d+", r"\1…", text)
    return re.sub(r"\b(?:veth|br-)[0-9a-f]+\b", lambda match: names.get(match[0], match[0]), text)


# -- as JSON, by the annotations: nothing to keep in step by hand --

# of the kinds of addresses, that for IPv4 stands for both
READERS = {IPv4Interface: ip_interface, IPv4Address: ip_address, IPv4Network: ip_network}


def _encode(value: Any) -> Any:
    """What JSON has no form for, in plain terms: a value without what equals its default, an address as its text."""
    if not is_dataclass(value):
        return str(value)
    return {each.name: item for each in fields(value) if (item := getattr(value, each.name)) != each.default}


_find_hints = functools.cache(get_type_hints)


def _decode(hint: Any, value: Any, place: str) -> Any:
    """What JSON has as a value of the type that is annotated; raises ValueError, beginning with the place, for what does not fit."""
    hint, *others = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if value is None and NoneType in others:
        return None
    is_tuple, is_value = get_origin(hint) is tuple, is_dataclass(hint)
    form, called = (list, "list") if is_tuple else (dict, "object") if is_value else (str, "address") if hint in READERS else (hint, "")
    if not isinstance(value, form) or (form is int and isinstance(value, bool)):
        raise ValueError(f"{place}: {value!r} is no {called or form.__name__}")
    if is_tuple:
        hints = get_args(hint)
        hints = hints[:1] * len(value) if hints[-1] is Ellipsis else hints
        if len(hints) != len(value):
            raise ValueError(f"{place}: {len(value)} values instead of {len(hints)}")
        return tuple(_decode(each, item, f"{place}[{at}]") for at, (each, item) in enumerate(zip(hints, value, strict=True)))
    if is_value:
        hints = _find_hints(hint)
        if unknown := value.keys() - hints.keys():
            raise ValueError(f"{place}: there is no {min(unknown)!r} here")
        value = {name: _decode(hints[name], item, f"{place}.{name}") for name, item in value.items()}
    try:
        return hint(**value) if is_value else READERS.get(hint, hint)(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place}: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Topology(Value):
    """The network of some nodes at one moment; that of :mod:`netkit.network.capture` can also tell and draw itself."""

    nodes: tuple[Node, ...] = in_order(lambda n: (n.engine is None, len(n.name), n.name))
    lan: Lan | None = None
    services: tuple[Service, ...] = in_order(by_name)

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

    def namespaces(self) -> Iterator[tuple[Node, NetworkNamespace]]:
        """Every network namespace with its node, in order."""
        return ((node, namespace) for node in self.nodes for namespace in node.namespaces)

    def ends(self) -> Iterator[tuple[End, Interface]]:
        """Every interface with its place, in order."""
        for node, namespace in self.namespaces():
            for interface in namespace.interfaces:
                yield End(node=node.name, namespace=namespace.name, interface=interface.name), interface

    def to_json(self, indent: int | None = None) -> str:
        """Everything, as JSON; :meth:`from_json` makes an equal value of it, ids included."""
        return json.dumps(self, default=_encode, indent=indent, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The topology that :meth:`to_json` wrote; raises ValueError with the place for anything else."""
        try:
            return _decode(cls, json.loads(text), cls.__name__)
        except json.JSONDecodeError as error:
            raise ValueError(f"{cls.__name__}: this is no JSON: {error}") from None
        except RecursionError:
            raise ValueError(f"{cls.__name__}: this is nested too deep") from None
