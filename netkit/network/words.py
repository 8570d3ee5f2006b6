"""Words for the objects of a network, and the lines they are told in: what its description, a packet's way and the figure say alike, said once."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from netkit.network.model import HOST, End, Interface, Ip, Masquerade, Network, PublishedPort, Route, Topology

# the engine's two networks that stand for "that of the node" and "no network at all"
BUILTIN = ("host", "null")
# fields of the model that a reader would call something else
LABELS = {
    "mac": "MAC address",
    "master": "port of",
    "mtu": "MTU",
    "vxlan": "VXLAN",
    "vni": "VNI",
    "vlan": "VLAN",
    "stp": "spanning tree",
    "ipv6": "IPv6",
    "resolver": "DNS server",
    "trouble": "what is wrong",
}


def plain(name: str) -> str:
    """A name as one harmless piece of a line: what does not print, or would turn the line about, is escaped.

    Line breaks, terminal escapes, invisible and right-to-left characters show as Python would write
    them (``\\n``, ``\\x1b``, ``\\u202e``), and so does the backslash itself. What begins or ends with a
    space, which nobody would see, is quoted.
    """
    if name != name.strip(" "):
        return f'"{_escape(name)}"'
    return _escape(name)


def _escape(name: str) -> str:
    if name.isprintable() and "\\" not in name:
        return name
    return "".join(each if each.isprintable() and each != "\\" else each.encode("unicode_escape").decode("ascii") for each in name)


def join(items: Iterable[object], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    words = [str(item) for item in items]
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def is_link_local(address) -> bool:
    """Whether an address or destination is link-local IPv6, which follows from a MAC address (RFC 4291)."""
    return address.version == 6 and address.is_link_local


def tell_addresses(interface: Interface) -> str:
    """Its addresses, without link-local ones; empty if there are none."""
    return join(address for address in interface.addresses if not is_link_local(address))


def tell_condition(interface: Interface) -> str:
    """What is wrong with an interface: "down", "no carrier" (the other end is down, or no port up); or nothing."""
    if not interface.up:
        return "down"
    if interface.state in ("up", "unknown"):
        return ""
    return "no carrier" if interface.state in ("down", "lowerlayerdown") else plain(interface.state)


def tell_stack(name: str, node: str) -> str:
    """A namespace by its name: a node's own goes by the name of the node."""
    return plain(node if name == HOST else name)


def tell_end(end: End, node: str = "") -> str:
    """ "eth0 of container web", and "on node2" unless that is ``node``."""
    where = "" if end.namespace == HOST or end.node == node else f" on {plain(end.node)}"
    return f"{plain(end.interface)} of {tell_stack(end.namespace, end.node)}{where}"


def tell_nature(interface: Interface, node: str) -> str:
    """What kind of device this is, and what it hangs on: "veth pair to eth0 of container web"."""
    if interface.kind == "veth":
        return f"veth pair to {tell_end(interface.peer, node)}" if interface.peer else "veth pair to outside of this picture"
    words = plain(interface.kind)
    if interface.vxlan:
        words = f"VTEP, VNI {interface.vxlan.vni}, UDP port {interface.vxlan.port}"
    if interface.macvlan_mode:
        words += f" in mode {plain(interface.macvlan_mode)}"
    if interface.vlan is not None:
        words += f" with tag {interface.vlan}"
    return f"{words} on {tell_end(interface.parent, node)}" if interface.parent else words


def tell_masquerade(each: Masquerade) -> str:
    """A fact of source NAT as a sentence."""
    if each.leaving:
        return f"packets from {each.source} are masqueraded when they leave by {plain(each.leaving)}"
    if each.not_leaving:
        return f"packets from {each.source} are masqueraded unless they leave by {plain(each.not_leaving)}"
    return f"packets from {each.source} are masqueraded"


def tell_port(protocol: str, port: int, address: Ip | None) -> str:
    """ "port 8080/tcp", and of which address unless of any."""
    return f"port {port}/{plain(protocol)}" + (f" at {address}" if address and not address.is_unspecified else "")


def tell_ports(ports: Iterable[PublishedPort], node: str) -> list[str]:
    """Published ports as sentences, those of IPv4 and IPv6 being one."""
    told = (f"{tell_port(each.protocol, each.port, each.address)} of {plain(node)} leads to port {each.target}" for each in ports)
    return list(dict.fromkeys(told))


def tell_route(route: Route) -> str:
    """A route, much as ip-route(8) would say it, in words."""
    kind = "" if route.kind == "unicast" else f"{plain(route.kind)} "
    words = f"default {kind}route" if route.destination.prefixlen == 0 else f"{kind}route to {route.destination}"
    if route.destination.prefixlen == 0 and route.destination.version == 6:
        words = f"IPv6 {words}"
    if route.gateway:
        words += f" by {route.gateway}"
    if route.interface:
        words += f" on {plain(route.interface)}"
    elif route.kind == "unicast":
        words += " on no interface"
    if route.source:
        words += f" from {route.source}"
    if route.metric:
        words += f", metric {route.metric}"
    if route.table != 254:
        words += f", table {route.table}"
    return words


def tell_network(network: Network) -> str:
    """A network in a few words: its name, and what is special about it."""
    words = [f"network {plain(network.name)}"]
    words += [word for word in ("internal", "attachable", "ingress") if getattr(network, word)]
    return ", ".join(words)


def tell_means(network: Network) -> list[str]:
    """What a network is made of where no bridge of the node says so."""
    words = [join(network.subnets)] if network.subnets else []
    if network.gateways:
        words.append(f"gateway {join(network.gateways)}")
    if network.parent:
        words.append(f"on {plain(network.parent)}")
    if network.vni is not None:
        words.append(f"VNI {network.vni}")
    return words


def calc_owners(topology: Topology) -> dict[str, str]:
    """Whose each MAC address is: {"02:42:ac:11:00:02": "eth0 of container web"}; ambiguous ones are left out."""
    owners: dict[str, set[str]] = {}
    for end, interface in topology.ends():
        if interface.mac:
            owners.setdefault(interface.mac, set()).add(tell_end(end, end.node if len(topology.nodes) == 1 else ""))
    return {mac: min(names) for mac, names in owners.items() if len(names) == 1}


def order_of_bridge(name: str) -> tuple:
    """Where a bridge comes among others: docker0 first, that of a swarm's gateway last."""
    return (name != "docker0", name == "docker_gwbridge", name)


def label(name: str) -> str:
    """A field's name as a reader would call it."""
    return LABELS.get(name, plain(name.replace("_", " ")))


def tell_value(value: Any) -> str:
    """Any value of the model in plain words: for what has no words of its own."""
    if value is None or value in ((), ""):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, End):
        return tell_end(value)
    if isinstance(value, tuple):
        return join(tell_value(each) for each in value)
    if dataclasses.is_dataclass(value):
        return ", ".join(f"{label(name)} {tell_value(each)}" for name, each in calc_settings(value)) or "as usual"
    return plain(str(value))


def calc_settings(value: Any, *told: str) -> list[tuple[str, Any]]:
    """The fields of a value of the model that count and are not as usual, without those of the names ``told``."""
    fields = [(each, getattr(value, each.name)) for each in dataclasses.fields(value) if each.compare and each.name not in told]
    return [(each.name, found) for each, found in fields if found != each.default]


# the levels of what is told of something as a whole, unless more is asked for
WHOLE = frozenset({"", "derived"})


@dataclass(frozen=True, slots=True)
class Clause:
    """Some words of a line. ``glue`` stands before them; without one, a comma does, or a colon if they are the first."""

    words: str
    level: str = ""
    glue: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Something there is: what it is called, what is said of it, and the lines that lie inside of it.

    ``about`` says what it is, by its place; it is empty, or shared, for what has no place of its own:

    - "lan", "node1", "service hello", "service hello/task hello.1"
    - "node1/network shop", "node1/container web" (also its namespace), "node1/netns red"
    - "node1/host/docker0", "node1/container web/eth0": an interface in a namespace
    - "node1/container web/network shop": an endpoint; ".../port 8080/tcp": a published port
    - below a namespace: "route DESTINATION", "neighbour ADDRESS on INTERFACE", "fdb OWNER MAC", "masquerade SUBNET",
      "port 8080/tcp", "isolated", "internal BRIDGE", "silent BRIDGE", "policies", "rules"

    ``level`` says who is told, of a line or of a single clause:

    - nothing: every reader
    - words of :data:`netkit.network.select.SHOW`, such as "macs": who asked for all of these
    - "derived": every reader, but it is no difference, because another line or clause has the same fact
    - "hidden": nobody, unless it is different: a line, in the text, says it with others, or it goes without saying
    - "tunnels": who asked for the fdb; but a difference in it is told to every reader
    - "filled": nobody, unless it is different and what fills by itself was asked for

    ``follows`` is the place of what a line with a level comes and goes with, beside the namespace it is in: if that
    is new or gone, this is no news.
    """

    head: str
    clauses: tuple[Clause, ...] = ()
    inner: tuple[Line, ...] = ()
    about: str = ""
    level: str = ""
    follows: str = ""


def make_line(head: str, *clauses: Clause | str, inner: Iterable[Line] = (), about: str = "", level: str = "", follows: str = "") -> Line:
    """A line; clauses may be plain words, and those without any words are left out."""
    return Line(head, as_clauses(*clauses), tuple(inner), about, level, follows)


def as_clauses(*clauses: Clause | str) -> tuple[Clause, ...]:
    """Plain words as clauses, those without any words left out."""
    told = (each if isinstance(each, Clause) else Clause(each) for each in clauses)
    return tuple(each for each in told if each.words)


def subtract(some: Iterable[Clause], others: Iterable[Clause]) -> tuple[Clause, ...]:
    """The clauses whose words are not among the others', without those that are told elsewhere."""
    left = Counter(each.words for each in others if "derived" not in each.level)
    found = []
    for each in some:
        left[each.words] -= "derived" not in each.level
        found += [each] * (left[each.words] < 0 and "derived" not in each.level)
    return tuple(found)


def tell_rest(value: Any, *told: str) -> list[Clause]:
    """Hidden clauses on whatever a value of the model has that no other clause tells."""
    return [Clause(f"{label(name)} {tell_value(found)}", "hidden") for name, found in calc_settings(value, *told)]


def tell_lines(lines: Iterable[Line], wanted: Collection[str], indent: str = "") -> Iterator[str]:
    """The lines in words, for who wants these levels (see :class:`Line`); those inside of a line are indented."""
    for each in lines:
        if set(each.level.split()) <= set(wanted):
            yield indent + tell_line(each.head, each.clauses, wanted)
            yield from tell_lines(each.inner, wanted, indent + "  ")


def tell_line(head: str, clauses: Iterable[Clause], wanted: Collection[str]) -> str:
    """A line's own words, with the clauses for who wants these levels."""
    glue = ": "
    for each in clauses:
        if set(each.level.split()) <= set(wanted):
            head += (each.glue or glue) + each.words
            glue = glue if each.glue else ", "
    return head
