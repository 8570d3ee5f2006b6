"""A trace as learners have it: its values, told as tables and a verdict, drawn, and written for Wireshark."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from netkit.errors import NetkitError
from netkit.figure.layout import calc_layout
from netkit.figure.picture import BASELINE, LINE, Line, Mark, Measure, Picture, Shape, Text
from netkit.network.words import plain
from netkit.shown import Shown
from netkit.tracing.steps import Step, calc_steps
from netkit.tracing.tell import Names, tell_drop, tell_losses, tell_rewrites, tell_verdict, tell_way, tell_wrapping
from netkit.tracing.values import Hop, Packet, Rule, TraceData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INDENT = "      "
NUMBER, NOTE, BADGE, CROSS, EDGE = 8.0, 10.0, 13.0, 24.0, 14.0  # sizes on the figure, in points
BADGES = {"change": "step-change", "tunnel": "step-tunnel"}  # roles
TOLD = ("change", "dropped", "tunnel")  # kinds of steps that are told below the figure
# of pcapng (https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/): blocks, then options
SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
END, COMMENT, NAME, RESOLUTION, FLAGS, APPLICATION = 0, 1, 2, 9, 2, 4
ETHERNET, NANOSECONDS = 1, b"\x09"
WAYS = {"in": 1, "out": 2}
LONGEST = 65535  # bytes of an option


class Trace(Shown, TraceData):
    """What a command sent, and what became of it; see :class:`netkit.tracing.values.TraceData` for what it consists of."""

    __slots__ = ()

    @property
    def verdict(self) -> str:
        """What became of it, in a sentence or a few."""
        return tell_verdict(self)

    def rules(self) -> tuple[Rule, ...]:
        """The rules that the told packets met, in order, each once."""
        return tuple(dict.fromkeys(rule for packet in self.told_packets for rule in packet.rules))

    def text(self, *, times: bool = False, rules: bool = False) -> str:
        """The hops as tables, and the verdict, without a newline at the end; the same for the same network on every run and engine.

        ``times`` adds µs since the command began, ``rules`` each rule as the machine has it.
        """
        names, lines = Names(self), [f"{self.node}: {plain(self.command)}"]
        for packet in self.told_packets:
            # where rules are told, which differ from engine to engine anyway, so are all hops
            hops = packet.hops if rules else self.told_hops(packet)
            lines += ["", *_tell_packet(packet, hops, names, times, rules)]
        more = len(self.flows) - len(self.told_flows)
        if more > 0:
            lines += ["", f"and {more} more like these" if more > 1 else "and one more like these"]
        rows = [line for line in lines if isinstance(line, tuple)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        told = ["  ".join(map(str.ljust, line, widths)).rstrip() if isinstance(line, tuple) else line for line in lines]
        return "\n".join([*told, "", self.verdict])

    __repr__ = __str__ = text

    def draw(self, *, width: float | None = None, **options) -> Figure:
        """The way on the topology's figure; ``width`` and ``options`` as for ``Topology.draw``."""
        from netkit.figure.paint import measure, paint

        return paint(calc_picture(self, measure=measure, **options), width=width)

    def steps(self, picture: Picture) -> tuple[Step, ...]:
        """The hops as steps on a :class:`netkit.figure.layout.Picture` of :attr:`topology`."""
        return calc_steps(self, picture)

    def pcapng(self, path: str | Path) -> None:
        """Write what was captured for Wireshark: one interface for each one crossed, a comment for each hop.

        Raises NetkitError where that is not possible.
        """
        try:
            Path(path).write_bytes(to_pcapng(self))
        except OSError as error:
            raise NetkitError(f"{path} cannot be written: {error.strerror}") from None


def _tell_packet(packet: Packet, hops: Iterable[Hop], names: Names, times: bool, rules: bool) -> Iterator[str | tuple[str, ...]]:
    """One packet: what it is, and for each of these hops the columns of a table; rules and changes stand between them, as lines."""

    def tell_rules(met: tuple[Rule, ...]) -> list[str]:
        return [f"{INDENT}{rule.title}: {names.rule(rule) or '(not listed)'}" for rule in met if rules and rule.number]

    yield f"{'answer: ' if packet.reply else ''}{plain(packet.what)}, {tell_way(packet.addresses)}"
    for number, hop in enumerate(hops, 1):
        yield from tell_rules(hop.rules)
        yield from (f"{INDENT}NAT in {names.namespace(hop)}: {rewrite}" for rewrite in tell_rewrites(hop, packet.reply))
        time = [f"{hop.time:>9.1f} µs"] if times else []
        yield (f"{number:>4}", *time, *names.hop(hop), tell_way(hop.addresses), tell_wrapping(hop))
    yield from tell_rules(packet.last)
    if packet.dropped:
        yield f"{INDENT}✗ {tell_drop(packet, names)}"


def calc_picture(trace: TraceData, *, measure: Measure, **options) -> Picture:
    """The topology's picture with the packets' way on it; ``options`` as for :func:`netkit.figure.layout.calc_layout`."""
    picture = calc_layout(trace.topology, measure=measure, **options)
    # the first packet of each flow but look-ups, and an answer only if it was dropped
    told = ((flow, packet) for flow in trace.main_flows for packet in flow.told)
    drawn = [packet for flow, packet in told if packet is flow.first or (packet.reply and packet.dropped)]
    steps = calc_steps(trace, picture, drawn)
    ways = [
        Line(points=each.points, role="way-dropped" if each.kind == "dropped" else "way", about=each.about) for each in steps if each.points
    ]
    # the way lies below every text, as a highlighter's stroke would
    first = next((number for number, shape in enumerate(picture.shapes) if isinstance(shape, Text)), len(picture.shapes))
    shapes: list[Shape] = [*picture.shapes[:first], *ways, *picture.shapes[first:]]
    shapes += [shape for step in _spread(steps) for shape in _badge(step)]
    room, top = picture.width - 2 * EDGE, picture.height + 4
    notes = [(line, role) for text, role in _calc_notes(trace, steps) for line in _wrap(text, room, measure)]
    shapes += [
        Text(x=EDGE, y=top + number * NOTE * LINE + NOTE * BASELINE, text=text, size=NOTE, role=role, bold=role == "trouble")
        for number, (text, role) in enumerate(notes)
    ]
    return replace(picture, height=round(top + len(notes) * NOTE * LINE + EDGE / 2, 2), shapes=tuple(shapes))


def _spread(steps: Sequence[Step]) -> list[Step]:
    """Badges that would cover each other stand side by side."""
    placed: list[Step] = []
    for step in steps:
        while any(abs(step.x - other.x) < BADGE - 1 and abs(step.y - other.y) < BADGE - 1 for other in placed):
            step = replace(step, x=step.x + BADGE)
        placed.append(step)
    return placed


def _badge(step: Step) -> list[Shape]:
    if step.kind == "dropped":
        label = Text(x=step.x + CROSS / 2 + 4, y=step.y + 4, text="dropped", size=11.0, role="trouble", bold=True, about=step.about)
        return [Mark(x=step.x, y=step.y, size=CROSS, role="cross", about=step.about), label]
    number = {"text": str(step.number), "size": NUMBER, "role": "number", "anchor": "middle", "bold": True}
    text = Text(x=step.x, y=step.y + NUMBER * 0.36, about=step.about, **number)
    return [Mark(x=step.x, y=step.y, size=BADGE, role=BADGES.get(step.kind, "step"), about=step.about), text]


def _calc_notes(trace: TraceData, steps: Sequence[Step]) -> list[tuple[str, str]]:
    """What happened where, and the verdict, with roles; where a packet was dropped, that says it already, and what was not seen is told."""
    first = {step.detail: step for step in reversed(steps) if step.kind in TOLD}
    signs = {"dropped": ("✗", "trouble")}
    told = [(step, *signs.get(step.kind, (step.number, "detail"))) for step in steps if step is first.get(step.detail)]
    notes = [(f"{sign} {step.detail}", role) for step, sign, role in told]
    rest = " ".join(tell_losses(trace)) if "dropped" in [step.kind for step in steps] else tell_verdict(trace)
    return [*notes, (rest, "detail")] if rest else notes


def _wrap(text: str, room: float, measure: Measure) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and measure(longer, NOTE, bold=True) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def to_pcapng(trace: TraceData) -> bytes:
    """What was captured as the bytes of a pcapng file, packets in the order of time."""
    told = [(hop, number, packet) for packet in trace.packets for number, hop in enumerate(packet.hops, 1)]
    told.sort(key=lambda row: row[0].stamp)
    interfaces = {place: number for number, place in enumerate(dict.fromkeys(hop.place for hop, _, _ in told))}
    names = Names(trace)
    about = [(COMMENT, trace.command.encode()), (COMMENT, tell_verdict(trace).encode()), (APPLICATION, b"netkit trace")]
    blocks = [_block(SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1), about)]
    head = struct.pack("<HHI", ETHERNET, 0, 0)
    blocks += [_block(INTERFACE, head, [(NAME, place.encode()), (RESOLUTION, NANOSECONDS)]) for place in interfaces]
    for hop, number, packet in told:
        stamp, lengths = divmod(hop.stamp, 1 << 32), (len(hop.frame), hop.length)
        options = [(COMMENT, _comment(hop, number, packet, names).encode()), (FLAGS, struct.pack("<I", WAYS[hop.direction]))]
        blocks.append(_block(PACKET, struct.pack("<IIIII", interfaces[hop.place], *stamp, *lengths) + hop.frame, options))
    return b"".join(blocks)


def _comment(hop: Hop, number: int, packet: Packet, names: Names) -> str:
    where, interface, direction = names.hop(hop)
    lines = [f"hop {number} of {len(packet.hops)}: {packet.what}, {direction} at {interface} of {where}"]
    lines += [f"NAT: {rewrite}, {tell_way(hop.before)} before" for rewrite in tell_rewrites(hop, packet.reply)]
    rules = [*hop.rules, *(packet.last if number == len(packet.hops) else ())]
    lines += [f"{'after this, ' if rule in packet.last else ''}{rule.title}: {rule.text}" for rule in rules]
    return "\n".join(lines)


def _block(kind: int, body: bytes, options: Iterable[tuple[int, bytes]]) -> bytes:
    parts = [body, *(struct.pack("<HH", code, len(data[:LONGEST])) + data[:LONGEST] for code, data in (*options, (END, b"")))]
    padded = b"".join(part + b"\0" * (-len(part) % 4) for part in parts)
    size = struct.pack("<I", len(padded) + 12)
    return struct.pack("<I", kind) + size + padded + size
