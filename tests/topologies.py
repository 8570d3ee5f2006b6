"""Topologies made by hand, as captures of real labs have them: for tests and for the gallery of figures."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from netkit.network.capture import Topology
from netkit.network.model import (
    HOST,
    Bridge,
    BridgePort,
    Container,
    End,
    Endpoint,
    Engine,
    Firewall,
    Interface,
    Lan,
    Masquerade,
    Network,
    NetworkNamespace,
    Node,
    Policy,
    PortForward,
    PublishedPort,
    Route,
    Sandbox,
    Service,
    ServicePort,
    SwarmMember,
    Task,
    Vxlan,
)

LAN = Lan(subnet=ipaddress.ip_network("192.168.59.0/24"))
DOCKER0 = ("bridge", "docker0", "172.17.0.0/16")


def _digits(text: str, count: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:count]


def _mac(text: str, prefix: str = "02:42") -> str:
    drawn = _digits(text, 8)
    return ":".join([prefix, *(drawn[at : at + 2] for at in range(0, 8, 2))])


def _ip(text: str):
    return ipaddress.ip_interface(text)


def interface(name: str, address: str | None = None, kind: str = "veth", **more) -> Interface:
    """An interface that is up, with a MAC address that follows from its name and address."""
    mac = "00:00:00:00:00:00" if kind == "loopback" else _mac(f"{name}{address}{more.get('peer')}")
    mtu = 65536 if kind == "loopback" else 1450 if kind == "vxlan" else 1500
    addresses = (_ip(address),) if address else ()
    return Interface(name=name, kind=kind, mac=mac, mtu=mtu, up=True, state="up", addresses=addresses, **more)


LOOPBACK = interface("lo", "127.0.0.1/8", "loopback")


def _routes(found: Sequence[Interface], gateway: str | None) -> tuple[Route, ...]:
    connected = [
        Route(destination=address.network, interface=each.name, source=address.ip, scope="link")
        for each in found
        for address in each.addresses
        if each.kind != "loopback"
    ]
    if gateway:
        default = ipaddress.ip_network("0.0.0.0/0")
        connected.append(Route(destination=default, interface=found[-1].name, gateway=ipaddress.ip_address(gateway)))
    return tuple(connected)


@dataclass
class Machine:
    """A node being made: what is added to it ends up in one :class:`Node`."""

    name: str
    number: int = 1
    version: str = "28.5.2"
    role: str = ""
    host: list[Interface] = field(default_factory=list)
    stacks: list[NetworkNamespace] = field(default_factory=list)
    networks: list[Network] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)
    forwards: list[PortForward] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)

    def bridge(self, network: str, bridge: str = "", subnet: str = "172.18.0.0/16", **more) -> Machine:
        """A bridge network with its bridge in the node's own stack."""
        identity = _digits(network + self.name, 12)
        bridge = bridge or f"br-{identity}"
        net = ipaddress.ip_network(subnet)
        gateway = net[1]
        self.networks.append(Network(name=network, driver="bridge", subnets=(net,), gateways=(gateway,), bridge=bridge, **more))
        self.host.append(interface(bridge, f"{gateway}/{net.prefixlen}", "bridge", bridge=Bridge()))
        return self

    def next(self, network: str) -> str:
        """The next free address of a network, with its prefix length."""
        (net,) = next(each.subnets for each in self.networks if each.name == network)
        self.used[network] = self.used.get(network, self.number * 10 if net.prefixlen == 24 else 1) + 1
        return f"{net[self.used[network]]}/{net.prefixlen}"

    def cable(self, stack: str, name: str, network: str, address: str | None = None) -> Interface:
        """A veth pair from a stack to a network's bridge; returns the end in the stack."""
        found = next(each for each in self.networks if each.name == network)
        here = End(node=self.name, namespace=stack, interface=name)
        address = address or self.next(network)
        if found.driver == "overlay":
            return self._plug_into_overlay(here, network, address)
        drawn = "veth" + _digits(f"{here}{network}", 7)
        self.host.append(interface(drawn, master=found.bridge, peer=here, port=BridgePort(state="forwarding")))
        return interface(name, address, peer=End(node=self.name, namespace=HOST, interface=drawn))

    def _plug_into_overlay(self, here: End, network: str, address: str) -> Interface:
        place = next(at for at, stack in enumerate(self.stacks) if stack.name == f"overlay {network}")
        stack = self.stacks[place]
        number = sum(each.name.startswith("veth") for each in stack.interfaces)
        far = interface(f"veth{number}", master="br0", peer=here, port=BridgePort(state="forwarding"))
        self.stacks[place] = replace(stack, interfaces=(*stack.interfaces, far))
        return interface(here.interface, address, peer=End(node=self.name, namespace=stack.name, interface=far.name))

    def run(self, name: str, *networks: str, ports: Sequence[tuple[int, int]] = (), kind: str = "container", **more) -> Machine:
        """A running container (or another namespace) on some networks, with published ports."""
        stack = f"{kind} {name}" if kind in ("container", "lb", "netns", "process") else name
        found = [LOOPBACK, *(self.cable(stack, f"eth{number}", network) for number, network in enumerate(networks))]
        gateways = [net.gateways[0] for net in self.networks if networks and net.name == networks[-1] and net.gateways]
        routes = _routes(found, str(gateways[0]) if gateways else None)
        kinds = {"lb": "load-balancer", "netns": "named"}
        self.stacks.append(NetworkNamespace(name=stack, kind=kinds.get(kind, kind), interfaces=tuple(found), routes=routes))
        if kind != "container":
            return self
        endpoints = tuple(
            Endpoint(network=network, interface=End(node=self.name, namespace=stack, interface=each.name), addresses=each.addresses)
            for network, each in zip(networks, found[1:], strict=True)
        )
        mode = "none" if not networks else "several" if len(networks) > 1 else "bridge"
        for port, target in ports:
            address = found[-1].addresses[0].ip
            self.forwards.append(PortForward(protocol="tcp", port=port, to_address=address, to_port=target))
        published = tuple(PublishedPort(protocol="tcp", address=None, port=port, target=target) for port, target in ports)
        return self.add(name, mode, stack, endpoints=endpoints, ports=published, **more)

    def add(self, name: str, mode: str, stack: str | None, state: str = "running", **more) -> Machine:
        """A container in a stack that is there already, or in none."""
        sandbox = Sandbox(namespace=stack) if stack else None
        self.containers.append(Container(name=name, state=state, mode=mode, image="busybox", sandbox=sandbox, **more))
        return self

    def overlay(self, name: str, vni: int, subnet: str, ingress: bool = False) -> Machine:
        """An overlay network with its hidden namespace."""
        net = ipaddress.ip_network(subnet)
        self.networks.append(
            Network(
                name=name, driver="overlay", scope="swarm", subnets=(net,), gateways=(net[1],), vni=vni, attachable=True, ingress=ingress
            )
        )
        found = (
            interface("br0", f"{net[1]}/{net.prefixlen}", "bridge", bridge=Bridge()),
            interface(
                "vxlan0", None, "vxlan", master="br0", vxlan=Vxlan(vni=vni, port=4789, proxy=True), port=BridgePort(state="forwarding")
            ),
        )
        self.stacks.append(NetworkNamespace(name=f"overlay {name}", kind="overlay", interfaces=(LOOPBACK, *found)))
        return self

    def build(self) -> Node:
        """The node, with the engine's usual packet filter."""
        address = ipaddress.ip_address(f"192.168.59.{self.number}")
        eth0 = interface("eth0", f"{address}/24")
        bridges = {net.bridge: net for net in self.networks if net.bridge and not net.internal}
        firewall = Firewall(
            backend="nf_tables",
            policies=(Policy(family=4, table="filter", chain="FORWARD", verdict="DROP"),),
            masquerades=tuple(Masquerade(source=net.subnets[0], not_leaving=bridge) for bridge, net in bridges.items()),
            forwards=tuple(self.forwards),
            isolated=tuple(bridges),
            internal=tuple(net.bridge for net in self.networks if net.bridge and net.internal),
            rules=tuple(f"4 nat -A POSTROUTING -s {net.subnets[0]} ! -o {bridge} -j MASQUERADE" for bridge, net in bridges.items())
            + tuple(f"4 filter -A FORWARD -i {bridge} ! -o {bridge} -j ACCEPT" for bridge in bridges),
        )
        found = (LOOPBACK, eth0, *self.host)
        host = NetworkNamespace(
            name=HOST, kind=HOST, interfaces=found, routes=_routes([eth0, *self.host], None), firewall=firewall, forwards_packets=True
        )
        return Node(
            name=self.name,
            address=address,
            engine=Engine(state="up", version=self.version),
            swarm=SwarmMember(role=self.role, leader=self.role == "manager") if self.role else None,
            namespaces=(host, *self.stacks),
            networks=tuple(self.networks),
            containers=tuple(self.containers),
        )


def machine(number: int = 1, **more) -> Machine:
    """A node with docker0."""
    return Machine(name=f"node{number}", number=number, **more).bridge(*DOCKER0)


def outside() -> Node:
    """The host of the LAN that is no Docker node."""
    host = NetworkNamespace(name=HOST, kind=HOST, interfaces=(LOOPBACK, interface("eth0", "192.168.59.254/24")))
    return Node(name="outside", address=ipaddress.ip_address("192.168.59.254"), namespaces=(host,))


def join(*nodes: Machine | Node, services: Sequence[Service] = ()) -> Topology:
    """Nodes on the lab's LAN."""
    made = tuple(node.build() if isinstance(node, Machine) else node for node in nodes)
    return Topology(nodes=made, lan=LAN, services=tuple(services))


def empty() -> Topology:
    """No node at all."""
    return Topology()


def left_behind() -> Topology:
    """A container that shared another's stack, and did not follow when that one began anew."""
    return join(machine().run("pause", "bridge").run("sleep", kind="process").add("web", "container:pause", "process sleep"))


def bare() -> Topology:
    """A fresh lab: two nodes with docker0, and nothing running."""
    return join(machine(1), machine(2), outside())


def single() -> Topology:
    """One node, docker0, three containers."""
    return join(machine().run("web", "bridge").run("app", "bridge").run("db", "bridge"))


def modes() -> Topology:
    """One container in each of the modes bridge, host, container: and none, and one that has ended."""
    made = machine().run("web", "bridge", ports=[(8080, 80)]).run("alone").add("job", "bridge", None, "exited")
    return join(made.add("sidecar", "container:web", "container web").add("probe", "host", HOST))


def two_networks() -> Topology:
    """A container in two networks, one of them internal."""
    made = machine().bridge("front").bridge("back", subnet="172.19.0.0/16", internal=True)
    made.run("web", "front", ports=[(8080, 80)]).run("app", "front", "back").run("db", "back").run("probe", "bridge")
    return join(made, outside())


def workshop() -> Topology:
    """Two nodes, six containers, a published port."""
    first = machine(1).bridge("shop").run("web", "shop", ports=[(8080, 80)]).run("db", "shop").run("probe", "bridge")
    second = machine(2).run("web", "bridge", ports=[(8080, 80)]).run("app", "bridge").run("probe", "bridge")
    return join(first, second, outside())


def swarm(nodes: int = 3) -> Topology:
    """A swarm with an overlay "over", the routing mesh and a service with one task per node."""
    made = []
    for number in range(1, nodes + 1):
        each = machine(number, role="manager" if number == 1 else "worker").bridge("docker_gwbridge", "docker_gwbridge")
        each.overlay("ingress", 4096, "10.0.0.0/24", ingress=True).overlay("over", 4097, "10.0.1.0/24")
        name = f"hello.{number}.{_digits(f'task{number}', 25)}"
        each.run(name, "ingress", "over", "docker_gwbridge", service="hello", task=f"hello.{number}")
        if number < 3:
            each.run("web" if number == 1 else "client", "over", "docker_gwbridge")
        each.run("ingress_sbox", "ingress", "docker_gwbridge", kind="ingress").run("over", "over", kind="lb")
        each.forwards.append(
            PortForward(protocol="tcp", port=8080, to_address=each.stacks[-2].interface("eth1").addresses[0].ip, to_port=8080)
        )
        made.append(each)
    tasks = tuple(Task(name=f"hello.{number}", node=f"node{number}", state="running") for number in range(1, nodes + 1))
    ports = (ServicePort(protocol="tcp", port=8080, target=80),)
    hello = Service(name="hello", mode="replicated", replicas=nodes, networks=("over",), ports=ports, tasks=tasks)
    return join(*made, outside(), services=[hello])


def attached(nodes: int = 2) -> Topology:
    """An attachable overlay with two plain containers on each node."""
    made = []
    for number in range(1, nodes + 1):
        each = machine(number, role="manager" if number == 1 else "worker").bridge("docker_gwbridge", "docker_gwbridge")
        each.overlay("over", 4097, "10.0.1.0/24")
        for letter in "ab":
            each.run(f"{letter}{number}", "over", "docker_gwbridge")
        made.append(each)
    return join(*made, outside())


def crowd(containers: int, nodes: int = 1, networks: int = 1) -> Topology:
    """Many containers, spread over nodes and networks."""
    made = [machine(number) for number in range(1, nodes + 1)]
    for each in made:
        for number in range(1, networks):
            each.bridge(f"net{number}", subnet=f"172.{17 + number}.0.0/16")
    for number in range(containers):
        each = made[number % nodes]
        each.run(f"c{number + 1}", each.networks[(number // nodes) % networks].name)
    return join(*made, outside())


HOSTILE = (
    "a$b$_{x}^2$",
    "100%s <b>&amp;</b>",
    "two\nlines\tand\x1b[31m",
    "\u202eright\u202c-to-left שלום",
    "🐳🐳 whale",
    "商店数据库",
    "x" * 200,
    "Ж" * 60,
    "n\u0303\u0303\u0303\u0303\u0303\u0303\u0303",
    " ",
    "مرحبا بالعالم",
    r"\frac{1}{2} \alpha",
)


def hostile() -> Topology:
    """Names that no engine would take, or that look like markup; a network with a Chinese name."""
    made = machine().bridge("商店 $net$", subnet="172.18.0.0/16")
    for number, name in enumerate(HOSTILE):
        made.run(name, "商店 $net$" if number % 3 == 0 else "bridge", ports=[(8000 + number, 80)] if number % 4 == 0 else ())
    return join(made)


def broken() -> Topology:
    """An engine that is down, a node that is down, one that is idle, and one that is well."""
    silent = machine(2).build()
    trouble = "dial unix /run/docker.sock: connect: connection refused, after 5 s without an answer from the engine"
    return join(
        machine(1).run("web", "bridge"),
        replace(silent, engine=Engine(state="down", trouble=trouble), networks=(), containers=()),
        Node(name="node3", state="down", trouble="its first process has ended: killed by signal 9", engine=Engine(state="down")),
        Node(name="node4", state="idle", engine=Engine(state="down")),
        outside(),
    )


def _pair(made: Machine, one: tuple[str, str, str], other: tuple[str, str, str]) -> list[Interface]:
    """A veth pair made by hand, between two (namespace, name, address)."""
    ends = [End(node=made.name, namespace=namespace, interface=name) for namespace, name, _ in (one, other)]
    return [interface(name, address, peer=far) for (_, name, address), far in zip((one, other), reversed(ends), strict=True)]


def handmade() -> Topology:
    """Namespaces made with ``ip netns``: joined directly, by a hand-made bridge, and to the node itself."""
    made = machine()
    red_blue = _pair(made, ("netns red", "veth-red", "10.0.0.1/24"), ("netns blue", "veth-blue", "10.0.0.2/24"))
    green = _pair(made, ("netns green", "eth0", "10.1.0.2/24"), (HOST, "veth-green", ""))
    red_too = _pair(made, ("netns red", "eth0", "10.1.0.3/24"), (HOST, "veth-red2", ""))
    grey = _pair(made, ("process sleep", "veth-in", "10.2.0.2/24"), (HOST, "veth-out", "10.2.0.1/24"))
    made.host += [
        interface("br-hand", "10.1.0.1/24", "bridge", bridge=Bridge()),
        replace(green[1], master="br-hand"),
        replace(red_too[1], master="br-hand"),
        grey[1],
        interface("dummy0", "10.9.9.9/32", "dummy"),
    ]
    for name, kind, ends in (
        ("netns red", "named", [red_blue[0], red_too[0]]),
        ("netns blue", "named", [red_blue[1]]),
        ("netns green", "named", [green[0]]),
        ("process sleep", "process", [grey[0]]),
        ("netns empty", "named", []),
    ):
        made.stacks.append(NetworkNamespace(name=name, kind=kind, interfaces=(LOOPBACK, *ends), routes=_routes(ends, None)))
    return join(made)


def macvlan() -> Topology:
    """Two containers with addresses of the LAN itself, beside one on docker0."""
    made = machine().run("web", "bridge")
    subnet = ipaddress.ip_network("192.168.59.0/24")
    made.networks.append(Network(name="lan", driver="macvlan", subnets=(subnet,), parent="eth0"))
    parent = End(node=made.name, namespace=HOST, interface="eth0")
    for number, name in enumerate(("mac1", "mac2"), 128):
        eth0 = interface("eth0", f"192.168.59.{number}/24", "macvlan", parent=parent, macvlan_mode="bridge")
        stack = f"container {name}"
        made.stacks.append(NetworkNamespace(name=stack, kind="container", interfaces=(LOOPBACK, eth0), routes=_routes([eth0], None)))
        end = End(node=made.name, namespace=stack, interface="eth0")
        made.add(name, "macvlan", stack, endpoints=(Endpoint(network="lan", interface=end, addresses=eth0.addresses),))
    return join(made, outside())


@dataclass(frozen=True)
class Change:
    """One change, as a diff tells it."""

    kind: str
    about: str


@dataclass(frozen=True)
class Diff:
    """Two topologies and what changed between them."""

    before: Topology
    after: Topology
    changes: tuple[Change, ...]

    def marks(self) -> dict[str, str]:
        """What to mark in a figure, with the kind of its change."""
        return {change.about: change.kind for change in self.changes}


def changed() -> Diff:
    """A container and a network more, a container less, and an interface that has another address."""
    before = join(machine().run("web", "bridge").run("old", "bridge").run("db", "bridge"), outside())
    made = machine().bridge("shop").run("web", "bridge")
    made.used["bridge"] = 8
    made.run("db", "bridge").run("app", "shop")
    changes = (
        Change("appeared", "node1/container app"),
        Change("appeared", "node1/network shop"),
        Change("appeared", f"node1/host/{made.networks[-1].bridge}"),
        Change("vanished", "node1/container old"),
        Change("changed", "node1/container db/eth0"),
    )
    return Diff(before=before, after=join(made, outside()), changes=changes)


EXAMPLES = {
    "empty": empty,
    "bare": bare,
    "single": single,
    "modes": modes,
    "two_networks": two_networks,
    "workshop": workshop,
    "swarm": swarm,
    "attached": attached,
    "crowd": lambda: crowd(40, 4, 2),
    "folded": lambda: crowd(150),
    "hostile": hostile,
    "broken": broken,
    "handmade": handmade,
    "macvlan": macvlan,
}
