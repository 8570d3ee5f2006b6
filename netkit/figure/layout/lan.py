"""The LAN along the nodes' feet: cables, the tunnels beneath, and the hosts that are no Docker nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from netkit.figure.layout.arrange import INSET, PAD, calc_chip_width
from netkit.figure.layout.foot import CHIP, Piece, calc_note_size, paint_piece
from netkit.figure.layout.node import NodePainter
from netkit.figure.layout.picture import DETAIL, FAR, NET, NODE
from netkit.figure.layout.plan import NodePlan
from netkit.figure.layout.sheet import Layer, Sheet, height
from netkit.figure.layout.words import calc_clean
from netkit.network.model import Lan

EDGE = 10.0  # around everything
DROP = 20.0  # from a border to the LAN
TALL = 21.0
TUNNEL = 21.0  # from one tunnel to the next
CABLE = 0.62  # where on a label its cable leaves
WIDEST_NOTE = 240.0


@dataclass(frozen=True, slots=True)
class Way:
    """A tunnel: its VXLAN number and port, its network, and where it leaves each node."""

    vni: int
    port: int
    network: str
    about: str
    highlight: str
    ends: tuple[tuple[float, float], ...]


class LanPainter:
    """Paints the LAN below nodes that are painted already; ``links`` are their cables' labels."""

    def __init__(
        self, sheet: Sheet, painters: Sequence[NodePainter], links: Sequence[dict[str, Piece]], lan: Lan | None, full: bool
    ) -> None:
        self.sheet, self.painters, self.links = sheet, painters, links
        self.name = lan.name if lan else "LAN"
        self.text = calc_clean(self.name) + (f"  {lan.subnet}" if lan and full else "")
        self.ways = _find_tunnels(painters)
        self.passing = sorted({x for way in self.ways for x, _ in way.ends})

    def paint(self, hosts: Sequence[NodePlan], bottom: float, width: float) -> tuple[float, float]:
        """Put everything down, with ``hosts`` below; returns the size of the figure."""
        y = bottom + CHIP / 2 + DROP
        widths = [self._calc_host_width(plan) for plan in hosts]
        x = max([EDGE, width - EDGE - sum(widths) - EDGE * (len(hosts) - 1), *(at + 2 * EDGE for at in self.passing[-1:] if hosts)])
        lowest = y + TALL
        for plan, wide in zip(hosts, widths, strict=True):
            lowest = max(lowest, self._paint_host(plan, x, y + TALL, wide))
            x += wide + EDGE
        width = max(width, x) if hosts else width
        self._paint_bar(y, width)
        for number, way in enumerate(self.ways):
            at = y + TALL + TUNNEL * (number + 0.75)
            self._paint_tunnel(way, at)
            lowest = max(lowest, at + height(DETAIL) / 2)
        return width, lowest + EDGE

    def _paint_bar(self, y: float, width: float) -> None:
        sheet = self.sheet
        sheet.box(Layer.BAR, EDGE, y, width - 2 * EDGE, TALL, "lan", about="lan", network=self.name)
        for found in self.links:
            for piece in found.values():
                x = piece.x + piece.width * CABLE
                points = [(x, piece.y + piece.height), (x, y)]
                sheet.line(Layer.WIRE, points, "cable", about=piece.what.titles[0].about, network=self.name)
        at = _find_gap(sheet.measure(self.text, NET, bold=True) + 12, EDGE, width - EDGE, self.passing)
        sheet.text(at, y + (TALL - height(NET)) / 2, self.text, NET, "lan", bold=True, about="lan", network=self.name)

    def _calc_host_width(self, plan: NodePlan) -> float:
        measure = self.sheet.measure
        chips = sum(calc_chip_width(item, measure) + INSET for item in plan.uplinks)
        notes = max((calc_note_size(note, measure, WIDEST_NOTE)[0] for note in plan.notes), default=0.0)
        return max(min(measure(plan.name, NODE, bold=True), 200), chips, notes, 90 if plan.trouble else 0) + 2 * PAD

    def _paint_host(self, plan: NodePlan, x: float, y: float, width: float) -> float:
        """A host hanging from the LAN; returns its lower border's y."""
        top = y + DROP + CHIP / 2
        at, rest = x + PAD, width - 2 * PAD
        for item in plan.uplinks:
            wide = min(calc_chip_width(item, self.sheet.measure), rest)
            paint_piece(self.sheet, Piece(at, top - CHIP / 2, wide, CHIP, item), plan)
            points = [(at + wide * CABLE, y), (at + wide * CABLE, top - CHIP / 2)]
            self.sheet.line(Layer.WIRE, points, "cable", about=item.titles[0].about, network=self.name)
            at, rest = at + wide + INSET, rest - wide - INSET
        end = top + CHIP / 2 + 4
        self.sheet.text(x + PAD, end, plan.name, NODE, "node", bold=True, room=width - 2 * PAD, about=plan.about)
        end += height(NODE) + 4
        if plan.trouble:
            self.sheet.text(x + PAD, end, plan.trouble, FAR, "caption", room=width - 2 * PAD, tail=False, about=plan.about)
            end += height(FAR) + 4
        for note in plan.notes:
            wide, tall = calc_note_size(note, self.sheet.measure, width - 2 * PAD)
            paint_piece(self.sheet, Piece(x + PAD, end, wide, tall, note), plan)
            end += tall + INSET
        end += 2
        role = "off" if plan.off else "node"
        self.sheet.box(Layer.NODE, x, top, width, end - top, role, about=plan.about, highlight=plan.highlight)
        return end

    def _paint_tunnel(self, way: Way, y: float) -> None:
        sheet = self.sheet
        more = {"about": way.about, "network": way.network, "highlight": way.highlight}
        for x, begin in way.ends:
            sheet.line(Layer.WIRE, [(x, begin), (x, y)], "tunnel", **more)
        first, second, last = way.ends[0][0], way.ends[1][0], way.ends[-1][0]
        sheet.line(Layer.WIRE, [(first, y), (last, y)], "tunnel", **more)
        text = f"VXLAN, VNI {way.vni}, UDP {way.port}"
        width = sheet.measure(text, DETAIL) + 20
        inner = [at for at in self.passing if first < at < second]
        x = _find_gap(width, first, second, inner)
        x = max(x, (x + second - width) / 2)
        sheet.box(Layer.PLUG, x, y - height(DETAIL) / 2 - 1, width, height(DETAIL) + 2, "backing")
        sheet.mark(Layer.TEXT, x + 9, y, 9, "symbol", about=way.about, network=way.network)
        sheet.text(x + 17, y - height(DETAIL) / 2, text, DETAIL, "aside", **more)


def _find_gap(width: float, x0: float, x1: float, passing: Sequence[float]) -> float:
    """Where between lines that pass there is room for a text: the first place, or else the widest."""
    gaps = [(begin + 12, end - begin - 18) for begin, end in pairwise([x0, *passing, x1])]
    return next((begin for begin, room in gaps if room >= width), max(gaps, key=lambda gap: gap[1])[0])


def _find_tunnels(painters: Sequence[NodePainter]) -> list[Way]:
    """The tunnels between at least two nodes, the uppermost band's last, so that they cross little."""
    found: dict[tuple[int, int], list] = {}
    for painter in painters:
        for key, net in painter.plan.nets.items():
            if net.vtep and key in painter.arrangement.tracks:
                found.setdefault((net.vtep.vni, net.vtep.port), []).append((net, painter.calc_tunnel(key)))
    ways = []
    for (vni, port), members in found.items():
        net = members[0][0]
        if len(members) > 1:
            ways.append(Way(vni, port, net.name, net.about, net.highlight, tuple(end for _, end in members)))
    return sorted(ways, key=lambda way: (-way.ends[0][0], way.vni))
