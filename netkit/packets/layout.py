"""Headers as cards in a row, in the order of the wire; a frame within the frame opens into a row below. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from netkit.figure.picture import BASELINE, LINE, Box, Line, Measure, Picture, Shape, Text
from netkit.packets.headers import Data, Header, Vxlan
from netkit.packets.text import tell_facts, tell_length, tell_name

NAME, FACT = 15.0, 10.5  # text sizes, in points
EDGE, PAD, GAP = 8.0, 9.0, 34.0  # around the figure, within a card, between two rows
NARROWEST = 78.0
COLOURS = ("LAN", "bridge", "ingress")  # a row's, as the topology's figures colour networks


def calc_layout(headers: Sequence[Header], measure: Measure) -> Picture:
    """The figure of a packet, in points."""
    rows = _calc_rows(headers)
    shapes: list[Shape] = []
    width, opening, y = 0.0, None, EDGE
    for number, row in enumerate(rows):
        said = _calc_facts(row, number, rows)
        height = PAD * 2 + NAME * LINE + FACT * LINE * (1 + max(map(len, said)))
        sizes = [_calc_width(header, lines, measure) for header, lines in zip(row, said, strict=True)]
        if opening:
            shapes += _open(opening, y, EDGE, EDGE + sum(sizes), COLOURS[number % len(COLOURS)])
        x = EDGE
        for header, lines, size in zip(row, said, sizes, strict=True):
            shapes += _card(header, lines, (x, y, size, height), COLOURS[number % len(COLOURS)])
            x += size
        opening = (x - sizes[-1], x, y + height) if sizes else None
        width, y = max(width, x), y + height + GAP
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


def _calc_facts(row: list[Header], number: int, rows: list[list[Header]]) -> list[list[str]]:
    facts = [[line for line in tell_facts(header) if not line.startswith("carries")] for header in row]
    if number < len(rows) - 1:
        facts[-1] = ["the frame below"]
    return facts


def _calc_width(header: Header, lines: list[str], measure: Measure) -> float:
    texts = [measure(tell_name(header), NAME, bold=True), measure(tell_length(header), FACT)]
    return max(NARROWEST, *texts, *(measure(line, FACT) for line in lines)) + 2 * PAD


def _card(header: Header, lines: list[str], place: tuple[float, float, float, float], colour: str) -> list[Shape]:
    x, y, width, height = place
    about = f"{tell_name(header)} at byte {header.offset}"
    role = "bar" if not isinstance(header, Data) else "extra"
    shapes: list[Shape] = [Box(x=x, y=y, width=width, height=height, role=role, about=about, network=colour)]
    at = y + PAD
    for text, size, bold in ((tell_name(header), NAME, True), (tell_length(header), FACT, False), *((line, FACT, False) for line in lines)):
        shapes.append(Text(x=x + PAD, y=at + size * BASELINE, text=text, size=size, role="detail", bold=bold, about=about))
        at += size * LINE
    return shapes


def _open(opening: tuple[float, float, float], y: float, left: float, right: float, colour: str) -> list[Shape]:
    """Two lines from the card that carries a frame to that frame's row."""
    begin, end, bottom = opening
    return [
        Line(points=((begin, bottom), (left, y)), role="tunnel", network=colour),
        Line(points=((end, bottom), (right, y)), role="tunnel", network=colour),
    ]
