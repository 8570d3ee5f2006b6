"""A packet's way as steps on the picture of its topology. Pure.

Where a hop is follows from the names of the picture's shapes: a wire is named after its container's end, its other end
is that one's peer; a bridge, an overlay, a VTEP, a cable are named after themselves. What a host's own network namespace does
happens below the bars of its bridges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from netkit.figure.picture import Box, Line, Picture
from netkit.network.model import Topology
from netkit.tracing.values import Hop, Packet, TraceData, value
from netkit.tracing.verdict import is_there, tell_drop
from netkit.tracing.words import Names, calc_main_flows, calc_rewrites, calc_told, calc_told_packets, tell_way, tell_wrapping

BELOW = 9.0  # below a bar: what is handed to the host's own network namespace
LANE = 17.0  # below a bar: where the way from one bar to another, or to a cable, runs
INSIDE = {"container": 11, "namespace": 11, "region": 14}  # how far from its upper right corner what happens inside is
Point = tuple[float, float]


@value
class Step:
    """A hop on a figure: ``points`` lead from the step before to (``x``, ``y``), in the picture's coordinates.

    ``kind`` is start, move, change (addresses were rewritten on the way here), tunnel, dropped, or end. ``about`` is the place
    ("node1/container web/eth0"), as the picture's shapes have it.
    """

    number: int
    title: str
    detail: str
    x: float
    y: float
    points: tuple[Point, ...] = ()
    kind: str = "move"
    about: str = ""
    reply: bool = False


class Spot(NamedTuple):
    """Where a hop is. ``kind`` is plug, end (of a wire), bar, vtep, cable or inside; ``shape`` is what it belongs to, if anything."""

    kind: str
    at: Point
    shape: Box | Line | None


class Places:
    """What there is on a picture."""

    def __init__(self, topology: Topology, picture: Picture) -> None:
        self.topology, self.picture = topology, picture
        self._shapes: dict[tuple[str, str], list] = defaultdict(list)
        peers = {str(end): str(interface.peer) for end, interface in topology.ends() if interface.peer}
        for shape in (*picture.lines, *picture.boxes):
            self._shapes[shape.role, shape.about].append(shape)
            if shape.role == "wire" and shape.about in peers:
                self._shapes["end of a wire", peers[shape.about]].append(shape)

    def first(self, role: str, about: str) -> Box | Line | None:
        """The first shape of a role that is about something, or None."""
        return next(iter(self._shapes[role, about]), None)

    def find(self, hop: Hop, near: Point | None) -> Spot | None:
        """Where on the picture a hop is, or None if that is not drawn; on the bar that is nearest where there are several."""
        place, home = hop.place, f"{hop.node}/{hop.namespace}"
        if wire := self.first("wire", place):
            return Spot("plug", wire.points[0], wire)
        if wire := self.first("end of a wire", place):
            return Spot("end", wire.points[-1], wire)
        if cable := self.first("cable", place):
            box = self.first("uplink", place)
            at = min(cable.points, key=lambda point: abs(point[1] - box.y - box.height / 2)) if box else cable.points[0]
            return Spot("cable", at, box)
        if vtep := self.first("vtep", place):
            return Spot("vtep", (vtep.x, vtep.y + vtep.height / 2), vtep)
        interface = self.topology.at(hop.end)
        bars = self._shapes["bar", place] or (self._shapes["band", home] if interface and interface.kind == "bridge" else [])
        if bars:
            bar = min(bars, key=lambda each: _calc_distance(each, near))
            x = min(max(near[0] if near else bar.x + bar.width / 2, bar.x + 8), bar.x + bar.width - 8)
            return Spot("bar", (x, bar.y + bar.height + BELOW), bar)
        inside = self.find_inside(home)
        return inside and Spot("inside", (inside.x + inside.width - INSIDE[inside.role], inside.y + INSIDE[inside.role]), inside)

    def find_inside(self, home: str) -> Box | None:
        """What is drawn of a network namespace."""
        return next((box for role in INSIDE if (box := self.first(role, home))), None)

    def find_spots(self, packet: Packet) -> list[tuple[Hop, Spot]]:
        """Where its hops are; bars are met where the wire before (or, on the way out, after) ends at them."""
        found: list[tuple[Hop, Spot]] = []
        for hop, after in zip(packet.hops, [*packet.hops[1:], None], strict=False):
            following = self.find(after, None) if after and hop.direction == "out" else None
            before = found[-1][1].at if found else None
            if spot := self.find(hop, following.at if following and following.kind == "end" else before):
                found.append((hop, spot))
        return found

    def connect(self, hop: Hop, a: Spot, other: Hop, b: Spot) -> tuple[Point, ...]:
        """The way from one spot to the next: along wires, through bars, below bars within a host, and over the LAN between hosts."""
        (ax, ay), (bx, by) = a.at, b.at
        y, kinds = None, (a.kind, b.kind)
        if hop.node != other.node:
            lan = self.first("lan", "lan")  # near its lower edge: its label stands above
            y = lan.y + lan.height - 4 if lan else self.picture.height
        elif kinds == ("end", "end"):  # within one bar
            y = ay + (14 if ay >= a.shape.points[0][1] else -14)
        elif "vtep" in kinds:
            return self._leave_tunnel(hop, a, b) if a.kind == "vtep" else self._leave_tunnel(hop, b, a)[::-1]
        elif kinds == ("bar", "bar"):
            y = max(ay, by) + LANE - BELOW
        elif "cable" in kinds:
            y = (ay if b.kind == "cable" else by) + LANE - BELOW
        if y is not None:
            return ((ax, ay), (ax, y), (bx, y), (bx, by))
        return ((ax, ay), (bx, by)) if ax == bx or ay == by else ((ax, ay), (ax, by), (bx, by))

    def _leave_tunnel(self, hop: Hop, vtep: Spot, rest: Spot) -> tuple[Point, ...]:
        """From a VTEP: to a cable, it is down where the node's tunnel is drawn."""
        (vx, vy), (x, y) = vtep.at, rest.at
        if rest.kind != "cable":
            return ((vx, vy), (x, vy), (x, y))
        node = self.first("node", hop.node)
        downwards = (line.points[0][0] for line in self.picture.lines if line.role == "tunnel" and line.points[0][0] == line.points[-1][0])
        down = min((each for each in downwards if node and node.x <= each <= node.x + node.width), default=None) or min(vx, x)
        above = rest.shape.y - 6 if rest.shape else y - 20
        return ((vx, vy), (down, vy), (down, above), (x, above), (x, y))


def _calc_distance(box: Box, near: Point | None) -> float:
    if near is None:
        return 0
    x, y = box.x + box.width / 2, box.y + box.height / 2
    return max(0.0, abs(x - near[0]) - box.width / 2) + abs(y - near[1])


def calc_steps(trace: TraceData, picture: Picture, packets: Iterable[Packet] | None = None) -> tuple[Step, ...]:
    """The hops of these packets (all that are told, unless given) as steps on a picture of the trace's topology, one after the other.

    Hops at what is not on the picture are left out. Raises nothing for a picture that shows none of them.
    """
    places, names = Places(trace.topology, picture), Names(trace)
    steps: list[Step] = []
    for packet in calc_told(trace) if packets is None else packets:
        steps += _calc_packet_steps(packet, places, names, len(steps) + 1)
    return tuple(steps)


def calc_drawn(trace: TraceData) -> tuple[Packet, ...]:
    """What a figure shows: the first packet of each flow but look-ups, and an answer only if it was dropped."""
    told = ((flow, packet) for flow in calc_main_flows(trace) for packet in calc_told_packets(flow))
    return tuple(packet for flow, packet in told if packet is flow.first or (packet.reply and packet.dropped))


def _calc_packet_steps(packet: Packet, places: Places, names: Names, number: int) -> list[Step]:
    steps: list[Step] = []
    spots = places.find_spots(packet)
    for before, (hop, spot) in zip([None, *spots], spots, strict=False):
        where, interface, direction = names.hop(hop)
        rewrites = calc_rewrites(hop, packet.reply)
        kind = "change" if rewrites else "start" if before is None else "tunnel" if hop.tunnel else "move"
        if kind == "move" and hop is spots[-1][0] and not packet.dropped and is_there(hop, places.topology):
            kind = "end"
        title = f"{packet.what}: {direction} at {interface} of {where}"
        detail = "; ".join([*map(str, rewrites), f"{tell_way(hop.addresses)}, {tell_wrapping(hop)}"])
        points = places.connect(*before, hop, spot) if before else ()
        steps.append(_step(number + len(steps), title, detail, spot.at, points, kind, hop.place, packet.reply))
    if packet.dropped and (spot := _find_drop(packet, spots, places)):
        about = f"{packet.dropped.node}/{packet.dropped.namespace}"
        title, detail = f"{packet.what}: dropped", tell_drop(packet, names)
        steps.append(_step(number + len(steps), title, detail, spot[-1], spot[:-1] and spot, "dropped", about, packet.reply))
    return steps


def _find_drop(packet: Packet, spots: list[tuple[Hop, Spot]], places: Places) -> tuple[Point, ...]:
    """A place of its own beside the last hop, in the network namespace whose filter dropped it: the way there, or just the place."""
    if spots and spots[-1][0].node == packet.dropped.node:
        _, last = spots[-1]
        (x, y) = last.at
        return (last.at, (x, y + 20) if last.kind == "bar" else (x + 20, y))
    box = places.find_inside(f"{packet.dropped.node}/{packet.dropped.namespace}")
    if box is None:
        return ()
    return ((box.x + box.width - 30, box.y + 20) if box.role == "region" else (box.x + box.width / 2, box.y + box.height / 2),)


def _step(number: int, title: str, detail: str, at: Point, points: tuple, kind: str, about: str, reply: bool) -> Step:
    (x, y), *points = ((round(x, 2), round(y, 2)) for x, y in (at, *points))
    return Step(number=number, title=title, detail=detail, x=x, y=y, points=tuple(points), kind=kind, about=about, reply=reply)
