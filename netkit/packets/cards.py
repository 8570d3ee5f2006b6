"""Headers as cards in a row, in the order of the wire; a frame within the frame opens into a row below. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from netkit.figure.layout.picture import BASELINE, LINE, Box, Line, Measure, Picture, Shape, Text
from netkit.packets.headers import Data, Header, Vxlan

NAME, FACT = 15.0, 10.5  # text sizes, in points
EDGE, PAD, GAP = 8.0, 9.0, 34.0  # around the figure, within a card, between two rows
NARROWEST = 78.0
COLOURS = ("LAN", "bridge", "ingress")  # a row's, as the topology's figures colour networks


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
