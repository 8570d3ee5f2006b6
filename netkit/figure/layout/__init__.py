"""From a topology to a :class:`Picture`: every decision of a figure but its colours and strokes. Pure.

Nodes stand side by side on the LAN. Within a node, containers and other namespaces are boxes; below them
lies the node's own stack with its bridges, and at the lower border its cable, NAT and published ports.
Overlays are bands across the nodes, above the boxes; their tunnels lie beneath the LAN. Where boxes
take several rows, a bridge has one bar per row, joined beside them.
"""

from __future__ import annotations

from collections.abc import Iterable

from netkit.errors import NetkitError
from netkit.figure.layout.compose import compose
from netkit.figure.layout.facts import Context
from netkit.figure.layout.focus import calc_focus
from netkit.figure.layout.order import fold
from netkit.figure.layout.picture import Box, Line, Mark, Measure, Picture, Shape, Text
from netkit.figure.layout.scene import calc_plan
from netkit.figure.layout.union import calc_union
from netkit.network.model import Topology

SHOW = ("addresses", "macs", "routes", "rules", "terms")
__all__ = ["SHOW", "Box", "Line", "Mark", "Measure", "Picture", "Shape", "Text", "calc_layout"]


def calc_layout(
    topology: Topology,
    *,
    measure: Measure,
    show: Iterable[str] = frozenset({"addresses"}),
    node: str | None = None,
    focus: Iterable[str] = (),
    diff: object | None = None,
) -> Picture:
    """The figure of a topology, in points.

    ``show`` is any of addresses, macs, routes, rules, and terms (what a thing is called in the container
    network model); ``node`` leaves out all others; ``focus`` names the containers to show, the others on their networks being counted only. ``diff`` (with ``before``, ``after``
    and ``changes``) marks what has changed, what has vanished included. ``measure`` tells a text's width.
    Raises NetkitError for a word, node or container that there is not.
    """
    show = _calc_show(show)
    union, highlights = calc_union(topology, diff)
    nodes = union.nodes
    if node is not None:
        nodes = tuple(each for each in nodes if each.name == node)
        if not nodes:
            raise NetkitError(f"there is no node {node!r} in this topology: it has {_list(each.name for each in union.nodes)}")
    context = Context(union, show, highlights)
    plans = [calc_plan(each, context) for each in nodes]
    if focus:
        plans = calc_focus(plans, nodes, focus)
    return compose(fold(plans), union.lan, show, diff is not None, measure)


def _calc_show(show: Iterable[str]) -> frozenset[str]:
    wanted = frozenset([show] if isinstance(show, str) else show)
    unknown = sorted(wanted - set(SHOW), key=str)
    if unknown:
        raise NetkitError(f"a figure cannot show {unknown[0]!r}: it can show {_list(SHOW)}")
    return wanted


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
