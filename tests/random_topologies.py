"""Topologies by lot, in which everything fits together."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import dataclass, field
from typing import Any

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
    ForwardingEntry,
    Interface,
    Lan,
    Masquerade,
    Neighbour,
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
from tests.variations import NAMES, draw_digits, draw_mac, mutate, shuffle

__all__ = ["mutate", "random_topology", "shuffle"]

ANYWHERE = ipaddress.ip_network("0.0.0.0/0")
VERDICTS = ("ACCEPT", "DROP")


def _lan_address(number: int) -> Any:
    return ipaddress.ip_interface(f"192.168.59.{number}/24")


@dataclass
class _Machine:
    """One node being made."""

    rng: random.Random
    name: str
    number: int
    stacks: dict[str, dict[str, Interface]] = field(default_factory=dict)
    networks: list[Network] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)

    def add(self, stack: str, name: str, kind: str, **more: Any) -> End:
        interface = Interface(
            name=name, kind=kind, mac=draw_mac(self.rng), mtu=1500, up=True, state="up", index=self.rng.randrange(1, 999), **more
        )
        self.stacks.setdefault(stack, {})[name] = interface
        return End(node=self.name, namespace=stack, interface=name)

    def pair(self, one: tuple[str, str], other: tuple[str, str], master: str | None = None, addresses: tuple = ()) -> End:
        """A veth pair: the first end is a port of ``master``, the second has the addresses."""
        far = End(node=self.name, namespace=other[0], interface=other[1])
        port = BridgePort(state="forwarding") if master else None
        near = self.add(*one, "veth", peer=far, master=master, port=port)
        return self.add(*other, "veth", peer=near, addresses=addresses)

    def free(self, network: Network) -> tuple:
        """The next free address of a network."""
        self.used[network.name] = self.used.get(network.name, 1) + 1
        subnet = network.subnets[0]
        return (ipaddress.ip_interface(f"{subnet[self.used[network.name]]}/{subnet.prefixlen}"),)


def random_topology(rng: random.Random) -> Topology:
    """A lab of up to three nodes, with whatever fits together."""
    nodes = [_random_node(rng, f"node{number}", number) for number in range(1, rng.randint(1, 3) + 1)]
    if rng.random() < 0.3:
        nodes.append(Node(name=f"node{len(nodes) + 1}", state=rng.choice(("idle", "down")), trouble=rng.choice(("", "switched off"))))
    if rng.random() < 0.5:
        cable = Interface(name="eth0", kind="veth", mac=draw_mac(rng), up=True, state="up", addresses=(_lan_address(254),))
        stack = NetworkNamespace(name=HOST, kind=HOST, interfaces=(cable,))
        nodes.append(Node(name="outside", address=_lan_address(254).ip, namespaces=(stack,)))
    services = _random_services(rng) if nodes[0].swarm else ()
    lan = Lan(subnet=ipaddress.ip_network("192.168.59.0/24")) if rng.random() < 0.9 else None
    return Topology(nodes=tuple(nodes), lan=lan, services=services)


def _random_services(rng: random.Random) -> tuple[Service, ...]:
    tasks = tuple(
        Task(
            name=f"hello.{n}",
            node="node1",
            state=rng.choice(("running", "starting")),
            addresses=(_lan_address(99),),
            id=draw_digits(rng, 25),
        )
        for n in range(1, rng.randint(1, 3) + 1)
    )
    ports = (ServicePort(protocol="tcp", port=8080, target=80),)
    vips = (("over", ipaddress.ip_interface("10.0.1.2/24")),)
    hello = Service(
        name="hello",
        mode="replicated",
        replicas=len(tasks),
        networks=("over",),
        vips=vips,
        ports=ports,
        tasks=tasks,
        id=draw_digits(rng, 25),
    )
    return (hello, Service(name="other", mode="global", resolution="dnsrr"))


def _random_node(rng: random.Random, name: str, number: int) -> Node:
    made = _Machine(rng, name, number)
    made.add(HOST, "lo", "loopback", addresses=(ipaddress.ip_interface("127.0.0.1/8"),))
    made.add(HOST, "eth0", "veth", addresses=(_lan_address(number),))
    _add_bridge(made, "bridge", "docker0", 17)
    for at, title in enumerate(rng.sample(NAMES, rng.randint(0, 3))):
        _add_bridge(made, title, f"br-{draw_digits(rng, 12)}", 18 + at)
    if rng.random() < 0.5:
        _add_overlay(made)
    for title in rng.sample(NAMES, rng.randint(0, 6)):
        _add_container(made, title)
    for _ in range(rng.randint(0, 2)):
        _add_container(made, f"hello.1.{draw_digits(rng, 25)}", task="hello.1", service="hello")
    if rng.random() < 0.5:
        _add_by_hand(made)
    stacks = tuple(_random_stack(made, stack, interfaces) for stack, interfaces in made.stacks.items())
    return Node(
        name=name,
        address=_lan_address(number).ip,
        engine=Engine(state="up", version=rng.choice(("20.10.24", "28.5.2"))),
        swarm=SwarmMember(role="manager", leader=True, id=draw_digits(rng, 25)) if rng.random() < 0.5 else None,
        namespaces=stacks,
        networks=tuple(made.networks),
        containers=tuple(made.containers),
    )


def _add_bridge(made: _Machine, title: str, bridge: str, second: int) -> None:
    subnet = ipaddress.ip_network(f"172.{second}.0.0/16")
    internal = made.rng.random() < 0.2
    made.networks.append(
        Network(
            name=title,
            driver="bridge",
            subnets=(subnet,),
            gateways=(subnet[1],),
            bridge=bridge,
            internal=internal,
            options=(("com.docker.network.bridge.name", "x"),) * (made.rng.random() < 0.3),
            id=draw_digits(made.rng, 64),
        )
    )
    made.add(
        HOST, bridge, "bridge", addresses=(ipaddress.ip_interface(f"{subnet[1]}/16"), ipaddress.ip_interface("fe80::1/64")), bridge=Bridge()
    )


def _add_overlay(made: _Machine) -> None:
    subnet = ipaddress.ip_network("10.0.1.0/24")
    made.networks.append(
        Network(name="over", driver="overlay", scope="swarm", subnets=(subnet,), gateways=(subnet[1],), vni=4097, attachable=True)
    )
    made.add("overlay over", "br0", "bridge", addresses=(ipaddress.ip_interface("10.0.1.1/24"),), bridge=Bridge())
    vxlan = Vxlan(vni=4097, port=4789, learning=True, proxy=True)
    made.add("overlay over", "vxlan0", "vxlan", vxlan=vxlan, master="br0", port=BridgePort(state="forwarding"))
    made.pair(("overlay over", "veth0"), ("lb over", "eth0"), "br0", (ipaddress.ip_interface("10.0.1.9/24"),))


def _add_container(made: _Machine, title: str, **more: Any) -> None:
    rng, stack = made.rng, f"container {title}"
    others = [each.name for each in made.containers if each.sandbox]
    kind = rng.choice(("joined", "joined", "joined", "none", HOST, "exited", "macvlan", *(["shares"] if others else [])))
    if more:  # a task that runs, or ran before it
        kind = "exited" if any(each.task for each in made.containers) else "joined"
    more |= {"image": "busybox", "id": draw_digits(rng, 64), "pid": rng.randrange(2, 9999)}
    if kind == "exited":
        made.containers.append(Container(name=title, state="exited", mode="bridge", **more))
    elif kind in (HOST, "shares"):
        other = rng.choice(others) if kind == "shares" else ""
        sandbox = made.containers[[each.name for each in made.containers].index(other)].sandbox.namespace if other else HOST
        mode = f"container:{other}" if other else HOST
        made.containers.append(Container(name=title, state="running", mode=mode, sandbox=Sandbox(namespace=sandbox), **more))
    else:
        made.add(stack, "lo", "loopback", addresses=(ipaddress.ip_interface("127.0.0.1/8"),))
        endpoints = tuple(_join_networks(made, stack)) if kind == "joined" else ()
        if kind == "macvlan":
            parent = End(node=made.name, namespace=HOST, interface="eth0")
            made.add(stack, "eth0", "macvlan", addresses=(_lan_address(rng.randrange(100, 200)),), parent=parent, macvlan_mode="bridge")
        ports = (PublishedPort(protocol="tcp", address=None, port=rng.randrange(8000, 9000), target=80),) if endpoints else ()
        mode = "none" if not endpoints else "bridge" if len(endpoints) == 1 else "several"
        sandbox = Sandbox(namespace=stack, key="/run/docker/netns/" + draw_digits(rng, 12), id=draw_digits(rng, 64))
        made.containers.append(Container(name=title, state="running", mode=mode, sandbox=sandbox, endpoints=endpoints, ports=ports, **more))


def _join_networks(made: _Machine, stack: str) -> list[Endpoint]:
    found = []
    for number, network in enumerate(made.rng.sample(made.networks, made.rng.randint(1, min(2, len(made.networks))))):
        addresses = made.free(network)
        if network.driver == "overlay":
            one = ("overlay over", f"veth{len(made.stacks['overlay over'])}")
            end = made.pair(one, (stack, f"eth{number}"), "br0", addresses)
        else:
            end = made.pair((HOST, f"veth{draw_digits(made.rng, 7)}"), (stack, f"eth{number}"), network.bridge, addresses)
        mac = made.stacks[stack][end.interface].mac
        found.append(
            Endpoint(network=network.name, interface=end, addresses=addresses, mac=mac, names=("alias",), id=draw_digits(made.rng, 64))
        )
    return found


def _add_by_hand(made: _Machine) -> None:
    made.add("netns red", "lo", "loopback")
    made.pair(
        (HOST, "to-red"), ("netns red", "eth0"), None, (ipaddress.ip_interface("10.1.0.2/24"), ipaddress.ip_interface("fd00:1::2/64"))
    )
    made.add("netns red", "eth0.5", "vlan", vlan=5, parent=End(node=made.name, namespace="netns red", interface="eth0"))
    made.add("process sleep", "lo", "loopback")


def _random_stack(made: _Machine, name: str, found: dict[str, Interface]) -> NetworkNamespace:
    rng, interfaces = made.rng, list(found.values())
    addressed = [(each, address) for each in interfaces for address in each.addresses if each.kind != "loopback"]
    routes = {
        (address.network, each.name): Route(destination=address.network, interface=each.name, source=address.ip, scope="link")
        for each, address in addressed
    }
    if addressed and rng.random() < 0.7:
        routes["default"] = Route(destination=ANYWHERE, interface=addressed[0][0].name, gateway=ipaddress.ip_address("172.17.0.1"))
    bridges = [each.name for each in interfaces if each.kind == "bridge"]
    ports = [each for each in interfaces if each.master]
    rows = {(each.mac, each.name): ForwardingEntry(mac=each.mac, port=each.name, owner=each.master, kind="permanent") for each in ports}
    for each in rng.sample(ports, min(len(ports), 2)):
        mac = draw_mac(rng)
        rows[mac, each.name] = ForwardingEntry(mac=mac, port=each.name, owner=each.master, kind="learned")
    if name.startswith("overlay"):
        target = ipaddress.ip_address(f"192.168.59.{made.number % 3 + 1}")
        rows["vtep"] = ForwardingEntry(mac="02:42:0a:00:01:63", port="vxlan0", owner="vxlan0", kind="permanent", destination=target)
    neighbours = ()
    if addressed and rng.random() < 0.5:
        neighbours = (
            Neighbour(address=ipaddress.ip_address("172.17.0.77"), interface=addressed[0][0].name, mac=draw_mac(rng), state="stale"),
        )
    kind = {"lb": "load-balancer", "netns": "named"}.get(name.split(" ")[0], name.split(" ")[0])
    return NetworkNamespace(
        name=name,
        kind=kind,
        interfaces=tuple(interfaces),
        routes=tuple(routes.values()),
        neighbours=neighbours,
        forwarding=tuple(rows.values()),
        firewall=_random_firewall(made, bridges) if name == HOST else None,
        forwards_packets=name == HOST,
        resolver=ipaddress.ip_address("127.0.0.11") if name.startswith("container") and rng.random() < 0.5 else None,
        inode=rng.randrange(1 << 32),
    )


def _random_firewall(made: _Machine, bridges: list[str]) -> Firewall:
    networks = [each for each in made.networks if each.bridge]
    forwards = [
        PortForward(protocol=port.protocol, port=port.port, to_address=container.endpoints[0].addresses[0].ip, to_port=port.target)
        for container in made.containers
        for port in container.ports
    ]
    return Firewall(
        backend=made.rng.choice(("nf_tables", "legacy")),
        policies=(Policy(family=4, table="filter", chain="FORWARD", verdict=made.rng.choice(VERDICTS)),),
        masquerades=tuple(Masquerade(source=each.subnets[0], not_leaving=each.bridge) for each in networks if not each.internal),
        forwards=tuple(forwards),
        isolated=tuple(bridges),
        internal=tuple(each.bridge for each in networks if each.internal),
        silent=tuple(bridges[:1]) if made.rng.random() < 0.2 else (),
        rules=tuple(f"4 nat -A POSTROUTING -s {each.subnets[0]} ! -o {each.bridge} -j MASQUERADE" for each in networks),
    )
