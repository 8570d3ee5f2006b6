"""From a topology to a :class:`Picture`: every decision of a figure but its colours and strokes. Pure.

Nodes, and hosts that are none, stand side by side on the LAN. Overlays are bands across the nodes, above the
boxes; their tunnels lie beneath the LAN.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from netkit.figure.arrange import find_gap
from netkit.figure.contents import calc_plan
from netkit.figure.node import CHIP, LANE, PAD, WIRE, NodeFigure
from netkit.figure.picture import ASIDE, CAPTION, NET, NOTHING, Layer, Measure, Picture, Sheet, Words, calc_clean
from netkit.figure.plan import Context, Item, Net, NodePlan, Piece, Port, calc_size
from netkit.figure.style import calc_styles
from netkit.network.model import Lan, Node, Topology
from netkit.network.select import SHOW as TOLD
from netkit.network.select import calc_selection, calc_show, find_nodes
from netkit.network.words import BUILTIN

SHOW = (*TOLD, "terms")
MOST = 16  # containers that a figure shows one by one, side by side
CAP = 12  # alike ones of a node, in a figure that has more
HIGHLIGHTS = {"appeared": "new", "vanished": "gone", "changed": "changed", "moved": "changed"}
EDGE = 10.0  # around everything
BETWEEN = 20.0  # two nodes
DROP = 20.0  # from a border to the LAN
TALL = 21.0  # the LAN
TUNNEL = 21.0  # from one tunnel to the next
CABLE = 0.62  # where on a label its cable leaves
Point = tuple[float, float]
ASTRIDE = 12.0, 6.0  # between a text and the lines that pass on its left and on its right


def calc_layout(
    topology: Topology,
    *,
    measure: Measure,
    show: Collection[str] = ("addresses",),
    node: str | None = None,
    focus: Collection[str] = (),
    diff: object | None = None,
) -> Picture:
    """The figure of a topology, in points.

    ``show`` is any of SHOW: the words that the text takes, of which a figure has addresses, macs, routes and rules, and
    terms (what a thing is called in the container network model). ``node`` leaves out all others; ``focus`` names the
    containers to show, the others on their networks being counted only. ``diff`` (a :class:`netkit.network.diff.Diff`)
    marks what has changed, what has vanished included. ``measure`` tells a text's width.
    Raises NetkitError for a word, node or container that there is not.
    """
    wanted = calc_show(show, SHOW)
    if "terms" not in show:  # "all" is everything there is to tell; the model's terms say the same in other words
        wanted -= {"terms"}
    union, highlights = _calc_union(topology, diff)
    plans = _calc_plans(Context(union, wanted, highlights), node, focus)
    sheet = Sheet(measure, calc_styles(_find_networks(union)))
    if not plans:
        width = sheet.text(EDGE, EDGE, Words("There is nothing to draw: no node is known."), CAPTION)
        return sheet.done(width + 2 * EDGE, CAPTION.height + 2 * EDGE)
    figures, links, bottom = _paint_nodes(sheet, _fold(plans), EDGE + (CAPTION.height + 8 if diff is not None else 0))
    width = figures[-1].x + figures[-1].width + EDGE
    if diff is not None:
        width = max(width, _paint_legend(sheet))
    if not union.lan and len(plans) == 1:
        return sheet.done(width, bottom + CHIP / 2 + EDGE)
    return sheet.done(width, _paint_lan(sheet, figures, links, union.lan, bottom + CHIP / 2 + DROP, width, "addresses" in wanted))


def _calc_union(topology: Topology, diff) -> tuple[Topology, dict[str, str]]:
    """The topology together with what ``diff.before`` had beside it, and the highlights: {about: new, gone, changed}.

    ``diff`` has ``before`` and ``marks()``, the kind of change by place, both in the names of :meth:`Topology.canonical`;
    or it is None.
    """
    if diff is None:
        return topology, {}
    before, after = diff.before.canonical(), topology.canonical()
    lost = [node for node in before.nodes if after.node(node.name) is None]
    gone = {node.name for node in lost}
    nodes = tuple(_merge_node(before.node(node.name) or Node(name=node.name), node, gone) for node in after.nodes)
    marks = {about: HIGHLIGHTS[kind] for about, kind in diff.marks().items() if kind in HIGHLIGHTS}
    return replace(after, nodes=(*nodes, *lost), lan=after.lan or before.lan), marks | dict.fromkeys(gone, "gone")


def _merge_node(old: Node, new: Node, gone: set[str]) -> Node:
    """The new node with what only the old one had; ``gone`` learns of that."""

    def merge(before: Iterable, now: tuple, place: str) -> tuple:
        known = {each.name for each in now}
        lost = [each for each in before if each.name not in known]
        gone.update(f"{new.name}/{place}{each.name}" for each in lost)
        return (*now, *lost)

    namespaces = []
    for each in new.namespaces:
        former = old.namespace(each.name) or each
        namespaces.append(replace(each, interfaces=merge(former.interfaces, each.interfaces, f"{each.name}/")))
    return replace(
        new,
        namespaces=merge(old.namespaces, tuple(namespaces), ""),
        networks=merge(old.networks, new.networks, "network "),
        containers=merge(old.containers, new.containers, "container "),
    )


def _calc_plans(context: Context, node: str | None, focus: Collection[str]) -> list[NodePlan]:
    """The plans of what is asked for; containers on the same nets as those in ``focus`` are counted. Raises NetkitError."""
    if not focus:
        return [calc_plan(each, context) for each in find_nodes(context.topology, node)]
    whole = context.topology.canonical()
    plans = []
    for each in calc_selection(context.topology, node, focus).nodes:
        plan, full = calc_plan(each, context), calc_plan(whole.node(each.name), context)
        shown = {item.about for item in plan.items}
        others = [item for item in full.items if item.about not in shown and plan.nets.keys() & set(item.nets)]
        shared = [key for key in plan.nets if any(key in item.nets for item in others)]
        plans.append(replace(plan, items=(*plan.items, *([_make_more(others, shared)] if others else []))))
    return plans


def _fold(plans: Sequence[NodePlan]) -> list[NodePlan]:
    """The plans, with alike containers told by their number where there are too many to show."""
    groups = Counter((plan.name, _calc_signature(item)) for plan in plans for item in plan.items if item.kind != "namespace")
    if groups.total() <= MOST:
        return list(plans)
    cap = next((cap for cap in range(CAP, 1, -1) if sum(min(cap + 1, count) for count in groups.values()) <= MOST), 1)
    return [replace(plan, items=tuple(_fold_items(plan.items, cap))) for plan in plans]


def _calc_signature(item: Item) -> tuple:
    return (item.kind, *sorted(item.nets))


def _fold_items(items: Sequence[Item], cap: int) -> list[Item]:
    groups: dict[tuple, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.order):
        groups[_calc_signature(item)].append(item)
    folded = []
    for group in groups.values():
        # what has changed is what a reader looks for
        group.sort(key=lambda item: not item.highlight)
        kept = len(group) if group[0].kind == "namespace" or len(group) <= cap + 1 else cap
        folded += [*group[:kept], *([_make_more(group[kept:], group[0].nets)] if group[kept:] else [])]
    return folded


def _make_more(items: Sequence[Item], nets: Sequence[str]) -> Item:
    """The box that stands for some more items on the same nets."""
    about, ups = items[0].about, {port.net: port.up for item in items for port in item.ports}
    ports = tuple(Port(name=NOTHING, net=net, up=ups[net]) for net in dict.fromkeys(nets))
    return Item(kind="more", about=about, titles=(Words(f"… {len(items)} more", about),), ports=ports)


def _find_networks(topology: Topology) -> Iterable[str]:
    """Whatever may have a colour of its own, drawn or not."""
    for node in topology.nodes:
        yield from (network.name for network in node.networks if network.driver not in BUILTIN)
        yield from (namespace.title for namespace in node.namespaces if namespace.kind == "overlay")
        known = {network.bridge for network in node.networks}
        interfaces = (each for namespace in node.namespaces for each in namespace.interfaces if namespace.kind == "host")
        yield from (each.name for each in interfaces if each.kind == "bridge" and each.name not in known)


def _paint_nodes(sheet: Sheet, plans: Sequence[NodePlan], top: float) -> tuple[list[NodeFigure], list[Piece], float]:
    """The nodes, standing on one line; returns their cables' labels and the line's y, too."""
    heights, tops = _calc_bands(sheet, plans)
    figures = [NodeFigure(sheet, plan, tops) for plan in plans]
    # the overlays' bands have to be in line, and so have the nodes under them
    head = max((each.head for each in figures if each.is_in_line), default=0.0)
    above = max((tops[key] + heights[key] for key in tops), default=0.0) + (WIRE if tops else 0.0)
    starts = [head + above if each.is_in_line else each.head for each in figures]
    bottom = top + max(start + each.body for each, start in zip(figures, starts, strict=True))
    bands = {key: (top + head + tops[key], heights[key]) for key in tops}
    x, links = EDGE, []
    for figure, start in zip(figures, starts, strict=True):
        begin = top if figure.is_in_line else bottom - start - figure.body
        links += figure.paint(x, begin, bottom, begin + start, bands)
        x += figure.width + BETWEEN
    _paint_links(sheet, figures, bands)
    return figures, links, bottom


def _calc_bands(sheet: Sheet, plans: Sequence[NodePlan]) -> tuple[dict[str, float], dict[str, float]]:
    """The heights of the overlays' bands, and their y: the one with the most wires lowest, the routing mesh on top."""
    wires = Counter(net for plan in plans for item in plan.items for net in item.nets)
    heights: dict[str, float] = {}
    for net in (net for plan in plans for net in plan.overlays):
        heights[net.key] = max(heights.get(net.key, 0.0), calc_size(sheet, net.bar)[1])
    tops, y = {}, 0.0
    for key in sorted(heights, key=lambda key: (key != "overlay ingress", wires[key], key)):
        tops[key] = y
        y += heights[key] + LANE
    return heights, tops


def _paint_links(sheet: Sheet, figures: Sequence[NodeFigure], bands: dict[str, tuple[float, float]]) -> None:
    """The overlays between the nodes: strips that join the bands of two neighbours in an overlay."""
    for key, (y, tall) in bands.items():
        members = [figure for figure in figures if key in figure.plan.nets]
        for one, other in pairwise(members):
            x0, x1 = one.x + one.right, other.x + other.tracks.get(key, PAD) - 5
            # behind a node between them that has no part in it
            layer = Layer.REGION if figures.index(other) == figures.index(one) + 1 else Layer.BACK
            bar = one.plan.nets[key].bar
            sheet.box(layer, x0, y + tall * 0.22, x1 - x0, tall * 0.56, "link", about=bar.about, network=bar.network)


def _paint_legend(sheet: Sheet) -> float:
    x = EDGE + 6
    for highlight in dict.fromkeys(HIGHLIGHTS.values()):
        sheet.mark(Layer.BADGE, x, EDGE + CAPTION.height / 2, 11, "badge", highlight=highlight)
        x += sheet.text(x + 10, EDGE, Words(highlight), CAPTION) + 34
    return x


def _paint_lan(
    sheet: Sheet, figures: Sequence[NodeFigure], links: Sequence[Piece], lan: Lan | None, y: float, width: float, full: bool
) -> float:
    """The LAN along the nodes' feet, their cables, the tunnels beneath; returns the height of the figure."""
    name = lan.name if lan else "LAN"
    ways = _find_ways(figures)
    passing = sorted({x for _, ends in ways for x, _ in ends})
    sheet.box(Layer.BAR, EDGE, y, width - 2 * EDGE, TALL, "lan", about="lan", network=name)
    for piece in links:
        x = piece.x + piece.width * CABLE
        sheet.line(Layer.WIRE, [(x, piece.y + piece.height), (x, y)], "cable", about=piece.label.about, network=name)
    text = calc_clean(name) + (f"  {lan.subnet}" if lan and full else "")
    at, _ = find_gap([EDGE, *passing, width - EDGE], sheet.calc_width(text, NET) + 12, *ASTRIDE)
    sheet.text(at, y + (TALL - NET.height) / 2, Words(text, "lan"), NET, role="lan", network=name)
    lowest = y + TALL
    for number, (net, ends) in enumerate(ways):
        at = y + TALL + TUNNEL * (number + 0.75)
        _paint_tunnel(sheet, net, ends, at, passing)
        lowest = at + ASIDE.height / 2
    return lowest + EDGE


def _find_ways(figures: Sequence[NodeFigure]) -> list[tuple[Net, list[Point]]]:
    """The tunnels between at least two nodes, the uppermost band's last, so that they cross little.

    Of each, the net at its first end, and where it leaves each node.
    """
    found: dict[tuple[int, int], tuple[Net, list[Point]]] = {}
    for figure in figures:
        for key, net in figure.plan.nets.items():
            if net.tunnel:
                found.setdefault(net.tunnel, (net, []))[1].append(figure.calc_tunnel(key))
    return sorted((way for way in found.values() if len(way[1]) > 1), key=lambda way: (-way[1][0][0], way[0].tunnel))


def _paint_tunnel(sheet: Sheet, net: Net, ends: list[Point], y: float, passing: Sequence[float]) -> None:
    for x, begin in ends:
        sheet.line(Layer.WIRE, [(x, begin), (x, y)], "tunnel", **net.bar.look)
    (first, _), (second, _), (last, _) = ends[0], ends[1], ends[-1]
    sheet.line(Layer.WIRE, [(first, y), (last, y)], "tunnel", **net.bar.look)
    words = Words(f"VXLAN, VNI {net.tunnel[0]}, UDP {net.tunnel[1]}", net.bar.about, net.bar.highlight)
    width, top = sheet.calc_width(words.text, ASIDE) + 20, y - ASIDE.height / 2
    x, _ = find_gap([first, *(at for at in passing if first < at < second), second], width, *ASTRIDE)
    x = max(x, (x + second - width) / 2)
    sheet.box(Layer.PLUG, x, top - 1, width, ASIDE.height + 2, "backing")
    sheet.mark(Layer.TEXT, x + 9, y, 9, "symbol", about=net.bar.about, network=net.bar.network)
    sheet.text(x + 17, top, words, ASIDE, network=net.bar.network)
