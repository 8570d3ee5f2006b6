"""The whole figure: nodes side by side on the LAN, overlays across them, their tunnels beneath."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from netkit.figure.layout.arrange import LANE, PAD, WIRE, Arrangement, Arranger
from netkit.figure.layout.foot import CHIP, Foot
from netkit.figure.layout.labels import calc_label
from netkit.figure.layout.lan import EDGE, LanPainter
from netkit.figure.layout.node import Frame, NodePainter, calc_head, calc_inside
from netkit.figure.layout.picture import CAPTION, NET, Measure, Picture
from netkit.figure.layout.plan import NodePlan
from netkit.figure.layout.sheet import Layer, Sheet, height
from netkit.network.model import Lan

BETWEEN = 20.0  # two nodes
VIEW = (960.0, 640.0)  # the size at which a figure needs no shrinking, in points
BELOW = 85.0  # the LAN and what is beneath it, about
MOST_ROWS = 9
GAIN = 1.12  # how much larger a figure has to become for another row of boxes
GAIN_WITH_BANDS = 1.3
LEGEND = ("new", "gone", "changed")

Placed = tuple[Arrangement, float, Foot]
"""A node arranged, the height of its inside, and its foot."""


@dataclass(frozen=True, slots=True)
class Bands:
    """The bands of the overlays: their y below the nodes' titles, their height, and that of all."""

    tops: dict[str, float]
    heights: dict[str, float]
    total: float


def calc_bands(plans: Sequence[NodePlan], measure: Measure) -> Bands:
    """Where the overlays' bands lie: the one with the most wires lowest, the routing mesh on top."""
    wires = Counter(net for plan in plans for item in plan.items for net in item.nets)
    heights: dict[str, float] = {}
    for plan in plans:
        for net in plan.overlays:
            heights[net.key] = max(heights.get(net.key, 0.0), calc_label(net, measure).height)
    tops, y = {}, 0.0
    for key in sorted(heights, key=lambda key: (key != "overlay ingress", wires[key], key)):
        tops[key] = y
        y += heights[key] + LANE
    return Bands(tops, heights, y - LANE + WIRE if tops else 0.0)


def arrange_all(plans: Sequence[NodePlan], bands: Bands, measure: Measure) -> list[Placed]:
    """Every node arranged in the number of rows that lets the figure be shown largest; more rows have to be worth it."""
    arrangers = [Arranger(plan, measure, bands.tops) for plan in plans]
    gain = GAIN_WITH_BANDS if bands.tops else GAIN
    best: tuple[float, list[Placed]] = (0.0, [])
    most = max((len(arranger.items) for arranger in arrangers), default=1)
    for rows in range(1, min(MOST_ROWS, max(most, 1)) + 1):
        placed = [(each, *calc_inside(each, measure)) for each in (arranger.arrange(rows) for arranger in arrangers)]
        width = sum(each.width + BETWEEN for each, _, _ in placed) + 2 * EDGE
        tall = max(calc_head(each) + inside for each, inside, _ in placed) + bands.total + BELOW
        scale = min(1.0, VIEW[0] / width, VIEW[1] / tall)
        if scale > best[0] * gain:
            best = (scale, placed)
        if best[0] == 1.0:
            break
    return best[1]


def compose(plans: Sequence[NodePlan], lan: Lan | None, show: frozenset[str], marked: bool, measure: Measure) -> Picture:
    """The figure of some nodes; ``marked`` if it shows changes."""
    sheet = Sheet(measure)
    if not plans:
        return _compose_nothing(sheet)
    hosts = [plan for plan in plans if plan.plain and not plan.nets and not plan.items]
    nodes = [plan for plan in plans if plan not in hosts] or hosts
    hosts = hosts if nodes is not hosts else []
    bands = calc_bands(nodes, measure)
    placed = arrange_all(nodes, bands, measure)
    top = EDGE + (height(CAPTION) + 8 if marked else 0)
    painters, bottom = _calc_painters(sheet, placed, bands, top)
    links = [painter.paint() for painter in painters]
    _paint_links(sheet, painters)
    width = painters[-1].x + painters[-1].arrangement.width + EDGE
    if marked:
        width = max(width, _paint_legend(sheet))
    if not lan and len(plans) == 1:
        return sheet.done(width, bottom + CHIP / 2 + EDGE)
    return sheet.done(*LanPainter(sheet, painters, links, lan, "addresses" in show).paint(hosts, bottom, width))


def _compose_nothing(sheet: Sheet) -> Picture:
    text = "There is nothing to draw: no node is known."
    sheet.text(EDGE, EDGE, text, NET, "caption")
    return sheet.done(sheet.measure(text, NET) + 2 * EDGE, height(NET) + 2 * EDGE)


def _calc_painters(sheet: Sheet, placed: Sequence[Placed], bands: Bands, top: float) -> tuple[list[NodePainter], float]:
    """The nodes in their frames, standing on one line; returns its y, too."""
    head = max(calc_head(each) for each, _, _ in placed)
    # the overlays' bands have to be in line, and so have the nodes under them
    in_line = [bool(each.plan.overlays or (bands.tops and not each.plan.plain and not each.plan.off)) for each, _, _ in placed]
    talls = [
        head + bands.total + inside if line else calc_head(each) + inside for (each, inside, _), line in zip(placed, in_line, strict=True)
    ]
    bottom = top + max(talls)
    tops = {key: (top + head + y, bands.heights[key]) for key, y in bands.tops.items()}
    painters, x = [], EDGE
    for (arrangement, _, foot), line, tall in zip(placed, in_line, talls, strict=True):
        begin = top if line else bottom - tall
        inside = top + head + bands.total if line else begin + calc_head(arrangement)
        painters.append(NodePainter(sheet, arrangement, Frame(x, begin, bottom, inside, tops), foot))
        x += arrangement.width + BETWEEN
    return painters, bottom


def _paint_legend(sheet: Sheet) -> float:
    x = EDGE + 6
    for highlight in LEGEND:
        sheet.mark(Layer.BADGE, x, EDGE + height(CAPTION) / 2, 11, "badge", highlight=highlight)
        sheet.text(x + 10, EDGE, highlight, CAPTION, "caption")
        x += sheet.measure(highlight, CAPTION) + 34
    return x


def _paint_links(sheet: Sheet, painters: Sequence[NodePainter]) -> None:
    """The overlays between the nodes: strips that join the bands of two neighbours in an overlay."""
    for key in {key: None for painter in painters for key in painter.frame.bands}:
        members = [painter for painter in painters if key in painter.plan.nets]
        for one, other in pairwise(members):
            y, tall = one.frame.bands[key]
            x0 = one.x + max(one.arrangement.right, one.arrangement.spines.get(key, 0) + 4)
            x1 = other.x + other.arrangement.tracks.get(key, PAD) - 5
            net = one.plan.nets[key]
            # behind a node between them that has no part in it
            near = painters.index(other) == painters.index(one) + 1
            sheet.box(
                Layer.REGION if near else Layer.BACK, x0, y + tall * 0.22, x1 - x0, tall * 0.56, "link", about=net.about, network=net.name
            )
