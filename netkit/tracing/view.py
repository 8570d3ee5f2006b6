"""A trace as learners have it: its values, told as tables and a verdict, drawn, and written for Wireshark."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from netkit.errors import NetkitError
from netkit.figure.layout import calc_layout
from netkit.figure.picture import BASELINE, LINE, Line, Mark, Measure, Picture, Shape, Text
from netkit.network.words import plain
from netkit.tracing.steps import Step, calc_drawn, calc_steps
from netkit.tracing.values import Hop, Packet, Rule, TraceData
from netkit.tracing.verdict import tell_drop, tell_losses, tell_verdict
from netkit.tracing.words import Names, calc_rewrites, calc_told, calc_told_flows, calc_told_hops, tell_way, tell_wrapping

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from netkit.figure.layout import Picture


ETHERNET = 1
SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
END, COMMENT, NAME, RESOLUTION, FLAGS, APPLICATION = 0, 1, 2, 9, 2, 4
NANOSECONDS = b"\x09"
WAYS = {"in": 1, "out": 2}
LONGEST = 65535  # bytes of an option


def write_pcapng(trace: TraceData, path: str | Path) -> None:
    """Write every hop of every packet; raises NetkitError where that is not possible."""
    try:
        Path(path).write_bytes(to_pcapng(trace))
    except OSError as error:
        raise NetkitError(f"{path} cannot be written: {error.strerror}") from None


def to_pcapng(trace: TraceData) -> bytes:
    """The file's bytes, packets in the order of time."""
    told = [(hop, number, packet) for packet in trace.packets for number, hop in enumerate(packet.hops, 1)]
    told.sort(key=lambda row: row[0].stamp)
    interfaces = {place: number for number, place in enumerate(dict.fromkeys(hop.place for hop, _, _ in told))}
    names = Names(trace)
    about = [(COMMENT, trace.command.encode()), (COMMENT, tell_verdict(trace).encode()), (APPLICATION, b"netkit trace")]
    blocks = [_block(SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1), about)]
    for place in interfaces:
        blocks.append(_block(INTERFACE, struct.pack("<HHI", ETHERNET, 0, 0), [(NAME, place.encode()), (RESOLUTION, NANOSECONDS)]))
    for hop, number, packet in told:
        stamp, lengths = divmod(hop.stamp, 1 << 32), (len(hop.frame), hop.length)
        options = [(COMMENT, _comment(hop, number, packet, names).encode()), (FLAGS, struct.pack("<I", WAYS[hop.direction]))]
        blocks.append(_block(PACKET, struct.pack("<IIIII", interfaces[hop.place], *stamp, *lengths) + _pad(hop.frame), options))
    return b"".join(blocks)


def _comment(hop: Hop, number: int, packet: Packet, names: Names) -> str:
    where, interface, direction = names.hop(hop)
    lines = [f"hop {number} of {len(packet.hops)}: {packet.what}, {direction} at {interface} of {where}"]
    lines += [f"NAT: {rewrite}, {tell_way(hop.before)} before" for rewrite in calc_rewrites(hop, packet.reply) if hop.before]
    rules = [*hop.rules, *(packet.last if number == len(packet.hops) else ())]
    lines += [f"{'after this, ' if rule in packet.last else ''}{rule.title}: {rule.text}" for rule in rules]
    return "\n".join(lines)


def _block(kind: int, body: bytes, options: Iterable[tuple[int, bytes]]) -> bytes:
    for code, data in (*options, (END, b"")):
        body += struct.pack("<HH", code, len(data[:LONGEST])) + _pad(data[:LONGEST])
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _pad(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


NUMBER, NOTE, BADGE, EDGE = 8.0, 10.0, 13.0, 14.0
TOLD = ("change", "dropped", "tunnel")
CROSS = 24.0


def draw(trace: TraceData, *, width: float | None = None, **options) -> Figure:
    """The figure; ``width`` in inches, other ``options`` as for :func:`netkit.figure.layout.calc_layout`."""
    from netkit.figure.paint import measure, paint

    return paint(calc_picture(trace, measure=measure, **options), width=width)


def calc_picture(trace: TraceData, *, measure: Measure, **options) -> Picture:
    """The topology's picture with the packets' way on it."""
    picture = calc_layout(trace.topology, measure=measure, **options)
    steps = calc_steps(trace, picture, calc_drawn(trace))
    roles = {"dropped": "way-dropped"}
    ways = [Line(points=step.points, role=roles.get(step.kind, "way"), about=step.about) for step in steps if step.points]
    # the way lies below every text, as a highlighter's stroke would
    first = next((number for number, shape in enumerate(picture.shapes) if isinstance(shape, Text)), len(picture.shapes))
    shapes: list[Shape] = [*picture.shapes[:first], *ways, *picture.shapes[first:]]
    shapes += [shape for step in _spread(steps) for shape in _badge(step)]
    notes = _calc_notes(trace, steps, picture.width - 2 * EDGE, measure)
    top = picture.height + 4
    shapes += [
        Text(x=EDGE, y=top + number * NOTE * LINE + NOTE * BASELINE, text=text, size=NOTE, role=role, bold=role == "trouble")
        for number, (text, role) in enumerate(notes)
    ]
    return replace(picture, height=round(top + len(notes) * NOTE * LINE + EDGE / 2, 2), shapes=tuple(shapes))


def _spread(steps: Sequence[Step]) -> list[Step]:
    """Badges that would cover each other stand side by side."""
    placed: list[Step] = []
    for step in steps:
        x = step.x
        while any(abs(x - other.x) < BADGE - 1 and abs(step.y - other.y) < BADGE - 1 for other in placed):
            x += BADGE
        placed.append(replace(step, x=x))
    return placed


def _badge(step: Step) -> list[Shape]:
    if step.kind == "dropped":
        label = Text(x=step.x + CROSS / 2 + 4, y=step.y + 4, text="dropped", size=11.0, role="trouble", bold=True, about=step.about)
        return [Mark(x=step.x, y=step.y, size=CROSS, role="cross", about=step.about), label]
    role = {"change": "step-change", "tunnel": "step-tunnel"}.get(step.kind, "step")
    text = Text(
        x=step.x, y=step.y + NUMBER * 0.36, text=str(step.number), size=NUMBER, role="number", anchor="middle", bold=True, about=step.about
    )
    return [Mark(x=step.x, y=step.y, size=BADGE, role=role, about=step.about), text]


def _calc_notes(trace: TraceData, steps: Sequence[Step], room: float, measure: Measure) -> list[tuple[str, str]]:
    """What happened where, and the verdict; where a packet was dropped, that says it already, and what was not seen is told."""
    notes: list[tuple[str, str]] = []
    told: set[str] = set()
    for step in steps:
        if step.kind in TOLD and step.detail not in told:
            told.add(step.detail)
            text = f"✗ {step.detail}" if step.kind == "dropped" else f"{step.number}  {step.detail}"
            notes += [(line, "trouble" if step.kind == "dropped" else "detail") for line in _wrap(text, room, measure)]
    rest = " ".join(tell_losses(trace)) if any(step.kind == "dropped" for step in steps) else tell_verdict(trace)
    return [*notes, *((line, "detail") for line in _wrap(rest, room, measure) if line)]


def _wrap(text: str, room: float, measure: Measure) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and measure(longer, NOTE, bold=True) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


INDENT = "      "


class Trace(TraceData):
    """What a command sent, and what became of it; see :class:`netkit.tracing.values.TraceData` for what it consists of."""

    __slots__ = ()

    @property
    def verdict(self) -> str:
        """What became of it, in a sentence or a few."""
        return tell_verdict(self)

    def rules(self) -> tuple[Rule, ...]:
        """The rules that the told packets met, in order, each once."""
        return tuple(dict.fromkeys(rule for packet in calc_told(self) for rule in packet.rules))

    def text(self, *, times: bool = False, rules: bool = False) -> str:
        """The hops as tables, and the verdict, without a newline at the end; the same for the same network on every run and engine.

        ``times`` adds µs since the command began, ``rules`` each rule as the machine has it.
        """
        # where rules are told, which differ from engine to engine anyway, so are all hops
        told = [(packet, packet.hops if rules else calc_told_hops(packet, self.topology)) for packet in calc_told(self)]
        table = _Table(Names(self), [hop for _, hops in told for hop in hops], times, rules)
        lines = [f"{self.node}: {plain(self.command)}"]
        for packet, hops in told:
            lines += ["", *table.tell(packet, hops)]
        more = len(self.flows) - len(calc_told_flows(self))
        if more > 0:
            lines += ["", f"and {more} more like these" if more > 1 else "and one more like these"]
        return "\n".join([*lines, "", self.verdict])

    __str__ = text

    def __repr__(self) -> str:
        return self.text()

    def draw(self, **options) -> Figure:
        """The way on the topology's figure; ``options`` as for ``Topology.draw``."""
        return draw(self, **options)

    def steps(self, picture: Picture) -> tuple[Step, ...]:
        """The hops as steps on a :class:`netkit.figure.layout.Picture` of :attr:`topology`."""
        return calc_steps(self, picture)

    def pcapng(self, path: str) -> None:
        """Write what was captured for Wireshark: one interface for each one crossed, a comment for each hop."""
        write_pcapng(self, path)

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        from netkit.figure.draw import make_bundle

        return make_bundle(self.text(), self.draw())


class _Table:
    """Hops in columns that are as wide for every packet."""

    def __init__(self, names: Names, hops: list[Hop], times: bool, rules: bool) -> None:
        self.names, self.times, self.rules = names, times, rules
        self.widths = [max(map(len, column)) for column in zip(*map(self._tell_cells, hops), strict=True)]

    def tell(self, packet: Packet, hops: tuple[Hop, ...]) -> list[str]:
        """One packet: what it is, and a line for each hop."""
        lines = [f"{'answer: ' if packet.reply else ''}{plain(packet.what)}, {tell_way(packet.addresses)}"]
        for number, hop in enumerate(hops, 1):
            lines += self._tell_rules(hop.rules)
            where = self.names.stack(hop.node, hop.namespace)
            lines += [f"{INDENT}NAT in {where}: {rewrite}" for rewrite in calc_rewrites(hop, packet.reply)]
            row = "  ".join(f"{cell:<{width}}" for cell, width in zip(self._tell_cells(hop), self.widths, strict=True))
            time = f"{hop.time:>9.1f} µs  " if self.times else ""
            lines.append(f"{number:>4}  {time}{row}  {tell_wrapping(hop)}")
        end = [f"{INDENT}✗ {tell_drop(packet, self.names)}"] if packet.dropped else []
        return [*lines, *self._tell_rules(packet.last), *end]

    def _tell_cells(self, hop: Hop) -> tuple[str, ...]:
        return (*self.names.hop(hop), tell_way(hop.addresses))

    def _tell_rules(self, rules: tuple[Rule, ...]) -> list[str]:
        told = [rule for rule in rules if rule.number] if self.rules else []
        return [f"{INDENT}{rule.title}: {self.names.rule(rule) or '(not listed)'}" for rule in told]
