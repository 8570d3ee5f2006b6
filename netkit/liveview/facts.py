"""What is known of each object of a picture, as plain text: a title, and lines of label and fact. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netkit.network.model import HOST, Container, End, Interface, Network, NetworkNamespace, Node, Topology
from netkit.network.words import (
    calc_owners,
    is_chance,
    join,
    plain,
    tell_condition,
    tell_end,
    tell_masquerade,
    tell_means,
    tell_nature,
    tell_network,
    tell_port,
    tell_ports,
    tell_route,
)

MOST = 8  # rows of a table that are told
KINDS = {
    "container": "network stack of a container",
    "named": "named network namespace",
    "overlay": "hidden namespace of an overlay network",
    "load-balancer": "load balancer of a network",
    "ingress": "the way from published ports to services",
    "process": "namespace that a process holds",
}

Line = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told of one object; ``kind`` says in a word or two what it is."""

    title: str
    kind: str
    lines: tuple[Line, ...] = ()


def calc_facts(topology: Topology) -> dict[str, Facts]:
    """The facts of every object there may be in a picture, by what its shapes are ``about``."""
    found: dict[str, Facts] = {}
    owners = calc_owners(topology)
    if topology.lan:
        there = [(plain(node.name), str(node.address)) for node in topology.nodes if node.address]
        found["lan"] = Facts(f"{plain(topology.lan.name)} {topology.lan.subnet}", "network between the nodes", tuple(there))
    for node in topology.nodes:
        found[node.name] = _tell_node(node)
        for network in node.networks:
            found[f"{node.name}/network {network.name}"] = Facts(plain(network.name), "network", tuple(_tell_network(network)))
        for namespace in node.namespaces:
            found.update(_tell_stack(node, namespace, topology, owners))
        for container in node.containers:
            found[f"{node.name}/container {container.name}"] = _tell_container(node, container, owners)
    return found


def _lines(label: str, words: list[str]) -> list[Line]:
    """One line for each; the label stands before the first alone."""
    told = words if len(words) <= MOST else [*words[: MOST - 1], f"… {len(words) - MOST + 1} more"]
    return [(label if number == 0 else "", each) for number, each in enumerate(told)]


def _tell_node(node: Node) -> Facts:
    lines: list[Line] = []
    if node.state != "up":
        lines.append(("state", f"{plain(node.state)}: {plain(node.trouble)}" if node.trouble else plain(node.state)))
    if node.address:
        lines.append(("address", str(node.address)))
    if node.engine:
        lines.append(
            ("engine", f"Docker {plain(node.engine.version)}".strip() if node.engine.state == "up" else plain(node.engine.trouble))
        )
    if node.swarm:
        words = [node.swarm.role + (" and leader" if node.swarm.leader else ""), node.swarm.state, node.swarm.availability]
        lines.append(("swarm", ", ".join(map(plain, words))))
    if node.containers:
        running = sum(container.state == "running" for container in node.containers)
        lines.append(("containers", f"{running} running" + (f", {len(node.containers)} in all" if running < len(node.containers) else "")))
    if node.networks:
        lines.append(("networks", join(plain(each.name) for each in node.networks)))
    return Facts(plain(node.name), "Docker node" if node.engine else "host without Docker", tuple(lines))


def _tell_network(network: Network) -> Iterator[Line]:
    yield "network", tell_network(network).removeprefix("network ")
    yield "driver", f"{plain(network.driver)}, scope {plain(network.scope)}"
    yield from _lines("means", [plain(words) for words in tell_means(network)])
    yield from _lines("options", [f"{plain(name)} = {plain(text)}" for name, text in network.options])


def _tell_stack(node: Node, namespace: NetworkNamespace, topology: Topology, owners: dict[str, str]) -> Iterator[tuple[str, Facts]]:
    place = f"{node.name}/{namespace.name}"
    own = namespace.name == HOST
    title = f"{plain(node.name)}: the node's own network stack" if own else plain(namespace.title)
    network = next((each for each in node.networks if namespace.kind == "overlay" and each.name == namespace.title), None)
    lines = list(_tell_network(network)) if network else []
    yield (
        place,
        Facts(
            title,
            "network namespace" if own else KINDS.get(namespace.kind, "network namespace"),
            (*lines, *_tell_tables(namespace, owners)),
        ),
    )
    for interface in namespace.interfaces:
        yield f"{place}/{interface.name}", _tell_interface(node, namespace, interface, topology)
    for each in namespace.firewall.masquerades if namespace.firewall else ():
        yield f"{place}/masquerade {each.source}", Facts(f"masquerade {each.source}", "source NAT", (("rule", tell_masquerade(each)),))


def _tell_tables(namespace: NetworkNamespace, owners: dict[str, str]) -> Iterator[Line]:
    names = [plain(each.name) for each in namespace.interfaces]
    yield from _lines("interfaces", [", ".join(names[at : at + 6]) for at in range(0, len(names), 6)])
    if namespace.resolver:
        yield "DNS server", str(namespace.resolver)
    yield from _lines("routes", [tell_route(each) for each in namespace.routes if not is_chance(each.destination)])
    if namespace.forwards_packets and namespace.kind == "host":
        yield "forwards", "packets between its interfaces"
    told = [f"{each.address} is {_tell_mac(each.mac, owners)}" for each in namespace.neighbours if not is_chance(each.address)]
    yield from _lines("neighbours", told)
    if namespace.firewall:
        yield from _lines("NAT", [tell_masquerade(each) for each in namespace.firewall.masquerades])
        forwards = [
            f"{tell_port(each.protocol, each.port, each.address)} leads to {each.to_address} port {each.to_port}"
            for each in namespace.firewall.forwards
        ]
        yield from _lines("ports", forwards)
        if len(namespace.firewall.isolated) > 1:
            yield "isolated", f"no packet is forwarded between {join(map(plain, namespace.firewall.isolated))}"


def _tell_mac(mac: str, owners: dict[str, str]) -> str:
    return f"{plain(mac)}" + (f" ({owners[mac]})" if mac in owners else "") if mac else "nobody: no answer"


def _tell_interface(node: Node, namespace: NetworkNamespace, interface: Interface, topology: Topology) -> Facts:
    here = End(node=node.name, namespace=namespace.name, interface=interface.name)
    lines: list[Line] = [("where", tell_end(here).partition(" of ")[2])]
    lines += _lines("address", [str(each) for each in interface.addresses])
    if interface.mac and interface.kind != "loopback":
        lines.append(("MAC", plain(interface.mac)))
    lines += [("MTU", f"{interface.mtu} bytes"), ("state", tell_condition(interface) or "up")]
    if interface.peer:
        lines.append(("other end", tell_end(interface.peer, node.name)))
    if interface.master:
        lines.append(("port of", f"bridge {plain(interface.master)}" + (f", {plain(interface.port.state)}" if interface.port else "")))
    ports = [plain(each.name) for each in namespace.interfaces if each.master == interface.name]
    lines += _lines("ports", [", ".join(ports[at : at + 4]) for at in range(0, len(ports), 4)])
    remote = {str(each.destination) for each in namespace.forwarding if each.destination and each.owner == interface.name}
    lines += _lines("tunnels to", sorted(remote))
    if namespace.kind == HOST:
        lines += [line for each in node.networks if each.bridge == interface.name for line in _tell_network(each)]
    for container in node.containers:
        for point in container.endpoints:
            if point.interface == here:
                lines.append(("endpoint", f"of container {plain(container.name)} in network {plain(point.network)}"))
    kind = tell_nature(interface, node.name)
    return Facts(plain(interface.name), "veth" if interface.kind == "veth" else kind, tuple(lines))


def _tell_container(node: Node, container: Container, owners: dict[str, str]) -> Facts:
    lines: list[Line] = [("state", plain(container.state))]
    if container.image:
        lines.append(("image", plain(container.image)))
    if container.service:
        lines.append(("service", f"{plain(container.service)}, task {plain(container.task or '')}"))
    if container.sandbox and container.sandbox.namespace == HOST:
        lines.append(("network", "mode host: the node's own network stack"))
    elif container.mode.startswith("container:"):
        lines.append(("network", f"the network stack of container {plain(container.mode[10:])}"))
    elif not container.endpoints:
        lines.append(("network", "none" if container.mode == "none" else f"mode {plain(container.mode)}"))
    for point in container.endpoints:
        where = [join(point.addresses), plain(point.interface.interface) if point.interface else "no interface"]
        lines.append(("network", ", ".join([plain(point.network), *filter(None, where)])))
        names = [plain(name) for name in point.names if name != container.name and not container.id.startswith(name)]
        lines += [("", f"known as {join(names)}")] if names else []
    lines += _lines("ports", [plain(words) for words in tell_ports(container.ports, node.name)])
    stack = node.namespace(container.sandbox.namespace) if container.sandbox else None
    if stack and stack.name != HOST:
        lines += list(_tell_tables(stack, owners))
    return Facts(plain(container.name), "container", tuple(lines))
