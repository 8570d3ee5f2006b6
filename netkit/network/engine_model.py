"""What an engine says (networks, containers with their sandbox and endpoints, swarms and services), and the node it runs on."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter

from netkit.network.kernel_model import HOST, Address, End, Ip, NetworkNamespace, Subnet, Value, by_address, by_name, in_order


@dataclass(frozen=True, slots=True, kw_only=True)
class Network(Value):
    """A network as its engine has it; ``bridge`` is the bridge's interface name on the node, if it has one.

    ``vni`` is an overlay's VXLAN network identifier, ``parent`` a macvlan's or ipvlan's interface. ``trouble`` is why nothing
    more could be read of it, as in containers and services.
    """

    name: str
    driver: str = ""
    scope: str = "local"
    subnets: tuple[Subnet, ...] = in_order(by_address)
    gateways: tuple[Ip, ...] = in_order(by_address)
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    ipv6: bool = False
    bridge: str | None = None
    parent: str | None = None
    vni: int | None = None
    options: tuple[tuple[str, str], ...] = in_order(tuple)
    trouble: str = ""
    id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Value):
    """A container's place in a network; ``interface`` is the one it has there, if the kernel has it.

    ``names`` are those under which the embedded DNS server knows it, beside the container's own.
    """

    network: str
    interface: End | None = None
    addresses: tuple[Address, ...] = in_order(by_address)
    gateway: Ip | None = None
    mac: str = ""
    names: tuple[str, ...] = in_order(str)
    id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A container's network namespace in the terms of the container network model; ``key`` is its file."""

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
class Container(Value):
    """A container. ``mode`` is host, none, "container:NAME", several, or its only network's driver.

    ``state`` is the engine's: running, paused, exited, created … ``sandbox`` is None unless it runs.
    """

    name: str
    state: str = ""
    mode: str = ""
    image: str = ""
    sandbox: Sandbox | None = None
    endpoints: tuple[Endpoint, ...] = in_order(attrgetter("network"))
    ports: tuple[PublishedPort, ...] = in_order(lambda p: (p.protocol, p.port, p.target, str(p.address)))
    service: str | None = None
    task: str | None = None
    trouble: str = ""
    pid: int = field(default=0, compare=False)
    id: str = field(default="", compare=False)

    @property
    def namespace(self) -> str:
        """The name of the network namespace it is in, its own or another's; empty unless it runs."""
        return self.sandbox.namespace if self.sandbox else ""


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
class Task(Value):
    """One container that a service wants to exist: ``name`` as ``docker service ps`` has it, e.g. "hello.1"."""

    name: str
    node: str
    state: str
    addresses: tuple[Address, ...] = in_order(by_address)
    container: str = field(default="", compare=False)
    id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """A published port of a service; ``mode`` is ingress or host."""

    protocol: str
    port: int
    target: int
    mode: str = "ingress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Value):
    """A swarm's service; ``resolution`` is vip or dnsrr, ``vips`` pairs of network and address."""

    name: str
    mode: str = ""
    replicas: int | None = None
    resolution: str = "vip"
    networks: tuple[str, ...] = in_order(str)
    vips: tuple[tuple[str, Address], ...] = in_order(lambda v: (v[0], by_address(v[1])))
    ports: tuple[ServicePort, ...] = in_order(attrgetter("protocol", "port", "target"))
    tasks: tuple[Task, ...] = in_order(attrgetter("name", "node", "state"))
    trouble: str = ""
    id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Value):
    """One machine. ``state`` is up, idle (not started yet) or down; ``trouble`` says why nothing is known.

    ``engine`` is None on a host that is no Docker node.
    """

    name: str
    state: str = "up"
    trouble: str = ""
    address: Ip | None = None
    engine: Engine | None = None
    swarm: SwarmMember | None = None
    namespaces: tuple[NetworkNamespace, ...] = in_order(lambda n: (n.name != HOST, n.name))
    networks: tuple[Network, ...] = in_order(attrgetter("name", "driver", "scope"))
    containers: tuple[Container, ...] = in_order(by_name)

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
class Lan:
    """The network that joins the nodes: it lies outside of all of them."""

    subnet: Subnet
    name: str = "LAN"
