"""Words for the objects of a network, and the lines they are told in: what description, a packet's way and figure say alike, said once."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from netkit.network.model import HOST, End, Interface, Ip, is_link_local

# the engine's two networks that stand for "that of the node" and "no network at all"
BUILTIN = ("host", "null")
# fields of the model that a reader would call something else
LABELS = dict(mac="MAC address", master="port of", stp="spanning tree", ipv6="IPv6", resolver="DNS server", trouble="what is wrong")
ACRONYMS = ("mtu", "vxlan", "vni", "vlan")
CONDITIONS = {"up": "", "unknown": "", "down": "no carrier", "lowerlayerdown": "no carrier"}  # of what is meant to be up (RFC 2863)


def plain(name: str) -> str:
    """A name as one harmless piece of a line: what does not print, or would turn the line about, is escaped.

    Line breaks, terminal escapes, invisible and right-to-left characters show as Python would write
    them (``\\n``, ``\\x1b``, ``\\u202e``), and so does the backslash itself. What begins or ends with a
    space, which nobody would see, is quoted.
    """
    told = name
    if not name.isprintable() or "\\" in name:
        told = "".join(each if each.isprintable() and each != "\\" else each.encode("unicode_escape").decode("ascii") for each in name)
    return told if name == name.strip(" ") else f'"{told}"'


def join(items: Iterable[object], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    words = [str(item) for item in items]
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def tell_addresses(interface: Interface) -> str:
    """Its addresses, without link-local ones; empty if there are none."""
    return join(address for address in interface.addresses if not is_link_local(address))


def tell_state(interface: Interface) -> str:
    """What is wrong with an interface: "down", "no carrier" (the other end is down, or no port up); or nothing."""
    return CONDITIONS.get(interface.state, plain(interface.state)) if interface.up else "down"


def tell_namespace(name: str, node: str) -> str:
    """A namespace by its name: a node's own goes by the name of the node."""
    return plain(node if name == HOST else name)


def tell_end(end: End, node: str = "") -> str:
    """ "eth0 of container web", and "on node2" unless that is ``node``."""
    where = "" if end.namespace == HOST or end.node == node else f" on {plain(end.node)}"
    return f"{plain(end.interface)} of {tell_namespace(end.namespace, end.node)}{where}"


def tell_nature(interface: Interface, node: str) -> str:
    """What kind of device this is, and what it hangs on: "veth pair to eth0 of container web"."""
    if interface.kind == "veth":
        return f"veth pair to {tell_end(interface.peer, node)}" if interface.peer else "veth pair to outside of this picture"
    words = f"VTEP, VNI {interface.vxlan.vni}, UDP port {interface.vxlan.port}" if interface.vxlan else plain(interface.kind)
    if interface.macvlan_mode:
        words += f" in mode {plain(interface.macvlan_mode)}"
    if interface.vlan is not None:
        words += f" with tag {interface.vlan}"
    return f"{words} on {tell_end(interface.parent, node)}" if interface.parent else words


def tell_port(protocol: str, port: int, address: Ip | None) -> str:
    """ "port 8080/tcp", and of which address unless of any."""
    return f"port {port}/{plain(protocol)}" + (f" at {address}" if address and not address.is_unspecified else "")


def tell_value(value: Any) -> str:
    """Any value of the model in plain words: for what has no words of its own."""
    if value is None or value in ((), ""):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, End):
        return tell_end(value)
    if isinstance(value, tuple):
        return join(map(tell_value, value))
    if dataclasses.is_dataclass(value):
        return ", ".join(each.words for each in tell_rest(value)) or "as usual"
    return plain(str(value))


def tell_rest(value: Any, *told: str) -> list[Clause]:
    """Hidden clauses on the fields of a value of the model that count and are not as usual, without those of the names ``told``.

    Why something could not be read is not hidden.
    """
    clauses = []
    for each in dataclasses.fields(value):
        name, found = each.name, getattr(value, each.name)
        if each.compare and name not in told and found != each.default:
            label = name.upper() if name in ACRONYMS else LABELS.get(name, name.replace("_", " "))
            clauses.append(Clause(found) if name == "trouble" else Clause(f"{label} {tell_value(found)}", "hidden"))
    return clauses


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

    @classmethod
    def of(cls, head: str, *clauses: Clause | str, inner: Iterable[Line] = (), about: str = "", level: str = "", follows: str = "") -> Line:
        """A line, hidden if it follows something and has no other level; clauses may be plain words, those without any are left out."""
        told = (each if isinstance(each, Clause) else Clause(each) for each in clauses)
        level = level or ("hidden" if follows else "")
        return cls(head, tuple(each for each in told if each.words), tuple(inner), about, level, follows)


def is_told(each: Clause | Line, wanted: Collection[str]) -> bool:
    """Whether a clause or a line is for who wants these levels (see :class:`Line`)."""
    return set(each.level.split()) <= set(wanted)


def tell_lines(lines: Iterable[Line], wanted: Collection[str], indent: str = "") -> Iterator[str]:
    """The lines in words, for who wants these levels beside those of everything; those inside of a line are indented."""
    for each in lines:
        if is_told(each, WHOLE.union(wanted)):
            yield indent + tell_line(each.head, each.clauses, WHOLE.union(wanted))
            yield from tell_lines(each.inner, wanted, indent + "  ")


def tell_line(head: str, clauses: Iterable[Clause], wanted: Collection[str]) -> str:
    """A line's own words, with the clauses for who wants these levels."""
    glue = ": "
    for each in clauses:
        if is_told(each, wanted):
            head += (each.glue or glue) + each.words
            glue = glue if each.glue else ", "
    return head
