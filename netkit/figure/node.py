"""One node of a figure: where its boxes, bars and labels stand, and how they are put down.

Boxes stand in a row. Below them lies the node's own network namespace with its bars; at the lower border are
its cables, NAT and published ports. Places are counted from the node's upper left corner until it is painted.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from netkit.figure.arrange import CLEAR, Arm, Need, calc_lanes, calc_order, find_gap
from netkit.figure.picture import ADDRESS, CAPTION, FAR, NAME, NODE, PORT, Layer, Sheet, Words
from netkit.figure.plan import BETWEEN, Item, NodePlan, Piece, Port, calc_sink, calc_size, flow, paint_piece, write
from netkit.network.model import HOST

PAD = 12.0  # between a node's border and what is in it
GAP = 12.0  # between two boxes
INSET = 6.0  # between a box's border and its text
WIRE = 25.0  # from a box to the first bar
LANE = 15.0  # from a bar to the next
TRACK = 9.0  # from one vertical line beside the bars to the next
HOP = 4.0  # half the gap in a bar where a wire passes
PLUG = 7.0
HEAD = 29.0  # a node's title
FOOT = 12.0  # between the last bars and what is below them
CHIP = 19.0  # the height of a label on the border, about
LETTER = 4.6  # a letter of a sentence, about
SLIMMEST, LONGEST_FACT, WIDEST_NOTE, WIDEST_TAG, TROUBLE = 62.0, 200.0, 330.0, 220.0, 190.0


@dataclass(frozen=True, slots=True)
class Spot:
    """A box with its place, and its ports with the x of their wires."""

    item: Item
    x: float
    width: float
    ports: tuple[tuple[Port, float], ...]


class NodeFigure:
    """One node; ``bands`` are the heights of the overlays above it. Has its ``width``, and that of ``head`` and ``body`` to paint it in."""

    def __init__(self, sheet: Sheet, plan: NodePlan, bands: dict[str, float]) -> None:
        self.sheet, self.plan, self.bands = sheet, plan, bands
        self.sizes = {key: calc_size(sheet, net.bar) for key, net in plan.nets.items()}
        self.tracks = self._calc_tracks()
        left = PAD + TRACK * len(self.tracks) + (4 if self.tracks else 0)
        self.spots = self._calc_spots(left)
        right = max(self._calc_end(left), PAD + self._calc_least(), *self._calc_band_ends())
        self.arms = self._calc_arms(left, right)
        self.right = max([right, *(arm.x1 for arm in self.arms)])
        self.width = self.right + PAD
        self.trouble = textwrap.wrap(plan.trouble, int((self.width - 2 * PAD) / LETTER), max_lines=5, placeholder=" …")
        self.head = HEAD + (CAPTION.height * len(self.trouble) + 4 if self.trouble else 0)
        self.tall = max((_calc_height(spot.item) for spot in self.spots), default=0.0)
        self.lanes: dict[int, float] = {}
        for arm in self.arms:
            self.lanes[arm.lane] = max(self.lanes.get(arm.lane, 0.0), arm.need.height)
        zone = (WIRE if self.spots else 10) + sum(self.lanes.values()) + LANE * (len(self.lanes) - 1) if self.lanes else 0.0
        self.pieces, self.foot = self._calc_foot(self.width - 2 * PAD, left - PAD)
        self.body = self.tall + zone + FOOT + self.foot
        self.is_in_line = bool(plan.overlays or (bands and not plan.plain and not plan.off))  # with the nodes that bands cross
        self.x = 0.0
        self.bars: dict[str, tuple[float, float]] = {}  # the y and height of each net's bar

    def _calc_tracks(self) -> dict[str, float]:
        """The x of nets with a line beside the bars: tunnels first, then those that lead to a parent."""
        nets = self.plan.nets
        tunnels = sorted((key for key in nets if nets[key].tunnel), key=lambda key: (key not in self.bands, self.bands.get(key, 0.0), key))
        others = [key for key, net in nets.items() if net.kind != "overlay" and not net.tunnel and net.parent]
        return {key: PAD + TRACK * (number + 0.5) - 2 for number, key in enumerate([*tunnels, *others])}

    def _calc_spots(self, x: float) -> list[Spot]:
        items = calc_order(self.plan, self.bands)
        users = Counter(net for item in items for net in set(item.nets))
        spots = []
        for item in items:
            width = self._calc_width(item, users)
            places = ((port, x + width / len(side) * (number + 0.5)) for side in item.sides for number, port in enumerate(side))
            spots.append(Spot(item, x, width, tuple(places)))
            x += width + GAP
        return spots

    def _calc_width(self, item: Item, users: Counter) -> float:
        calc = self.sheet.calc_width
        texts = [calc(title.text, NAME) + (8 if len(item.titles) > 1 else 0) for title in item.titles]
        texts += [min(calc(words.text, manner), LONGEST_FACT) for words, manner in item.lines]
        edges = []
        for ports in item.sides:
            widths = [calc(port.name.text, PORT) for port in ports] + [calc(line, ADDRESS) for port in ports for line in port.lines]
            # a far end's name begins at its wire, and has to end before the next box's wire
            widths += [max(far, 2 * far - SLIMMEST - GAP) for far in (calc(port.far.text, FAR) for port in ports)]
            edges.append((max(28.0, *widths) + 2 * INSET) * len(ports) if ports else 0.0)
        alone = [net for net in item.nets if users[net] == 1 and self.plan.nets[net].kind != "overlay"]
        # a bar of its own for one box: wide enough for its label, so that it needs no lane of its own
        label = self.sizes[alone[0]][0] if len(alone) == 1 and len(item.nets) == 1 else 0.0
        return max(SLIMMEST, max(texts) + 2 * INSET + 2, *edges, label)

    def _calc_least(self) -> float:
        """The least width of a node: that of its title, its cables' labels, a short sentence."""
        plan, sheet = self.plan, self.sheet
        title = sheet.calc_width(plan.name, NODE) + (sheet.calc_width(plan.caption, CAPTION) + 10 if plan.caption else 0)
        links = sum(calc_size(sheet, label)[0] + GAP for label in plan.uplinks)
        bands = [self.sizes[net.key][0] for net in plan.overlays]
        notes = [min(calc_size(sheet, label)[0], WIDEST_NOTE) for label in plan.notes]
        tags = [min(calc_size(sheet, label)[0], WIDEST_TAG) for label in plan.tags]
        return max(title, links, *bands, *notes, *tags, TROUBLE if plan.trouble else 0.0)

    def _calc_end(self, left: float) -> float:
        """How far the boxes reach, the names of their wires' far ends included."""
        wires = ((port.far.text, x) for spot in self.spots for port, x in spot.ports if port.far.text)
        ends = (x + 4 + self.sheet.calc_width(text, FAR) - PAD / 2 for text, x in wires)
        return max([left, *(spot.x + spot.width for spot in self.spots), *ends])

    def _calc_band_ends(self) -> list[float]:
        """How far each band has to reach so that its label has room beside the wires to higher bands."""
        ends = []
        for net in self.plan.overlays:
            edges = [self.tracks.get(net.key, PAD) - 5 - HOP, *self._calc_passing(net.key), float("inf")]
            width = self.sizes[net.key][0]
            ends.append(find_gap(edges, width, HOP, HOP)[0] + width)
        return ends

    def _calc_passing(self, key: str) -> list[float]:
        """The x of wires to bands above this one."""
        return sorted(x for spot in self.spots for port, x in spot.ports if port.up and self.bands[port.net] < self.bands[key])

    def _calc_arms(self, left: float, right: float) -> tuple[Arm, ...]:
        below: dict[str, list[float]] = {net.key: [] for net in self.plan.nets.values() if net.kind != "overlay"}
        for port, x in ((port, x) for spot in self.spots for port, x in spot.ports if port.net and not port.up):
            below[port.net].append(x)
        needs = []
        for key, xs in below.items():
            reach = self.tracks.get(key)
            # the lines of other nets between this one's own and the boxes
            passing = [x + CLEAR for x in self.tracks.values() if reach is not None and x > reach]
            needs.append(Need(key, tuple(sorted(xs)), *self.sizes[key], reach, max(passing, default=float("-inf"))))
        return calc_lanes(needs, left, right)

    def _calc_foot(self, width: float, left: float) -> tuple[list[Piece], float]:
        """The labels below the bars, and the height of all but that half of the last line which lies outside of the border."""
        plan = self.plan
        pieces, y = flow(self.sheet, plan.inside, width, 0.0, left)
        notes, y = flow(self.sheet, plan.notes, width, y, left)
        taken = sum(min(calc_size(self.sheet, label)[0], width) + BETWEEN for label in plan.uplinks)
        widths = accumulate(min(calc_size(self.sheet, label)[0], width - left) + BETWEEN for label in plan.tags)
        beside = sum(taken + used - BETWEEN <= width for used in widths)
        above, y = flow(self.sheet, plan.tags[beside:], width, y, left)
        border, _ = flow(self.sheet, [*plan.uplinks, *plan.tags[:beside]], max(width, taken), y, 0.0)
        return [*pieces, *notes, *above, *border], y + (CHIP / 2 if border else 2.0)

    def paint(self, x: float, top: float, bottom: float, inside: float, bands: dict[str, tuple[float, float]]) -> list[Piece]:
        """Put everything down: ``inside`` is where the boxes begin, ``bands`` the y and height of each overlay; returns its cables' labels."""
        self.x = x
        self.bars |= {net.key: bands[net.key] for net in self.plan.overlays}
        plan, sheet = self.plan, self.sheet
        role = "off" if plan.off else "node"
        sheet.box(Layer.NODE, x, top, self.width, bottom - top, role, about=plan.about, highlight=plan.highlight)
        self._paint_head(top)
        self._paint_bands()
        end = inside + self.tall
        if plan.inside or plan.notes:
            sheet.box(Layer.REGION, x + 1, end + 6, self.width - 2, bottom - end - 7, "region", about=f"{plan.about}/{HOST}")
        self._paint_arms(end + (WIRE if self.spots else 10))
        for spot in self.spots:
            self._paint_spot(spot, inside)
        pieces = [replace(piece, x=x + PAD + piece.x, y=bottom - self.foot + piece.y) for piece in self.pieces]
        for piece in pieces:
            paint_piece(sheet, piece)
        links = [piece for piece in pieces if piece.label.role == "uplink"]
        self._paint_tracks({piece.label.about: piece for piece in links})
        return links

    def _paint_head(self, top: float) -> None:
        plan, sheet = self.plan, self.sheet
        x, room = self.x + PAD, self.width - 2 * PAD
        name = min(room, sheet.text(x, top + 6, Words(plan.name, plan.about), NODE, room=room)) + 9
        if plan.caption:
            sheet.text(x + name, top + 6 + calc_sink(NODE, CAPTION), Words(plan.caption, plan.about), CAPTION, room=room - name)
        for number, line in enumerate(self.trouble):
            role = "caption" if plan.off else "trouble"
            sheet.text(x, top + HEAD + CAPTION.height * number, Words(line, plan.about), CAPTION, role=role, room=room)

    def _paint_bands(self) -> None:
        """The overlays' bands, from the node's left to its right; the wires to upper ones pass the lower ones."""
        for net in self.plan.overlays:
            y, tall = self.bars[net.key]
            x0, x1 = self.x + self.tracks.get(net.key, PAD) - 5, self.x + self.right
            self.sheet.box(Layer.BAR, x0, y, x1 - x0, tall, net.bar.role, **net.bar.look)
            passing = [self.x + x for x in self._calc_passing(net.key)]
            at, room = find_gap([x0 - HOP, *passing, x1 + HOP], self.sizes[net.key][0], HOP, HOP)
            write(self.sheet, net.bar, at, y, tall, room)
            self._paint_hops(passing, y, tall, "gap-node")

    def _paint_hops(self, xs: Sequence[float], y: float, tall: float, role: str = "gap-host") -> None:
        for x in xs:
            self.sheet.box(Layer.GAP, x - HOP, y - 1.5, 2 * HOP, tall + 3, role)

    def _paint_arms(self, y: float) -> None:
        tops = {}
        for lane in sorted(self.lanes, reverse=True):
            tops[lane] = y
            y += self.lanes[lane] + LANE
        for arm in self.arms:
            net, top, tall = self.plan.nets[arm.need.key], tops[arm.lane], arm.need.height
            self.bars[net.key] = (top, tall)
            x0, x1 = self.x + arm.x0, self.x + arm.x1
            if net.kind == "pair":
                self.sheet.line(Layer.WIRE, [(x0, top), (x1, top)], "wire", about=net.bar.about)
            else:
                self.sheet.box(Layer.BAR, x0, top, x1 - x0, tall, net.bar.role, **net.bar.look)
                write(self.sheet, net.bar, self.x + arm.label_x, top, tall, arm.room)
            self._paint_hops([self.x + x for x in arm.crossings], top, tall)

    def _paint_spot(self, spot: Spot, y: float) -> None:
        """A box with its texts and wires; it is as tall as its row."""
        item, sheet, x = spot.item, self.sheet, self.x + spot.x
        for shift in (6, 3) if item.kind == "more" else ():
            sheet.box(Layer.WIRE, x + shift, y - shift, spot.width - shift, self.tall, "more", about=item.about)
        sheet.box(Layer.BOX, x, y, spot.width, self.tall, item.kind, about=item.about, highlight=item.highlight)
        top = self._paint_ports(spot, y)
        x, room, several = x + spot.width / 2, spot.width - 2 * INSET, 8 if len(item.titles) > 1 else 0
        for title in item.titles:
            if several:
                width = min(sheet.calc_width(title.text, NAME), room - 8) + 10
                sheet.box(Layer.BOX, x - width / 2, top, width, NAME.height + 3, "tenant", about=title.about)
            sheet.text(x, top + (1.5 if several else 0), title, NAME, anchor="middle", room=room - several)
            top += NAME.height + (7 if several else 0)
        for words, manner in item.lines:
            sheet.text(x, top, words, manner, anchor="middle", room=min(room, LONGEST_FACT), highlight="")
            top += manner.height
        for port, at in spot.ports:
            if port.net:
                start, (bar, tall) = y + (0 if port.up else self.tall), self.bars[port.net]
                self._paint_wire(port, self.x + at, start, bar + tall if port.up else bar)

    def _paint_ports(self, spot: Spot, y: float) -> float:
        """The names and addresses at a box's edges; returns where the rest of the box begins."""
        lowest = y + INSET
        for port, x in ((port, self.x + x) for port, x in spot.ports if port.name.text):
            tall = PORT.height * (1 + len(port.lines))
            top = y + (INSET if port.up else self.tall - INSET - tall)
            self.sheet.text(x, top, port.name, PORT, anchor="middle")
            for number, line in enumerate(port.lines, 1):
                self.sheet.text(x, top + PORT.height * number, replace(port.name, text=line), ADDRESS, anchor="middle")
            lowest = max(lowest, top + tall + 3) if port.up else lowest
        return lowest

    def _paint_wire(self, port: Port, x: float, y: float, end: float) -> None:
        """A wire from a box's edge, with the far end's name beside it."""
        highlight = port.name.highlight or port.far.highlight
        more = {"about": port.name.about, "network": self.plan.nets[port.net].bar.network, "highlight": highlight}
        self.sheet.line(Layer.WIRE, [(x, y), (x, end)], "wire", **more)
        self.sheet.mark(Layer.PLUG, x, y, PLUG, "plug", **more)
        self.sheet.text(x + 4, end + 2 if port.up else end - FAR.height - 1, port.far, FAR)

    def _paint_tracks(self, links: dict[str, Piece]) -> None:
        """The lines beside the bars that lead to parents; tunnels are the LAN's matter. Bars that they pass have gaps."""
        for key, x in self.tracks.items():
            net, at = self.plan.nets[key], self.x + x
            link = links.get(f"{self.plan.about}/{HOST}/{net.parent}")
            if link and key in self.bars:
                begin = sum(self.bars[key])
                for arm in self.arms:
                    y, tall = self.bars[arm.need.key]
                    if arm.need.reach is not None and arm.need.reach + 1 < x and begin < y:
                        self._paint_hops([at], y, tall)
                points = [(at, begin), (at, link.y)]
                if not link.x < at < link.x + link.width:
                    points[1:] = [(at, link.y - 4), (link.x + 10, link.y - 4), (link.x + 10, link.y)]
                self.sheet.line(Layer.WIRE, points, "wire", **net.bar.look)

    def calc_tunnel(self, key: str) -> tuple[float, float]:
        """Where a net's tunnel leaves: the x of its track, and the y it begins at."""
        return self.x + self.tracks[key], sum(self.bars[key])


def _calc_height(item: Item) -> float:
    """The height of a box."""
    edges = (max((PORT.height * (1 + len(port.lines)) + 3 for port in side if port.name.text), default=0.0) for side in item.sides)
    titles = sum(NAME.height + (7 if len(item.titles) > 1 else 0) for _ in item.titles)
    return 2 * INSET + sum(edges) + titles + sum(manner.height for _, manner in item.lines)
