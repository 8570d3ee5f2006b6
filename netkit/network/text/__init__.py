"""A topology in words: the same facts as its figure, for readers, screen readers and comparison.

One line says one thing, what is inside of something is indented below it, and the order is always the
same. Names drawn by lot, ids, numbers of interfaces, versions and whatever else differs between two
labs with the same network are not told, so the text is the same in every lab, on every engine.
"""

from __future__ import annotations

from collections.abc import Collection

from netkit.errors import NetkitError
from netkit.network.model import Lan, Node, Topology
from netkit.network.select import calc_selection
from netkit.network.text.node import tell_node
from netkit.network.text.service import tell_service
from netkit.network.text.telling import calc_telling
from netkit.network.words import join, plain

__all__ = ["SHOW", "plain", "to_text"]

SHOW = ("addresses", "macs", "routes", "neighbours", "fdb", "rules", "options", "all")


def to_text(topology: Topology, *, show: Collection[str] = ("addresses",), node: str | None = None, focus: Collection[str] = ()) -> str:
    """The network in words, without a newline at the end.

    ``show`` says what is told beside the structure and the addresses:

    - ``macs``: MAC addresses, and the link-local addresses and routes that follow from them
    - ``routes``: every route, and which namespaces forward packets
    - ``neighbours``: the neighbour tables (ARP, NDP)
    - ``fdb``: the forwarding tables, learned rows and those an engine or a learner put there
    - ``rules``: the packet filter's rules and policies
    - ``options``: MTUs, images, engine versions, options of networks
    - ``all``: everything

    With ``node``, only that node is told of; with ``focus``, names of containers or namespaces, only
    these and what they are joined to. Raises NetkitError, saying what there is, for an unknown name.
    """
    options = calc_options(show)
    picture = calc_selection(topology, node, focus)
    telling = calc_telling(topology, picture, options)
    lines = _tell_lan(picture.lan, picture.nodes) if picture.lan else []
    for each in picture.nodes:
        lines += tell_node(each, telling)
    for service in picture.services:
        lines += tell_service(service)
    return "\n".join(lines) or "nothing here"


def calc_options(show: Collection[str]) -> frozenset[str]:
    """What to show as a set, "all" spelt out; raises NetkitError for a word that is none of SHOW."""
    words = {show} if isinstance(show, str) else set(show)
    unknown = words - set(SHOW)
    if unknown:
        raise NetkitError(f"there is nothing called {join(sorted(plain(str(word)) for word in unknown))} to show: there is {join(SHOW)}")
    return frozenset(SHOW if "all" in words else words)


def _tell_lan(lan: Lan, nodes: tuple[Node, ...]) -> list[str]:
    there = [f"{plain(node.name)} {node.address}" for node in nodes if node.address and node.address in lan.subnet]
    return [f"{plain(lan.name)} {lan.subnet}" + (f": {', '.join(there)}" if there else "")]
