"""One node in words: what its kernel has, then what its engine says of it."""

from __future__ import annotations

import re

from netkit.network.model import HOST, Container, Endpoint, Interface, Network, NetworkNamespace, Node
from netkit.network.text.stack import calc_end, tell_bridges, tell_firewall, tell_others, tell_tables, tell_way_out
from netkit.network.text.telling import Telling, indent
from netkit.network.words import BUILTIN, join, plain, tell_condition, tell_means, tell_ports

# engines up to 26 count a container's short id among its names
SHORT_ID = re.compile(r"[0-9a-f]{12}")


def tell_node(node: Node, telling: Telling) -> list[str]:
    """The lines of one node, its own first."""
    host = node.namespace(HOST)
    cable = _find_cable(node, host, telling)
    lines = []
    if node.engine and node.engine.state != "up" and node.state == "up":
        lines.append(
            f"the Docker engine is {plain(node.engine.state)}" + (f": {plain(node.engine.trouble)}" if node.engine.trouble else "")
        )
    if host:
        lines += tell_bridges(node, host, telling) + tell_others(node, host, telling, skip=[cable] if cable else [])
    for namespace in (each for each in node.namespaces if each.kind == "overlay"):
        lines += _tell_overlay(node, namespace, telling)
    lines += _tell_networks(node)
    for container in node.containers:
        lines += _tell_container(node, container, telling)
    owned = {container.sandbox.namespace for container in node.containers if container.sandbox}
    for namespace in node.namespaces:
        if namespace.kind not in (HOST, "overlay") and namespace.name not in owned:
            lines += _tell_stack(node, namespace, telling)
    if host:
        lines += tell_firewall(node, host, telling) + tell_tables(host, telling)
    return [_tell_head(node, cable, telling), *indent(lines)]


def _find_cable(node: Node, host: NetworkNamespace | None, telling: Telling) -> Interface | None:
    """The interface that is on the LAN."""
    lan = telling.picture.lan
    for interface in host.interfaces if host and lan else ():
        if not interface.peer and interface.kind in ("veth", "physical") and any(each.ip == node.address for each in interface.addresses):
            return interface
    return None


def _tell_head(node: Node, cable: Interface | None, telling: Telling) -> str:
    name = plain(node.name)
    if node.state != "up":
        trouble = plain(node.trouble) or ("not started yet" if node.state == "idle" else "")
        return f"{name}: {trouble}" if node.state == "idle" else f"{name}: {plain(node.state)}{': ' if trouble else ''}{trouble}"
    words = []
    if cable:
        end = calc_end(node, node.namespace(HOST), cable.name)
        words = [f"{plain(cable.name)} {telling.addresses(end, cable)} on the {plain(telling.picture.lan.name)}"]
        words += [tell_condition(cable)] * bool(tell_condition(cable)) + telling.extras(end, cable)
    elif node.address:
        words = [str(node.address)]
    words += _tell_role(node)
    if node.trouble:
        words.append(plain(node.trouble))
    if "options" in telling.show and node.engine and node.engine.version:
        words.append(f"engine {plain(node.engine.version)}")
    return f"{name}: {', '.join(words)}" if words else name


def _tell_role(node: Node) -> list[str]:
    if not node.engine:
        return ["no Docker node"]
    if not node.swarm:
        return []
    words = f"swarm {plain(node.swarm.role)}" + (" and leader" if node.swarm.leader else "")
    states = (node.swarm.state, "ready"), (node.swarm.availability, "active")
    return [words, *(plain(state) for state, usual in states if state != usual)]


def _tell_overlay(node: Node, namespace: NetworkNamespace, telling: Telling) -> list[str]:
    network = next((each for each in node.networks if each.driver == "overlay" and each.name == namespace.title), None)
    words = ["the hidden namespace of an overlay network"]
    if network:
        traits = [word for word in ("internal", "attachable") if getattr(network, word)]
        words = [f"the hidden namespace of network {plain(network.name)}", join(network.subnets) or "no subnet", *traits]
    lines = tell_bridges(node, namespace, telling) + tell_others(node, namespace, telling)
    return [f"{plain(namespace.name)}: {', '.join(words)}", *indent(lines + _tell_inside(node, namespace, telling))]


def _tell_networks(node: Node) -> list[str]:
    """Networks that no bridge and no namespace stands for on this node."""
    host = node.namespace(HOST)
    there = {each.name for each in host.interfaces} if host else set()
    hidden = {each.title for each in node.namespaces if each.kind == "overlay"}
    return [
        _tell_network(each)
        for each in node.networks
        if each.driver not in BUILTIN
        and not (each.bridge and each.bridge in there)
        and not (each.driver == "overlay" and each.name in hidden)
    ]


def _tell_network(network: Network) -> str:
    traits = [word for word in ("internal", "attachable") if getattr(network, word)]
    return f"network {plain(network.name)}: {', '.join([plain(network.driver), *traits, *tell_means(network)])}"


def _tell_container(node: Node, container: Container, telling: Telling) -> list[str]:
    words = [] if container.state == "running" else [plain(container.state)]
    stack = container.sandbox.namespace if container.sandbox else ""
    own = stack == f"container {container.name}"
    held = node.namespace(stack)
    namespace = held if own else None
    # named after whichever process is in it: its own container has begun anew, or ended
    words += (
        ["in a network namespace that its container has left"] if held and held.kind == "process" else _tell_mode(container, stack, own)
    )
    lines = []
    if namespace:
        words += tell_way_out(namespace)
        if {each.kind for each in namespace.interfaces} <= {"loopback"}:
            words.append("nothing but a loopback")
        lines += tell_bridges(node, namespace, telling) + tell_others(node, namespace, telling)
    if "options" in telling.show and container.image:
        words.append(f"image {plain(container.image)}")
    lines += tell_ports(container.ports, node.name)
    for endpoint in container.endpoints:
        lines += _tell_endpoint(container, endpoint, telling)
    if namespace:
        lines += _tell_inside(node, namespace, telling)
    return [f"container {plain(container.name)}: {', '.join(words) or 'running'}", *indent(lines)]


def _tell_mode(container: Container, stack: str, own: bool) -> list[str]:
    if container.mode == HOST:
        return ["mode host, in the node's own network namespace"]
    if container.mode.startswith("container:") or (stack and not own):
        of = plain(stack) if stack else f"container {plain(container.mode[10:])}"
        return [f"shares the network namespace of {of}"]
    if container.mode == "none":
        return ["mode none"]
    names = [plain(endpoint.network) for endpoint in container.endpoints]
    if names:
        return [("network " if len(names) == 1 else "networks ") + join(names)]
    return [f"mode {plain(container.mode)}"] + ["in no network"] * (container.state == "running")


def _tell_endpoint(container: Container, endpoint: Endpoint, telling: Telling) -> list[str]:
    lines = []
    names = [name for name in endpoint.names if name != container.name and not SHORT_ID.fullmatch(name)]
    if names:
        lines.append(f"known as {join(map(plain, names))} in network {plain(endpoint.network)}")
    if endpoint.addresses and not endpoint.interface and endpoint.network not in ("host", "none"):
        lines.append(f"{join(endpoint.addresses)} in network {plain(endpoint.network)}, but no interface that has it")
    return lines


def _tell_stack(node: Node, namespace: NetworkNamespace, telling: Telling) -> list[str]:
    """A namespace that is no container's: made by hand, a swarm's, or a process's."""
    words = {
        "load-balancer": ["the load balancer of a network"],
        "ingress": ["the way from published ports to services"],
    }.get(namespace.kind, [])
    words += tell_way_out(namespace)
    loopback = namespace.interface("lo")
    lonely = {each.kind for each in namespace.interfaces} <= {"loopback"}
    if loopback and namespace.kind in ("named", "process"):
        state = "a loopback, which is down" if not loopback.up else "a loopback"
        words += [f"nothing but {state}"] if lonely else ["its loopback is down"] * (not loopback.up)
    lines = tell_bridges(node, namespace, telling) + tell_others(node, namespace, telling)
    head = plain(namespace.name)
    return [f"{head}: {', '.join(words)}" if words else head, *indent(lines + _tell_inside(node, namespace, telling))]


def _tell_inside(node: Node, namespace: NetworkNamespace, telling: Telling) -> list[str]:
    return tell_firewall(node, namespace, telling) + tell_tables(namespace, telling)
