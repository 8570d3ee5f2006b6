"""What is known of each object of a picture, as plain text: a title, and lines of label and fact. Pure.

All of it is said by the lines that describe the topology; here they are put on a card for each object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netkit.network.describe import describe
from netkit.network.model import HOST, Container, Node, Topology
from netkit.network.words import WHOLE, Line, plain, tell_end, tell_line, tell_nature

MOST = 8  # facts under one label
Fact = tuple[str, str]
KINDS = {
    "container": "network namespace of a container",
    "named": "named network namespace",
    "overlay": "hidden namespace of an overlay network",
    "load-balancer": "load balancer of a network",
    "ingress": "the way from published ports to services",
    "process": "namespace that a process holds",
}
# what stands in the margin for lines inside of another, by what they are about
IN_NODE = {"engine": "engine", "container": "containers", "network": "networks", "netns": "namespaces", "overlay": "namespaces"}
IN_NAMESPACE = {
    "route": "routes",
    "forwarding": "forwards",
    "neighbour": "neighbours",
    "masquerade": "NAT",
    "port": "ports",
    "isolated": "isolated",
    "internal": "isolated",
    "silent": "isolated",
    "network": "networks",
}
STATES = ("up", "down", "no carrier", "no port", "running", "paused", "exited", "created")
DIGITS = "0123456789abcdef"
# words at the beginning of a clause that stand in the margin
MARGIN = (
    "address", "state", "MAC", "MTU", "port of", "other end", "engine", "swarm", "image", "mode", "service", "task", "networks", "network",
    "scope", "gateway", "default gateway", "DNS server", "options",
)  # fmt: skip
NAMES = ("interfaces", "containers", "namespaces")  # of which names are enough


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told of one object; ``kind`` says in a word or two what it is."""

    title: str
    kind: str
    lines: tuple[Fact, ...] = ()


def calc_facts(topology: Topology) -> dict[str, Facts]:
    """The facts of every object there may be in a picture, by what its shapes are ``about``."""
    lines = {each.about: each for each in _walk(describe(topology)) if each.about}
    found: dict[str, Facts] = {}
    if topology.lan:
        there = tuple((plain(node.name), str(node.address)) for node in topology.nodes if node.address)
        found["lan"] = Facts(lines["lan"].head, "network between the nodes", there)
    for node in topology.nodes:
        line = lines[node.name]
        kind = "Docker node" if node.engine else "host without Docker"
        found[node.name] = Facts(line.head, kind, (*_tell_own(line), *_tell_inner(line, node.name, IN_NODE)))
        for network in node.networks:
            place = f"{node.name}/network {network.name}"
            found[place] = Facts(plain(network.name), "network", tuple(_tell_own(lines[place])))
        found |= dict(_calc_namespaces(node, lines))
        for container in node.containers:
            place = f"{node.name}/container {container.name}"
            found[place] = Facts(plain(container.name), "container", _tell_container(node, container, lines))
    return found | dict(_calc_interfaces(topology, lines))


def _walk(lines: tuple[Line, ...]) -> Iterator[Line]:
    for each in lines:
        yield each
        yield from _walk(each.inner)


def _calc_namespaces(node: Node, lines: Mapping[str, Line]) -> Iterator[tuple[str, Facts]]:
    for namespace in node.namespaces:
        place, is_host = f"{node.name}/{namespace.name}", namespace.kind == HOST
        line = lines[node.name] if is_host else lines.get(place, lines[node.name])
        title = f"{plain(node.name)}: the node's own network namespace" if is_host else plain(namespace.title)
        inside = _tell_inner(line, place, IN_NAMESPACE, "interfaces")
        own = () if is_host else _tell_own(line)
        yield place, Facts(title, KINDS.get(namespace.kind, "network namespace"), (*own, *inside))
        for each in namespace.firewall.masquerades if namespace.firewall else ():
            about = f"{place}/masquerade {each.source}"
            yield about, Facts(f"masquerade {each.source}", "source NAT", (("rule", lines[about].head),))


def _tell_container(node: Node, container: Container, lines: Mapping[str, Line]) -> tuple[Fact, ...]:
    """A container's facts, with those of the namespace it is in, though that be another container's."""
    place = f"{node.name}/container {container.name}"
    told = (*_tell_own(lines[place]), *_tell_inner(lines[place], place, IN_NAMESPACE, "interfaces"))
    stack = container.sandbox.namespace if container.sandbox else HOST
    other = f"{node.name}/{stack}"
    return (
        told
        if stack == HOST or other == place or other not in lines
        else (*told, *_tell_inner(lines[other], other, IN_NAMESPACE, "interfaces"))
    )


def _calc_interfaces(topology: Topology, lines: Mapping[str, Line]) -> Iterator[tuple[str, Facts]]:
    endpoints = {
        each.interface: ("endpoint", f"of container {plain(container.name)} in network {plain(each.network)}")
        for node in topology.nodes
        for container in node.containers
        for each in container.endpoints
    }
    for end, each in topology.ends():
        line = lines[str(end)]
        told = [("where", tell_end(end).partition(" of ")[2]), *_tell_own(line, is_interface=True)]
        told += _tell_inner(line, f"{end.node}/{end.namespace}", {}, "ports")
        kind = tell_nature(each, end.node)
        lines_told = tuple(fact for fact in told if fact[1] != kind or each.kind == "veth")
        yield str(end), Facts(plain(each.name), "veth" if each.kind == "veth" else kind, (*lines_told, *filter(None, [endpoints.get(end)])))


def _tell_own(line: Line, is_interface: bool = False) -> Iterator[Fact]:
    """What a line says of its object: a fact for each clause. What that of an interface says of its other end is on a card of its own."""
    for each in line.clauses:
        words = each.words
        start = next((word for word in MARGIN if words.startswith(f"{word} ")), "")
        if (is_interface and "derived" in each.level) or words.startswith("kind "):
            continue
        if is_interface and words[0] in DIGITS and "/" in words:
            yield "address", words
        elif words in STATES:
            yield "state", words
        else:
            yield start, words.removeprefix(f"{start} ") if start else words


def _tell_inner(line: Line, place: str, labels: Mapping[str, str], otherwise: str = "") -> Iterator[Fact]:
    """The lines inside of another that are about something in a place, by their label; it stands before the first alone."""
    told: dict[str, list[str]] = {}
    for each in line.inner:
        step = each.about.removeprefix(f"{place}/") if each.about.startswith(f"{place}/") else ""
        label = labels.get(step.split(" ")[0], "" if step.startswith(("fdb ", "rules", "policies")) else otherwise) if step else ""
        if label and "macs" not in each.level and (label != "engine" or not each.level):
            told.setdefault(label, []).append(each.head if label in NAMES else tell_line(each.head, each.clauses, WHOLE))
    for label, words in told.items():
        if label in NAMES:
            words = [", ".join(words[at : at + 4]) for at in range(0, len(words), 4)]
        words = words if len(words) <= MOST else [*words[: MOST - 1], f"… {len(words) - MOST + 1} more"]
        yield from ((label if number == 0 else "", each) for number, each in enumerate(words))
