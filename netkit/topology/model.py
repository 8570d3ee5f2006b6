"""What a network is made of, as frozen values: no effects, and nothing but the standard library.

Everything sits where the kernel has it: a :class:`Topology` has nodes, a node has network namespaces,
a namespace has interfaces, routes, neighbours, forwarding entries and packet filter facts. Beside
them stands what the engine says: networks, containers with their sandbox and endpoints, services.

Two topologies are equal when the networks are: order, interface numbers and random ids (of containers,
networks, namespaces; names and MAC addresses that the engine draws by lot) do not count, but are kept.
Tuples are sorted when a value is made, so that equal values also look alike.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network

HOST = "host"  # the name of a node's own network namespace


def _sort(value: object, **keys: Callable) -> None:
    """Put the named tuples of a value that is being made in order."""
    for name, key in keys.items():
        object.__setattr__(value, name, tuple(sorted(getattr(value, name), key=key)))


def _by_name(value) -> str:
    return value.name


def _by_address(address) -> tuple:
    return (address.version, address)


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
class Interface:
    """A network device. ``kind`` is the kernel's (veth, bridge, vxlan, macvlan …), or loopback, or physical.

    ``up`` is what its owner asked for, ``state`` what came of it (RFC 2863: up, down, lowerlayerdown,
    unknown …). ``peer`` is the other end of a veth pair; a veth without one has it outside of the
    picture. ``parent`` is what a macvlan, ipvlan or vlan device sits on, or a VTEP sends through.
    ``mtu`` is in bytes.
    """

    name: str
    kind: str
    mac: str = ""
    mtu: int = 0
    up: bool = False
    state: str = "unknown"
    addresses: tuple[Address, ...] = ()
    master: str | None = None
    peer: End | None = None
    parent: End | None = None
    vxlan: Vxlan | None = None
    macvlan_mode: str | None = None
    vlan: int | None = None
    bridge: Bridge | None = None
    port: BridgePort | None = None
    index: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        _sort(self, addresses=_by_address)


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
class Firewall:
    """The packet filter of one namespace: what follows for the network, and the ``rules`` it follows from.

    ``isolated`` are the bridges between which nothing is forwarded, ``internal`` those that reach
    nothing outside themselves, ``silent`` those whose own ports may not talk to each other
    (``enable_icc=false``). ``rules`` are lines in the form of iptables-save(8), each beginning with
    its family and table ("4 nat -A POSTROUTING …"), in the order in which they are tried.
    ``backend`` is nf_tables or legacy.
    """

    backend: str = ""
    policies: tuple[Policy, ...] = ()
    masquerades: tuple[Masquerade, ...] = ()
    forwards: tuple[PortForward, ...] = ()
    isolated: tuple[str, ...] = ()
    internal: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _sort(
            self,
            policies=lambda p: (p.family, p.table, p.chain),
            masquerades=lambda m: (m.source.version, m.source, m.leaving or "", m.not_leaving or ""),
            forwards=lambda f: (f.protocol, f.port, str(f.address or ""), str(f.to_address), f.to_port),
            isolated=str,
            internal=str,
            silent=str,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkNamespace:
    """One network stack.

    ``kind`` says whose: host (the node's own, named "host"), container, named (``ip netns``), overlay
    (an overlay network's hidden one), load-balancer, ingress, or process (nothing but a process holds
    it). ``name`` is unique on the node: "container web", "netns red", "overlay over" …

    ``resolver`` is the address of the engine's embedded DNS server, if it listens in here. ``paths``
    are the files that stand for the namespace, ``inode`` its number (namespaces(7)).
    """

    name: str
    kind: str
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    forwarding: tuple[ForwardingEntry, ...] = ()
    firewall: Firewall | None = None
    forwards_packets: bool = False
    resolver: Ip | None = None
    inode: int = field(default=0, compare=False)
    paths: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        _sort(
            self,
            interfaces=_by_name,
            routes=lambda r: (r.destination.version, r.table, r.destination, r.metric, r.interface or "", str(r.gateway), r.kind),
            neighbours=lambda n: (n.address.version, n.address, n.interface),
            forwarding=lambda e: (e.owner, e.port, e.kind, e.mac, e.vlan or 0, str(e.destination or "")),
            paths=str,
        )

    @property
    def title(self) -> str:
        """The name without the word for its kind: a container's, a network's, or the namespace's own."""
        return self.name.partition(" ")[2] or self.name

    def interface(self, name: str) -> Interface | None:
        """The interface of this name, or None."""
        return next((interface for interface in self.interfaces if interface.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network as its engine has it; ``bridge`` is the bridge's interface name on the node, if it has one.

    ``vni`` is an overlay's VXLAN network identifier, ``parent`` a macvlan's or ipvlan's interface.
    """

    name: str
    driver: str
    scope: str = "local"
    subnets: tuple[Subnet, ...] = ()
    gateways: tuple[Ip, ...] = ()
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    ipv6: bool = False
    bridge: str | None = None
    parent: str | None = None
    vni: int | None = None
    options: tuple[tuple[str, str], ...] = ()
    id: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _sort(self, subnets=_by_address_of_net, gateways=_by_address, options=tuple)


def _by_address_of_net(net: Subnet) -> tuple:
    return (net.version, net)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A container's place in a network; ``interface`` is the one it has there, if the kernel has it.

    ``names`` are those under which the embedded DNS server knows it, beside the container's own.
    """

    network: str
    interface: End | None = None
    addresses: tuple[Address, ...] = ()
    gateway: Ip | None = None
    mac: str = ""
    names: tuple[str, ...] = ()
    id: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _sort(self, addresses=_by_address, names=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A container's network stack in the terms of the container network model; ``key`` is its file."""

    namespace: str
    key: str = field(default="", compare=False)
    id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    """What the engine was asked to publish: ``address``:``port`` of the node leads to ``target`` here."""

    protocol: str
    address: Ip | None
    port: int
    target: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container. ``mode`` is host, none, "container:NAME", several, or its only network's driver.

    ``state`` is the engine's: running, paused, exited, created … ``sandbox`` is None unless it runs.
    """

    name: str
    state: str
    mode: str
    image: str = ""
    sandbox: Sandbox | None = None
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    service: str | None = None
    task: str | None = None
    pid: int = field(default=0, compare=False)
    id: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _sort(self, endpoints=lambda e: e.network, ports=lambda p: (p.protocol, p.port, p.target, str(p.address)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A node's engine: ``state`` is up or down, ``trouble`` why it could not be read (to the end)."""

    state: str
    version: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmMember:
    """A node's part in a swarm: ``role`` is manager or worker, ``state`` ready or down."""

    role: str
    leader: bool = False
    state: str = "ready"
    availability: str = "active"
    id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine. ``state`` is up, idle (not started yet) or down; ``trouble`` says why nothing is known.

    ``engine`` is None on a host that is no Docker node.
    """

    name: str
    state: str = "up"
    trouble: str = ""
    address: Ip | None = None
    engine: Engine | None = None
    swarm: SwarmMember | None = None
    namespaces: tuple[NetworkNamespace, ...] = ()
    networks: tuple[Network, ...] = ()
    containers: tuple[Container, ...] = ()

    def __post_init__(self) -> None:
        _sort(
            self,
            namespaces=lambda n: (n.name != HOST, n.name),
            networks=lambda n: (n.name, n.driver, n.scope),
            containers=_by_name,
        )

    def namespace(self, name: str) -> NetworkNamespace | None:
        """The namespace of this name, or None."""
        return next((namespace for namespace in self.namespaces if namespace.name == name), None)

    def container(self, name: str) -> Container | None:
        """The container of this name, or None."""
        return next((container for container in self.containers if container.name == name), None)

    def network(self, name: str) -> Network | None:
        """The network of this name, or None."""
        return next((network for network in self.networks if network.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One container that a service wants to exist: ``name`` as ``docker service ps`` has it, e.g. "hello.1"."""

    name: str
    node: str
    state: str
    addresses: tuple[Address, ...] = ()
    container: str = field(default="", compare=False)
    id: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _sort(self, addresses=_by_address)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """A published port of a service; ``mode`` is ingress or host."""

    protocol: str
    port: int
    target: int
    mode: str = "ingress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A swarm's service; ``resolution`` is vip or dnsrr, ``vips`` pairs of network and address."""

    name: str
    mode: str
    replicas: int | None = None
    resolution: str = "vip"
    networks: tuple[str, ...] = ()
    vips: tuple[tuple[str, Address], ...] = ()
    ports: tuple[ServicePort, ...] = ()
    tasks: tuple[Task, ...] = ()
    id: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _sort(
            self,
            networks=str,
            vips=lambda v: (v[0], _by_address(v[1])),
            ports=lambda p: (p.protocol, p.port, p.target),
            tasks=lambda t: (t.name, t.node, t.state),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lan:
    """The network that joins the nodes: it lies outside of all of them."""

    subnet: Subnet
    name: str = "LAN"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Topology:
    """The network of some nodes at one moment."""

    nodes: tuple[Node, ...] = ()
    lan: Lan | None = None
    services: tuple[Service, ...] = ()

    def __post_init__(self) -> None:
        _sort(self, nodes=lambda n: (n.engine is None, len(n.name), n.name), services=_by_name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Topology):
            return NotImplemented
        mine, others = self.canonical(), other.canonical()
        return (mine.nodes, mine.lan, mine.services) == (others.nodes, others.lan, others.services)

    def __hash__(self) -> int:
        mine = self.canonical()
        return hash((mine.nodes, mine.lan, mine.services))

    def canonical(self) -> Topology:
        """The same network with names that say what a thing is where the engine drew one by lot."""
        from netkit.topology.canon import calc_canonical

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
        from netkit.topology.serial import to_json

        return to_json(self, indent)

    @classmethod
    def from_json(cls, text: str) -> Topology:
        """The topology that :meth:`to_json` wrote; raises ValueError with the place for anything else."""
        from netkit.topology.serial import from_json

        return from_json(cls, text)
