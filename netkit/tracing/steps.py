"""A packet's way as steps on the picture of its topology. Pure.

Where a hop is follows from the names of the picture's shapes: a wire is named after its container's end, its other end
is that one's peer; a bridge, an overlay, a VTEP, a cable are named after themselves. What a host's own network namespace does
happens below the bars of its bridges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from netkit.figure.picture import Box, Line, Picture
from netkit.network.model import Topology
from netkit.tracing.tell import Names, tell_drop, tell_rewrites, tell_way, tell_wrapping
from netkit.tracing.values import Hop, Packet, TraceData, value

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
        for kind, role, number in (("plug", "wire", 0), ("end", "end of a wire", -1)):
            if wire := self.first(role, place):
                return Spot(kind, wire.points[number], wire)
        if cable := self.first("cable", place):
            box = self.first("uplink", place)
            at = min(cable.points, key=lambda point: abs(point[1] - box.y - box.height / 2)) if box else cable.points[0]
            return Spot("cable", at, box)
        if vtep := self.first("vtep", place):
            return Spot("vtep", (vtep.x, vtep.y + vtep.height / 2), vtep)
        interface = self.topology.at(hop.end)
        bars = self._shapes["bar", place] or (self._shapes["band", home] if interface and interface.kind == "bridge" else [])
        if bars:
            bar = min(bars, key=lambda each: _calc_distance(each, near)) if near else bars[0]
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
        elif "cable" in kinds or kinds == ("bar", "bar"):
            y = max((spot.at[1] for spot in (a, b) if spot.kind != "cable"), default=ay) + LANE - BELOW
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


def _calc_distance(box: Box, point: Point) -> float:
    x, y = box.x + box.width / 2, box.y + box.height / 2
    return max(0.0, abs(x - point[0]) - box.width / 2) + abs(y - point[1])


def calc_steps(trace: TraceData, picture: Picture, packets: Iterable[Packet] | None = None) -> tuple[Step, ...]:
    """The hops of these packets (all that are told, unless given) as steps on a picture of the trace's topology, one after the other.

    Hops at what is not on the picture are left out. Raises nothing for a picture that shows none of them.
    """
    places, names = Places(trace.topology, picture), Names(trace)
    steps: list[Step] = []
    for packet in trace.told_packets if packets is None else packets:
        for kind, title, detail, about, way in _follow(packet, places, names):
            points = tuple((round(x, 2), round(y, 2)) for x, y in way)
            place = {"x": points[-1][0], "y": points[-1][1], "points": points[1:] and points}
            told = {"title": f"{packet.what}: {title}", "detail": detail, "kind": kind, "about": about, "reply": packet.reply}
            steps.append(Step(number=len(steps) + 1, **place, **told))
    return tuple(steps)


def _follow(packet: Packet, places: Places, names: Names) -> Iterator[tuple[str, str, str, str, tuple[Point, ...]]]:
    """Kind, title, detail, place and way of each step; the way of one that begins there is that place alone."""
    spots = places.find_spots(packet)
    for before, (hop, spot) in zip([None, *spots], spots, strict=False):
        where, interface, direction = names.hop(hop)
        rewrites = tell_rewrites(hop, packet.reply)
        is_end = hop is spots[-1][0] and not packet.dropped and names.is_goal(hop)
        kind = "change" if rewrites else "start" if before is None else "tunnel" if hop.tunnel else "end" if is_end else "move"
        detail = "; ".join([*rewrites, f"{tell_way(hop.addresses)}, {tell_wrapping(hop)}"])
        way = places.connect(*before, hop, spot) if before else (spot.at,)
        yield kind, f"{direction} at {interface} of {where}", detail, hop.place, way
    if packet.dropped and (way := _find_drop(packet, spots, places)):
        yield "dropped", "dropped", tell_drop(packet, names), f"{packet.dropped.node}/{packet.dropped.namespace}", way


def _find_drop(packet: Packet, spots: list[tuple[Hop, Spot]], places: Places) -> tuple[Point, ...]:
    """A place of its own beside the last hop, in the network namespace whose filter dropped it: the way there, or just the place."""
    if spots and spots[-1][0].node == packet.dropped.node:
        kind, (x, y), _ = spots[-1][1]
        return ((x, y), (x, y + 20) if kind == "bar" else (x + 20, y))
    box = places.find_inside(f"{packet.dropped.node}/{packet.dropped.namespace}")
    if box is None:
        return ()
    return ((box.x + box.width - 30, box.y + 20) if box.role == "region" else (box.x + box.width / 2, box.y + box.height / 2),)
