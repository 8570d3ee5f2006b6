"""One node put down on the sheet: border, boxes, bars, wires."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from netkit.figure.layout.arrange import (
    HOP,
    LANE,
    LONGEST,
    PAD,
    WIRE,
    Arrangement,
    Row,
    calc_lane_heights,
    calc_zone,
)
from netkit.figure.layout.foot import Foot, Piece, calc_foot, paint_foot
from netkit.figure.layout.labels import paint_label
from netkit.figure.layout.lanes import Arm
from netkit.figure.layout.picture import CAPTION, FAR, NODE, Measure
from netkit.figure.layout.plan import Port
from netkit.figure.layout.sheet import Layer, Sheet, calc_sink, height
from netkit.figure.layout.spot import SpotPainter

HEAD = 29.0  # a node's title
ROWS = 16.0  # between two rows
SPACE = 12.0  # between the last bars and what is below them
PLUG = 7.0


@dataclass(frozen=True, slots=True)
class Frame:
    """A node's place on the sheet. ``bands`` is the y and height of each overlay's band, ``inside`` where the rows begin."""

    x: float
    top: float
    bottom: float
    inside: float
    bands: dict[str, tuple[float, float]]


def calc_head(arrangement: Arrangement) -> float:
    """The height of a node's title, with what is wrong with the node."""
    return HEAD + height(CAPTION, len(arrangement.trouble)) + (4 if arrangement.trouble else 0)


def calc_inside(arrangement: Arrangement, measure: Measure) -> tuple[float, Foot]:
    """The height of a node's rows and foot, and the foot."""
    rows = arrangement.rows
    tall = sum(row.tall + calc_zone(row.above) + calc_zone(row.below) for row in rows)
    tall += ROWS * (len(rows) - 1) if rows else 0
    if not any(row.spots for row in rows) and any(row.below for row in rows):
        tall -= WIRE - 10
    foot = calc_foot(arrangement.plan, measure, arrangement.width - 2 * PAD, arrangement.left - PAD)
    return tall + SPACE + foot.height, foot


class NodePainter:
    """Paints one arrangement within its frame."""

    def __init__(self, sheet: Sheet, arrangement: Arrangement, frame: Frame, foot: Foot) -> None:
        self.sheet, self.arrangement, self.frame, self.foot = sheet, arrangement, frame, foot
        self.plan, self.x = arrangement.plan, frame.x
        self.arms: dict[str, list[tuple[float, float]]] = {}  # the y of each net's bars, by net
        self.reaches: list[tuple[float, float, float]] = []  # of bars with a line beside the rows: where they begin, y, height

    def paint(self) -> dict[str, Piece]:
        """Put everything down; returns the cables' labels with their places."""
        frame, plan = self.frame, self.plan
        role, more = "off" if plan.off else "node", {"about": plan.about, "highlight": plan.highlight}
        self.sheet.box(Layer.NODE, self.x, frame.top, self.arrangement.width, frame.bottom - frame.top, role, **more)
        self._paint_head()
        self._paint_bands()
        y = frame.inside
        region = None
        for number, row in enumerate(self.arrangement.rows):
            y += ROWS if number else 0
            y = self._paint_row(row, y)
            region = region or y + 6
            y = self._paint_below(row, y)
        foot = frame.bottom - self.foot.height
        if plan.nets or plan.items or plan.guests or plan.extras or plan.notes:
            self._paint_region(region or frame.inside)
        links = paint_foot(self.sheet, self.foot, plan, self.x + PAD, foot)
        self._paint_tracks(links)
        return links

    def _paint_region(self, top: float) -> None:
        inset = 1.0
        width = self.arrangement.width - 2 * inset
        about = f"{self.plan.about}/host"
        self.sheet.box(Layer.REGION, self.x + inset, top, width, self.frame.bottom - inset - top, "region", about=about)

    def _paint_head(self) -> None:
        plan, sheet = self.plan, self.sheet
        x, top = self.x + PAD, self.frame.top + 6
        room = self.arrangement.width - 2 * PAD
        name = min(sheet.measure(plan.name, NODE, bold=True), room)
        sheet.text(x, top, plan.name, NODE, "node", bold=True, room=room, about=plan.about)
        if plan.caption:
            sheet.text(
                x + name + 9, top + calc_sink(NODE, CAPTION), plan.caption, CAPTION, "caption", room=room - name - 9, about=plan.about
            )
        role = "caption" if plan.off else "trouble"
        for number, line in enumerate(self.arrangement.trouble):
            sheet.text(x, self.frame.top + HEAD + height(CAPTION, number), line, CAPTION, role, about=plan.about)

    def _paint_bands(self) -> None:
        """The overlays' bands, from the node's left to its right; the wires to upper ones pass the lower ones."""
        for net in self.plan.overlays:
            y, tall = self.frame.bands[net.key]
            x0 = self.x + self.arrangement.tracks.get(net.key, PAD) - 5
            x1 = self.x + max(self.arrangement.right, self.arrangement.spines.get(net.key, 0) + 4)
            self.sheet.box(Layer.BAR, x0, y, x1 - x0, tall, "band", about=net.about, network=net.name, highlight=net.highlight)
            passing = self._calc_passing(y)
            label = self.arrangement.labels[net.key, False]
            at, room = _find_room(label.width, x0, x1, passing)
            paint_label(self.sheet, label, net, at, y, tall, room)
            self._paint_hops(passing, y, tall, "gap-node")

    def _calc_passing(self, y: float) -> list[float]:
        """The x of wires from the first row to bands above this one."""
        first = self.arrangement.rows[0].spots if self.arrangement.rows else ()
        wires = [self.x + x for spot in first for port, x in spot.ups if self.frame.bands[port.net][0] < y]
        return sorted([*wires, *(self.x + x for key, x in self.arrangement.spines.items() if self.frame.bands[key][0] < y)])

    def _paint_hops(self, xs: list[float], y: float, tall: float, role: str) -> None:
        for x in xs:
            self.sheet.box(Layer.GAP, x - HOP, y - 1.5, 2 * HOP, tall + 3, role)

    def _paint_row(self, row: Row, y: float) -> float:
        above = self._paint_arms(row.above, y, up=True)
        y += calc_zone(row.above)
        for spot in row.spots:
            SpotPainter(self.sheet, spot, self.x).paint(y, row.tall)
            for port, x in spot.ups:
                end = above[port.net] if port.net in above else sum(self.frame.bands[port.net])
                self._paint_wire(port, x, y, end, end + 2)
        return y + row.tall

    def _paint_below(self, row: Row, y: float) -> float:
        bare = not row.spots
        below = self._paint_arms(row.below, y - (WIRE - 10 if bare else 0), up=False)
        for spot in row.spots:
            for port, x in spot.downs:
                if port.net:
                    self._paint_wire(port, x, y, below[port.net], below[port.net] - height(FAR) - 1)
        return y + calc_zone(row.below) - (WIRE - 10 if bare and row.below else 0)

    def _paint_arms(self, arms: tuple[Arm, ...], y: float, up: bool) -> dict[str, float]:
        """Put bars down; returns the y at which the wires of each net end."""
        heights = calc_lane_heights(arms)
        tops, ends = {}, {}
        at = y + (0 if up else WIRE)
        for lane in sorted(heights, reverse=not up):
            tops[lane] = at
            at += heights[lane] + LANE
        for arm in arms:
            top, tall = tops[arm.lane], arm.need.height
            ends[arm.key] = top + tall if up else top
            self._paint_arm(arm, top, tall, up)
            self.arms.setdefault(arm.key, []).append((top, tall))
            if arm.need.reach is not None and not up:
                self.reaches.append((self.x + arm.need.reach, top, tall))
            self._paint_hops([self.x + x for x in arm.crossings], top, tall, "gap-host")
        return ends

    def _paint_arm(self, arm: Arm, top: float, tall: float, up: bool) -> None:
        net = self.plan.nets[arm.key]
        x0, x1 = self.x + arm.x0, self.x + (self.arrangement.spines[arm.key] if up and arm.need.reach else arm.x1)
        if net.kind == "pair":
            self.sheet.line(Layer.WIRE, [(x0, top), (x1, top)], "wire", about=net.about)
            return
        role = {"chip": "extra", "overlay": "band", "macvlan": "parent"}.get(net.kind, "bar")
        more = {"about": net.about, "network": net.name, "highlight": net.highlight}
        self.sheet.box(Layer.BAR, x0, top, x1 - x0, tall, role, **more)
        label = self.arrangement.labels[arm.key, arm.need.short]
        paint_label(self.sheet, label, net, self.x + arm.label_x, top, tall, arm.room)

    def _paint_wire(self, port: Port, x: float, y: float, end: float, far: float) -> None:
        """A wire from a box's edge, with the far end's name beside it."""
        net, x = self.plan.nets[port.net], self.x + x
        about, highlight = port.name.about, port.name.highlight or port.far.highlight
        self.sheet.line(Layer.WIRE, [(x, y), (x, end)], "wire", about=about, network=net.name, highlight=highlight)
        self.sheet.mark(Layer.PLUG, x, y, PLUG, "plug", about=about, network=net.name, highlight=highlight)
        more = {"about": port.far.about, "highlight": port.far.highlight}
        self.sheet.text(x + 4, far, port.far.text, FAR, "far", mono=True, room=LONGEST, **more)

    def _paint_tracks(self, links: dict[str, Piece]) -> None:
        """The lines beside the rows: a bridge's spine, a macvlan's way to its parent; tunnels are the LAN's matter."""
        for key, x in self.arrangement.tracks.items():
            net, found = self.plan.nets[key], self.arms.get(key, [])
            if len(found) > 1:
                points = [(self.x + x, found[0][0]), (self.x + x, found[-1][0] + found[-1][1])]
                self._paint_crossed(*points)
                self.sheet.line(Layer.WIRE, points, "spine", about=net.about, network=net.name, highlight=net.highlight)
            link = links.get(net.parent)
            if net.parent and link and found:
                at = self.x + x
                points = [(at, found[-1][0] + found[-1][1]), (at, link.y)]
                self._paint_crossed(*points)
                if not link.x < at < link.x + link.width:
                    points[1:] = [(at, link.y - 4), (link.x + 10, link.y - 4), (link.x + 10, link.y)]
                self.sheet.line(Layer.WIRE, points, "wire", about=net.about, network=net.name, highlight=net.highlight)
        for key, x in self.arrangement.spines.items():
            net, found = self.plan.nets[key], self.arms.get(key, [])
            if found:
                points = [(self.x + x, sum(self.frame.bands[key])), (self.x + x, found[-1][0] + found[-1][1])]
                self.sheet.line(Layer.WIRE, points, "spine", about=net.about, network=net.name, highlight=net.highlight)

    def _paint_crossed(self, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """Gaps in the bars that a line beside the rows passes."""
        for x0, y, tall in self.reaches:
            if x0 + 1 < begin[0] and begin[1] < y and y + tall < end[1]:
                self._paint_hops([begin[0]], y, tall, "gap-host")

    def calc_tunnel(self, key: str) -> tuple[float, float]:
        """Where a net's tunnel leaves: the x of its track, and the y it begins at."""
        x = self.x + self.arrangement.tracks[key]
        if key in self.frame.bands:
            return x, sum(self.frame.bands[key])
        found = self.arms.get(key)
        return x, sum(found[-1]) if found else self.frame.bottom


def _find_room(width: float, x0: float, x1: float, passing: list[float]) -> tuple[float, float]:
    """Where in a band a label has room beside the wires that pass, and how much."""
    edges = [x0 - HOP, *(x for x in passing if x0 < x < x1), x1 + HOP]
    gaps = [(begin + HOP, end - begin - 2 * HOP) for begin, end in pairwise(edges)]
    return next((gap for gap in gaps if gap[1] >= width), max(gaps, key=lambda gap: gap[1]))
