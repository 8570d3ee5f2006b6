"""How each role of a picture looks, as plain values: colours, strokes, symbols. For every painter alike."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from netkit.figure.colours import CHANGE, DROPPED, HIGHLIGHTS, INK, PAPER, SOFT, STACK, TUNNEL, WAY, colours
from netkit.figure.layout.picture import Box, Line, Mark, Text

NETWORK, FILL = "network's line", "network's fill"
DASH = 1.2  # of a look's dashes, in points


@dataclass(frozen=True, slots=True)
class Look:
    """How a role looks; lengths in points. ``radius`` is that of a box's corners."""

    face: str = "none"
    edge: str = "none"
    width: float = 1.0
    dash: tuple[float, ...] = ()
    radius: float = 0.0


BOXES = {
    "node": Look(PAPER, INK, 1.8, radius=7),
    "off": Look("#fafafa", SOFT, 1.4, (4, 3), radius=7),
    "region": Look(STACK, radius=6),
    "container": Look(PAPER, INK, 1.3, radius=5),
    "namespace": Look(PAPER, SOFT, 1.1, (5, 2)),
    "stopped": Look("#f6f6f6", SOFT, 1.0, (2, 2), radius=5),
    "more": Look(PAPER, SOFT, 1.0, radius=5),
    "guest": Look("none", INK, 1.3, radius=5),
    "tenant": Look("#f3f5f7", SOFT, 0.8, radius=4),
    "bar": Look(FILL, NETWORK, 1.5, radius=2),
    "parent": Look(FILL, NETWORK, 1.5, (4, 2), radius=2),
    "band": Look(FILL, NETWORK, 1.5, radius=2),
    "link": Look(FILL, NETWORK, 0.8, (3, 2)),
    "vtep": Look(PAPER, NETWORK, 1.2),
    "extra": Look(PAPER, SOFT, 0.9),
    "uplink": Look(PAPER, INK, 1.3, radius=2),
    "tag": Look(PAPER, NETWORK, 1.0, radius=9),
    "notes": Look("#fbfcfd", SOFT, 0.6, radius=2),
    "lan": Look("#d5dade", "#3c434a", 1.2, radius=3),
    "gap-host": Look(STACK),
    "gap-node": Look(PAPER),
    "gap-paper": Look(PAPER),
    "backing": Look(PAPER),
}
LINES = {
    "wire": Look(edge=NETWORK, width=1.6),
    "spine": Look(edge=NETWORK, width=4.0),
    "cable": Look(edge="#3c434a", width=2.2),
    "tunnel": Look(edge=NETWORK, width=1.5, dash=(5, 3)),
    "way": Look(edge=WAY, width=5.0),
    "way-dropped": Look(edge=DROPPED, width=4.0, dash=(4, 2)),
}
STEPS = {"step": INK, "step-change": CHANGE, "step-tunnel": TUNNEL, "cross": DROPPED}  # a trace's numbered marks
TEXTS = {"number": PAPER, "far": SOFT, "caption": SOFT, "aside": INK, "trouble": "#a32a00", "detail": INK, "note": INK}

POLYGONS = {
    "square": (4, 45, 1.18),
    "diamond": (4, 0, 1.15),
    "triangle": (3, 90, 1.2),
    "wedge": (3, -90, 1.2),
    "pentagon": (5, 90, 1.1),
    "hexagon": (6, 0, 1.08),
}


def calc_look(shape: Box | Line | Mark) -> Look:
    """How a shape looks, whole: colours as #rrggbb or "none". Badges have no look of their own."""
    if isinstance(shape, Mark):
        return calc_style(calc_mark_look(shape), replace(shape, highlight=""))
    return calc_style(BOXES[shape.role] if isinstance(shape, Box) else LINES[shape.role], shape)


def calc_style(look: Look, shape: Box | Line | Mark) -> Look:
    """A look with the colours of the shape's network and highlight."""
    style = colours.style(shape.network)
    known = {NETWORK: style.line, FILL: style.fill}
    width, edge, dash = look.width, known.get(look.edge, look.edge), look.dash
    face = known.get(look.face, look.face)
    if shape.highlight:
        # a wire keeps its network's colour, unless it is gone
        plain = isinstance(shape, Line) and shape.highlight != "gone"
        edge, width = edge if plain else HIGHLIGHTS[shape.highlight], max(2.4, width)
        dash = (4, 3) if shape.highlight == "gone" else dash
        face = "#f4f4f5" if shape.highlight == "gone" and face != "none" else face
    return replace(look, face=face, edge=edge, width=width, dash=dash)


def calc_mark_look(mark: Mark) -> Look:
    """The look of a symbol or an arrow."""
    edge = PAPER if mark.role == "plug" else "none"
    return Look(HIGHLIGHTS["gone"] if mark.highlight == "gone" else NETWORK, edge, 0.8)


def calc_radius(box: Box) -> float:
    """The radius of a box's corners, in points."""
    return min(BOXES[box.role].radius, box.height / 2, box.width / 2)


def calc_text_colour(text: Text) -> str:
    """The colour of a text, as #rrggbb."""
    return HIGHLIGHTS[text.highlight] if text.highlight else TEXTS.get(text.role, INK)


def calc_symbol(mark: Mark) -> list[tuple[float, float]]:
    """The corners of a symbol or an arrow; none for a circle, whose diameter is the mark's size."""
    symbol = mark.role if mark.role in ("in", "out") else colours.style(mark.network).symbol
    radius = mark.size / 2
    if symbol == "circle":
        return []
    if symbol in ("in", "out"):
        turn = -1 if symbol == "in" else 1
        outline = [(-0.32, -1), (0.32, -1), (0.32, 0), (0.95, 0), (0, 1), (-0.95, 0), (-0.32, 0)]
        return [(mark.x + px * radius, mark.y + py * turn * radius) for px, py in outline]
    if symbol == "star":
        return [_at(mark, radius * (1.2 if number % 2 else 0.55), 90 + number * 36 - 36) for number in range(10)]
    count, start, grow = POLYGONS[symbol]
    return [_at(mark, radius * grow, start + number * 360 / count) for number in range(count)]


def _at(mark: Mark, radius: float, degrees: float) -> tuple[float, float]:
    angle = math.radians(degrees)
    return mark.x + radius * math.cos(angle), mark.y - radius * math.sin(angle)
