"""A packet's way as steps on the picture of its topology. Pure.

Where a hop is follows from the names of the picture's shapes: a wire is named after its container's end, its other end
is that one's peer; a bridge, an overlay, a VTEP, a cable are named after themselves. What a host's own stack does
happens below the bars of its bridges.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from netkit.figure.picture import Box, Line, Picture
from netkit.network.model import End, Topology
from netkit.tracing.changes import calc_rewrites
from netkit.tracing.model import Hop, Packet, Step, Trace
from netkit.tracing.names import Names, tell_way
from netkit.tracing.path import calc_told, calc_told_flows, calc_told_packets
from netkit.tracing.verdict import is_there, tell_drop

BELOW = 9.0  # below a bar: what is handed to the host's own stack
LANE = 17.0  # below a bar: where the way from one bar to another, or to a cable, runs
DNS = 53
Point = tuple[float, float]


@dataclass(frozen=True)
class Spot:
    """Where a hop is. ``kind`` is plug, end (of a wire), bar, vtep, cable or inside; ``box`` is the shape it belongs to, if any."""

    kind: str
    at: Point
    box: Box | None = None
    line: Line | None = None


@dataclass
class Places:
    """What there is on a picture."""

    topology: Topology
    picture: Picture
    wires: dict[str, list[Line]] = field(default_factory=dict)
    ends: dict[str, list[Line]] = field(default_factory=dict)
    cables: dict[str, Line] = field(default_factory=dict)
    tunnels: dict[str, list[Line]] = field(default_factory=dict)
    boxes: dict[tuple[str, str], list[Box]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        peers = {str(end): str(interface.peer) for end, interface in self.topology.ends() if interface.peer}
        for line in self.picture.lines:
            if line.role == "wire":
                self.wires.setdefault(line.about, []).append(line)
                if line.about in peers:
                    self.ends.setdefault(peers[line.about], []).append(line)
            elif line.role == "cable":
                self.cables[line.about] = line
            elif line.role == "tunnel":
                self.tunnels.setdefault(line.about, []).append(line)
        for box in self.picture.boxes:
            self.boxes.setdefault((box.role, box.about), []).append(box)

    def find(self, hop: Hop, near: Point | None) -> Spot | None:
        """Where on the picture a hop is, or None if that is not drawn."""
        place = hop.place
        if place in self.wires:
            line = self.wires[place][0]
            return Spot("plug", line.points[0], line=line)
        if place in self.ends:
            line = self.ends[place][0]
            return Spot("end", line.points[-1], line=line)
        if place in self.cables:
            line = self.cables[place]
            box = self._box(("uplink",), place)
            at = min(line.points, key=lambda point: abs(point[1] - _center(box)[1])) if box else line.points[0]
            return Spot("cable", at, box, line)
        vtep = self._box(("vtep",), place)
        if vtep:
            return Spot("vtep", (vtep.x, vtep.y + vtep.height / 2), vtep)
        interface = self.topology.at(End(node=hop.node, namespace=hop.namespace, interface=hop.interface))
        bars = self.boxes.get(("bar", place), []) or (
            self.boxes.get(("band", f"{hop.node}/{hop.namespace}"), []) if interface and interface.kind == "bridge" else []
        )
        if bars:
            bar = min(bars, key=lambda each: _distance(each, near))
            x = min(max(near[0] if near else bar.x + bar.width / 2, bar.x + 8), bar.x + bar.width - 8)
            return Spot("bar", (x, bar.y + bar.height + BELOW), bar)
        inside = self._box(("container", "namespace"), f"{hop.node}/{hop.namespace}")
        if inside:
            return Spot("inside", (inside.x + inside.width - 11, inside.y + 11), inside)
        region = self._box(("region",), f"{hop.node}/{hop.namespace}")
        return Spot("inside", (region.x + region.width - 14, region.y + 14), region) if region else None

    def _box(self, roles: tuple[str, ...], about: str) -> Box | None:
        return next((found[0] for role in roles if (found := self.boxes.get((role, about)))), None)

    def tunnel_x(self, hop: Hop) -> float | None:
        """The x at which a node's tunnel leaves it downwards."""
        node = self._box(("node",), hop.node)
        xs = [line.points[0][0] for lines in self.tunnels.values() for line in lines if line.points[0][0] == line.points[-1][0]]
        return min((x for x in xs if node and node.x <= x <= node.x + node.width), default=None)

    def lan_y(self) -> float:
        """Near the lower edge of the LAN, whose label stands above."""
        lan = self._box(("lan",), "lan")
        return lan.y + lan.height - 4 if lan else self.picture.height


def _center(box: Box) -> Point:
    return (box.x + box.width / 2, box.y + box.height / 2)


def _distance(box: Box, near: Point | None) -> float:
    if near is None:
        return 0
    x, y = _center(box)
    return max(0.0, abs(x - near[0]) - box.width / 2) + abs(y - near[1])


def calc_steps(topology: Topology, trace: Trace, picture: Picture, packets: Iterable[Packet] | None = None) -> tuple[Step, ...]:
    """The hops of these packets (all that are told, unless given) as steps on a picture of this topology, one after the other.

    Hops at what is not on the picture are left out. Raises nothing for a picture that shows none of them.
    """
    places, names = Places(topology, picture), Names(trace)
    steps: list[Step] = []
    for packet in calc_told(trace) if packets is None else packets:
        steps += _calc_packet_steps(packet, places, names, len(steps))
    return tuple(steps)


def calc_drawn(trace: Trace) -> tuple[Packet, ...]:
    """What a figure shows: the first packet of each flow but look-ups, and an answer only if it was dropped."""
    flows = calc_told_flows(trace)
    flows = [flow for flow in flows if DNS not in (flow.addresses.destination_port, flow.addresses.source_port)] or list(flows)
    return tuple(
        packet for flow in flows for packet in calc_told_packets(flow) if packet is flow.first or (packet.reply and packet.dropped)
    )


def _calc_packet_steps(packet: Packet, places: Places, names: Names, number: int) -> list[Step]:
    steps: list[Step] = []
    spots = _find_spots(packet, places)
    previous: tuple[Hop, Spot] | None = None
    for at, (hop, spot) in enumerate(spots):
        points = _connect(previous, (hop, spot), places) if previous else ()
        where, interface, direction = names.hop(hop)
        rewrites = calc_rewrites(hop, packet.reply)
        detail = "; ".join([*(str(each) for each in rewrites), *_tell_hop(hop)])
        last = at == len(spots) - 1
        kind = "start" if previous is None and not rewrites else "change" if rewrites else "tunnel" if hop.tunnel else "move"
        if last and kind == "move" and not packet.dropped and is_there(hop, places.topology):
            kind = "end"
        title = f"{packet.what}: {direction} at {interface} of {where}"
        steps.append(_step(number + len(steps) + 1, title, detail, spot.at, points, kind, hop.place, packet.reply))
        previous = (hop, spot)
    if packet.dropped:
        steps.append(_calc_drop(packet, previous, places, names, number + len(steps) + 1))
    return [step for step in steps if step]


def _tell_hop(hop: Hop) -> list[str]:
    tail = f"in VXLAN {hop.tunnel.vni}, {hop.tunnel.source} → {hop.tunnel.destination}" if hop.tunnel else f"TTL {hop.ttl}"
    return [f"{tell_way(hop.addresses)}, {tail}"]


def _find_spots(packet: Packet, places: Places) -> list[tuple[Hop, Spot]]:
    """Bars are met where the wire before (or, on the way out, after) ends at them."""
    found: list[tuple[Hop, Spot]] = []
    for number, hop in enumerate(packet.hops):
        near = found[-1][1].at if found else None
        if hop.direction == "out" and number + 1 < len(packet.hops):
            following = places.find(packet.hops[number + 1], None)
            near = following.at if following and following.kind == "end" else near
        spot = places.find(hop, near)
        if spot:
            found.append((hop, spot))
    return found


def _step(number: int, title: str, detail: str, at: Point, points: tuple, kind: str, about: str, reply: bool) -> Step:
    x, y = (round(value, 2) for value in at)
    points = tuple((round(px, 2), round(py, 2)) for px, py in points)
    return Step(number=number, title=title, detail=detail, x=x, y=y, points=points, kind=kind, about=about, reply=reply)


def _calc_drop(packet: Packet, previous: tuple[Hop, Spot] | None, places: Places, names: Names, number: int) -> Step | None:
    """A mark of its own beside the last hop, in the stack whose filter dropped it."""
    rule = packet.dropped
    about = f"{rule.node}/{rule.namespace}"
    points: tuple = ()
    if previous and previous[0].node == rule.node:
        x, y = previous[1].at
        at = (x, y + 20) if previous[1].kind == "bar" else (x + 20, y)
        points = (previous[1].at, at)
    else:
        box = places._box(("container", "namespace", "region"), about)
        if box is None:
            return None
        at = (box.x + box.width / 2, box.y + box.height / 2) if box.role != "region" else (box.x + box.width - 30, box.y + 20)
    return _step(number, f"{packet.what}: dropped", f"{tell_drop(packet, names)}", at, points, "dropped", about, packet.reply)


def _connect(one: tuple[Hop, Spot], two: tuple[Hop, Spot], places: Places) -> tuple[Point, ...]:
    """The way from one spot to the next: along wires, through bars, below bars within a host, and over the LAN between hosts."""
    (hop, a), (other, b) = one, two
    (ax, ay), (bx, by) = a.at, b.at
    if hop.node != other.node:
        y = places.lan_y()
        return ((ax, ay), (ax, y), (bx, y), (bx, by))
    kinds = (a.kind, b.kind)
    if kinds == ("end", "end"):  # within one bar
        y = ay + (14 if ay >= a.line.points[0][1] else -14)
        return ((ax, ay), (ax, y), (bx, y), (bx, by))
    if "vtep" in kinds and "cable" in kinds:
        x = places.tunnel_x(hop) or min(ax, bx)
        vtep, cable = (a, b) if a.kind == "vtep" else (b, a)
        y = cable.box.y - 6 if cable.box else cable.at[1] - 20
        way = (vtep.at, (x, vtep.at[1]), (x, y), (cable.at[0], y), cable.at)
        return way if a is vtep else tuple(reversed(way))
    if "vtep" in kinds:
        end, vtep = (b, a) if a.kind == "vtep" else (a, b)
        way = (end.at, (end.at[0], vtep.at[1]), vtep.at)
        return way if a is end else tuple(reversed(way))
    if a.kind == "bar" and b.kind == "bar":
        y = max(ay, by) + LANE - BELOW
        return ((ax, ay), (ax, y), (bx, y), (bx, by))
    if "cable" in kinds:
        rest, cable = (a, b) if b.kind == "cable" else (b, a)
        y = rest.at[1] + LANE - BELOW
        way = (rest.at, (rest.at[0], y), (cable.at[0], y), cable.at)
        return way if a is rest else tuple(reversed(way))
    return ((ax, ay), (bx, by)) if ax == bx or ay == by else ((ax, ay), (ax, by), (bx, by))
