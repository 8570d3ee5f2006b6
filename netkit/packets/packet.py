"""One packet: its bytes, and what they are; read from a capture file of tcpdump, laid out as text and as a figure.

Capture files are pcap's (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html). The figure has headers as cards in a
row, in the order of the wire; a frame within the frame opens into a row below.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from netkit.errors import NetkitError
from netkit.figure.picture import BASELINE, LINE, Box, Line, Measure, Picture, Shape, Text
from netkit.packets.headers import COOKED, ETHERNET, Cooked, Data, Ethernet, Header, Vxlan
from netkit.shown import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAGIC = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}  # and how many nanoseconds its unit of time has
LONGEST = 1 << 22  # bytes of a packet that tcpdump would write; more is not a length
KNOWN = {ETHERNET: "Ethernet", COOKED: "Linux cooked, version 2"}
NAME, FACT = 15.0, 10.5  # text sizes, in points
EDGE, PAD, GAP = 8.0, 9.0, 34.0  # around the figure, within a card, between two rows
NARROWEST = 78.0
COLOURS = ("LAN", "bridge", "ingress")  # a row's, as the topology's figures colour networks


@dataclass(frozen=True)
class Packet(Shown):
    """The captured bytes of a packet. ``total`` is how many were on the wire, ``time`` nanoseconds since 1970 (UTC)."""

    data: bytes
    link: int = ETHERNET
    total: int | None = None
    time: int = field(default=0, compare=False)

    @cached_property
    def headers(self) -> tuple[Header, ...]:
        """Its headers, outermost first, what is left last."""
        return decode(self.data, self.link, self.total)

    def text(self) -> str:
        """A line for each header: where it begins, how long it is, and what it says; those within a tunnel are set in."""
        rows, depth = [], 0
        for header in self.headers:
            facts = [*header.tell(), *(f"carries {words}" for words in header.carries[:1] if words)]
            rows.append((str(header.offset), "  " * depth + header.name, f"{header.length} bytes", ", ".join(facts)))
            depth += isinstance(header, Vxlan)
        at, name, length = (max((len(row[column]) for row in rows), default=0) for column in range(3))
        lines = [f"{row[0]:>{at}}  {row[1]:<{name}}  {row[2]:>{length}}  {row[3]}".rstrip() for row in rows]
        return "\n".join([f"{self.total or len(self.data)} bytes", *lines])

    __repr__ = __str__ = text

    def draw(self) -> Figure:
        """The headers side by side, those of a frame within the frame in a row of their own."""
        from netkit.figure.paint import measure, paint

        return paint(calc_layout(self.headers, measure))


def decode(data: bytes, link: int = ETHERNET, total: int | None = None) -> tuple[Header, ...]:
    """The headers of a packet, outermost first; what is cut short or unknown ends as :class:`Data`, never as an error.

    ``link`` is the link type of its first header, ``total`` the bytes it had on the wire.
    """
    headers: list[Header] = []
    kind, offset, end = {ETHERNET: Ethernet, COOKED: Cooked}.get(link), 0, len(data)
    while kind and (header := kind.read(data[:end], offset)):
        headers.append(header)
        (_, kind), offset, end = header.carries, header.offset + header.length, header.calc_end(end)
    missing = max(0, (total or len(data)) - len(data))
    if offset < end or missing:
        headers.append(Data(offset=offset, length=max(0, end - offset), missing=missing))
    return tuple(headers)


def read_packets(path: str | Path) -> Iterator[Packet]:
    """The packets of a capture file, in its order.

    Raises NetkitError for a file that cannot be read, or is no capture; a file that ends within a packet,
    as one that is still being written may, ends with the packet before.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise NetkitError(f"{path} cannot be read: {error.strerror}") from None
    order = next((order for order in "<>" if len(raw) >= 24 and struct.unpack_from(order + "I", raw)[0] in MAGIC), None)
    if order is None:
        raise NetkitError(f"{path} is no capture file: write one with `tcpdump -w {path} …`, and let tcpdump end before you read it")
    unit, link = MAGIC[struct.unpack_from(order + "I", raw)[0]], struct.unpack_from(order + "I", raw, 20)[0] & 0xFFFF
    if link not in KNOWN:
        raise NetkitError(f"{path} has link type {link}; this reads {' and '.join(f'{name} ({kind})' for kind, name in KNOWN.items())}")
    at = 24
    while at + 16 <= len(raw):
        seconds, fraction, length, total = struct.unpack_from(order + "IIII", raw, at)
        if length > LONGEST or at + 16 + length > len(raw):
            return
        yield Packet(raw[at + 16 : at + 16 + length], link=link, total=total, time=seconds * 10**9 + fraction * unit)
        at += 16 + length


def read_packet(path: str | Path, number: int = 1) -> Packet:
    """The packet ``number`` (1 is the first) of a capture file; as a cell's last line it is laid out.

    Raises NetkitError as :func:`read_packets` does, and for a file with fewer packets.
    """
    found = list(read_packets(path))
    if not 1 <= number <= len(found):
        raise NetkitError(f"{path} has {len(found)} packets: there is no number {number}")
    return found[number - 1]


def calc_layout(headers: Sequence[Header], measure: Measure) -> Picture:
    """The figure of a packet, in points."""
    shapes: list[Shape] = []
    width, y, bottom, opening = 0.0, EDGE, 0.0, (0.0, 0.0)
    rows = _calc_rows(headers)
    for number, row in enumerate(rows):
        colour = COLOURS[number % len(COLOURS)]
        facts = [header.tell() for header in row]
        if number < len(rows) - 1:
            facts[-1] = ("the frame below",)
        height = PAD * 2 + NAME * LINE + FACT * LINE * (1 + max(map(len, facts)))
        cards, x = [], EDGE
        for header, lines in zip(row, facts, strict=True):
            box, *texts = _card(header, lines, x, y, height, colour, measure)
            cards += [box, *texts]
            x += box.width
        if number:  # two lines from the card that carries this frame
            ends = zip(opening, (EDGE, x), strict=True)
            shapes += [Line(points=((above, bottom), (below, y)), role="tunnel", network=colour) for above, below in ends]
        shapes += cards
        opening, bottom, width = (x - box.width, x), y + height, max(width, x)
        y = bottom + GAP
    return Picture(width=width + EDGE, height=y - GAP + EDGE if rows else 2 * EDGE, shapes=tuple(shapes))


def _calc_rows(headers: Sequence[Header]) -> list[list[Header]]:
    """One row for each frame; one that carries another ends with what it carries, as data."""
    rows: list[list[Header]] = [[]] if headers else []
    end = headers[-1].offset + headers[-1].length if headers else 0
    for header in headers:
        rows[-1].append(header)
        if isinstance(header, Vxlan) and header is not headers[-1]:
            inner = header.offset + header.length
            rows[-1].append(Data(offset=inner, length=end - inner))
            rows.append([])
    return rows


def _card(header: Header, facts: Sequence[str], x: float, y: float, height: float, colour: str, measure: Measure) -> list[Shape]:
    """A box as wide as its words need, and the words."""
    about = f"{header.name} at byte {header.offset}"
    lines = [(header.name, NAME, True), *((line, FACT, False) for line in (f"{header.length} bytes", *facts))]
    width = max(NARROWEST, *(measure(text, size, bold=bold) for text, size, bold in lines)) + 2 * PAD
    role = "extra" if isinstance(header, Data) else "bar"
    shapes: list[Shape] = [Box(x=x, y=y, width=width, height=height, role=role, about=about, network=colour)]
    at = y + PAD
    for text, size, bold in lines:
        shapes.append(Text(x=x + PAD, y=at + size * BASELINE, text=text, size=size, role="detail", bold=bold, about=about))
        at += size * LINE
    return shapes
