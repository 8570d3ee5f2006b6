"""What the kernel has: network namespaces, and what is in them, their packet filter included."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

HOST = "host"  # the name of a node's own network namespace

Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network
# tables have the same few addresses in hundreds of rows: each is read once; an engine keeps a subnet as it was told, host bits included
read_address, read_interface = map(functools.lru_cache(4096), (ipaddress.ip_address, ipaddress.ip_interface))
read_subnet = functools.lru_cache(4096)(functools.partial(ipaddress.ip_network, strict=False))


def read_ip(text: str | None) -> Ip | None:
    """An address, or None where a table has none; raises ValueError for what is no address."""
    return read_address(text) if text else None


def by_address(address) -> tuple:
    """IPv4 first; for addresses, interfaces and networks alike."""
    return (address.version, address)


def is_link_local(address) -> bool:
    """Whether an address or destination is link-local IPv6, which follows from a MAC address (RFC 4291)."""
    return address.version == 6 and address.is_link_local


by_name = attrgetter("name")


def in_order(key: Callable[[Any], Any], **more: Any) -> Any:
    """A field that is a tuple, empty unless told, whose items a :class:`Value` puts in the order of this key."""
    return field(default=(), metadata={"key": key}, **more)


class Value:
    """What has tuples in it that are sorted when it is made, so that equal values also look alike."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for each in fields(self):  # type: ignore[arg-type]
            items = getattr(self, each.name)
            if "key" in each.metadata and len(items) > 1:
                object.__setattr__(self, each.name, tuple(sorted(items, key=each.metadata["key"])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What becomes of packets that no rule of a built-in chain decides; ``family`` is 4 or 6."""

    family: int
    table: str
    chain: str
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Masquerade:
    """Source NAT to the address of the interface a packet leaves by.

    ``leaving`` is the interface it has to leave by, ``not_leaving`` the one it must not.
    """

    source: Subnet
    leaving: str | None = None
    not_leaving: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortForward:
    """Destination NAT of a port: ``address``:``port`` becomes ``to_address``:``to_port``."""

    protocol: str
    port: int
    to_address: Ip
    to_port: int
    address: Ip | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Firewall(Value):
    """The packet filter of one namespace: what follows for the network, and the ``rules`` it follows from.

    ``isolated`` are the bridges between which nothing is forwarded, ``internal`` those that reach
    nothing outside themselves, ``silent`` those whose own ports may not talk to each other
    (``enable_icc=false``). ``rules`` are lines in the form of iptables-save(8), each beginning with
    its family and table ("4 nat -A POSTROUTING …"), in the order in which they are tried.
    ``backend`` is nf_tables or legacy.
    """

    backend: str = ""
    policies: tuple[Policy, ...] = in_order(attrgetter("family", "table", "chain"))
    masquerades: tuple[Masquerade, ...] = in_order(lambda m: (*by_address(m.source), m.leaving or "", m.not_leaving or ""))
    forwards: tuple[PortForward, ...] = in_order(lambda f: (f.protocol, f.port, str(f.address or ""), str(f.to_address), f.to_port))
    isolated: tuple[str, ...] = in_order(str)
    internal: tuple[str, ...] = in_order(str)
    silent: tuple[str, ...] = in_order(str)
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Where an interface is: the node, the name of the namespace there, and its own name."""

    node: str
    namespace: str
    interface: str

    def __str__(self) -> str:
        return f"{self.node}/{self.namespace}/{self.interface}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vxlan:
    """A VTEP: ``port`` is the UDP port on the underlay, ``local`` the address it sends from (ip-link(8))."""

    vni: int
    port: int
    local: Ip | None = None
    group: Ip | None = None
    learning: bool = False
    proxy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A bridge's own settings; ``stp`` is off, kernel or user (``brctl showstp``, if_link.h)."""

    stp: str = "off"
    vlan_filtering: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgePort:
    """How a bridge treats a port: its STP state (disabled, listening, learning, forwarding, blocking)."""

    state: str
    hairpin: bool = False
    isolated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface(Value):
    """A network device. ``kind`` is the kernel's (veth, bridge, vxlan, macvlan …), or loopback, or physical.

    ``up`` is what its owner asked for, ``state`` what came of it (RFC 2863: up, down, lowerlayerdown,
    unknown …). ``peer`` is the other end of a veth pair; a veth without one has it outside of the
    picture. ``parent`` is what a macvlan, ipvlan or vlan device sits on, or a VTEP sends through.
    ``mtu`` is in bytes. ``kernel_name`` is what the kernel calls it, where ``name`` is a telling one instead.
    """

    name: str
    kind: str
    mac: str = ""
    mtu: int = 0
    up: bool = False
    state: str = "unknown"
    addresses: tuple[Address, ...] = in_order(by_address)
    master: str | None = None
    peer: End | None = None
    parent: End | None = None
    vxlan: Vxlan | None = None
    macvlan_mode: str | None = None
    vlan: int | None = None
    bridge: Bridge | None = None
    port: BridgePort | None = None
    index: int = field(default=0, compare=False)
    kernel_name: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardingEntry:
    """One row of a forwarding database (``bridge fdb``): behind which ``port`` a MAC address is.

    ``kind`` is learned, static or permanent. A VTEP's rows name the ``destination``: the address
    of the machine to send to. ``owner`` is the bridge, or the VTEP itself.
    """

    mac: str
    port: str
    owner: str
    kind: str
    destination: Ip | None = None
    vlan: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route, ``destination`` being 0.0.0.0/0 or ::/0 for the default one; ``kind`` is unicast, blackhole …

    Routes of the table "local", which follow from the addresses, are left out.
    """

    destination: Subnet
    interface: str | None = None
    gateway: Ip | None = None
    source: Ip | None = None
    kind: str = "unicast"
    scope: str = "universe"
    metric: int = 0
    table: int = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A row of the neighbour table (ARP, NDP). ``mac`` is empty where nobody answered.

    ``state`` (reachable, stale, permanent …) changes by the passing of time alone and does not count.
    """

    address: Ip
    interface: str
    mac: str = ""
    state: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkNamespace(Value):
    """One network namespace.

    ``kind`` says whose: host (the node's own, named "host"), container, named (``ip netns``), overlay
    (an overlay network's hidden one), load-balancer, ingress, or process (nothing but a process holds
    it). ``name`` is unique on the node: "container web", "netns red", "overlay over" …

    ``resolver`` is the address of the engine's embedded DNS server, if it listens in here. ``paths``
    are the files that stand for the namespace, ``inode`` its number (namespaces(7)).
    """

    name: str
    kind: str
    interfaces: tuple[Interface, ...] = in_order(by_name)
    routes: tuple[Route, ...] = in_order(
        lambda r: (r.destination.version, r.table, r.destination, r.metric, r.interface or "", str(r.gateway), r.kind)
    )
    neighbours: tuple[Neighbour, ...] = in_order(lambda n: (*by_address(n.address), n.interface))
    forwarding: tuple[ForwardingEntry, ...] = in_order(lambda e: (e.owner, e.port, e.kind, e.mac, e.vlan or 0, str(e.destination or "")))
    firewall: Firewall | None = None
    forwards_packets: bool = False
    resolver: Ip | None = None
    inode: int = field(default=0, compare=False)
    paths: tuple[str, ...] = in_order(str, compare=False)

    @property
    def title(self) -> str:
        """The name without the word for its kind: a container's, a network's, or the namespace's own."""
        return self.name.partition(" ")[2] or self.name

    def interface(self, name: str) -> Interface | None:
        """The interface of this name, or None."""
        return next((interface for interface in self.interfaces if interface.name == name), None)
