"""How each role of a picture looks, as plain values: colours, strokes, symbols. For every painter alike.

The hues are those of Okabe and Ito, which colour-blind readers can tell apart, darkened where lines on white
need it. No network is told by its colour alone: each has a symbol and its name as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from zlib import crc32

from netkit.figure.picture import Box, Line, Mark, Shape, Text

INK, SOFT, PAPER, STACK = "#1b1f23", "#545b63", "#ffffff", "#eceff2"
"""Text and lines; smaller text; the figure's ground; a node's own network namespace."""

HIGHLIGHTS = {"new": "#00664a", "gone": "#6b7280", "changed": "#a34700"}
WAY, CHANGE, TUNNEL, DROPPED = "#ffb000", "#a8007a", "#5b3fa8", "#c40000"
"""A packet's way; where its addresses changed; where it was wrapped; where it was dropped."""

NETWORK, FILL = "network's line", "network's fill"
DASH = 1.2  # of a look's dashes, in points
PALETTE = ("#008a64", "#b3538a", "#c77f00", "#a3324e", "#6a51a3", "#8a5a44", "#5f7d1f")
SYMBOLS = ("circle", "diamond", "pentagon", "hexagon", "star")  # the others are those of the engine's own networks
STYLES = len(PALETTE) * len(SYMBOLS)  # the two run through at different paces: one colour with another symbol is another style


@dataclass(frozen=True, slots=True)
class Style:
    """How a network looks: ``line`` for wires and outlines, ``fill`` for bars, and its symbol."""

    line: str
    fill: str
    symbol: str


@dataclass(frozen=True, slots=True)
class Look:
    """How a role looks; lengths in points. ``radius`` is that of a box's corners."""

    face: str = "none"
    edge: str = "none"
    width: float = 1.0
    dash: tuple[float, ...] = ()
    radius: float = 0.0


def _make(colour: str, symbol: str) -> Style:
    """A style whose fill is the colour with a sixth of it left, the rest being white."""
    channels = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return Style(colour, "#" + "".join(f"{round(255 - (255 - channel) * 0.17):02x}" for channel in channels), symbol)


FIXED = {
    "": Style(INK, PAPER, "square"),
    "bridge": _make("#0072b2", "square"),
    "ingress": _make("#d55e00", "triangle"),
    "docker_gwbridge": _make("#8a6d00", "wedge"),
    "LAN": Style("#3c434a", "#d5dade", "square"),
}
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
    "backing": Look(PAPER),
}
LINES = {
    "wire": Look(edge=NETWORK, width=1.6),
    "cable": Look(edge="#3c434a", width=2.2),
    "tunnel": Look(edge=NETWORK, width=1.5, dash=(5, 3)),
    "way": Look(edge=WAY, width=5.0),
    "way-dropped": Look(edge=DROPPED, width=4.0, dash=(4, 2)),
}
STEPS = {"step": INK, "step-change": CHANGE, "step-tunnel": TUNNEL, "cross": DROPPED}  # a trace's numbered marks
TEXTS = {"number": PAPER, "far": SOFT, "caption": SOFT, "trouble": "#a32a00"}
# how many corners, where in degrees the first one is, and how far they are from the middle, in turn
POLYGONS = {
    "square": (4, 45, 1.18),
    "diamond": (4, 0, 1.15),
    "triangle": (3, 90, 1.2),
    "wedge": (3, -90, 1.2),
    "pentagon": (5, 90, 1.1),
    "hexagon": (6, 0, 1.08),
    "star": (10, 54, 0.55, 1.2),
}
ARROW = ((-0.32, -1), (0.32, -1), (0.32, 0), (0.95, 0), (0, 1), (-0.95, 0), (-0.32, 0))


def _calc_number(network: str) -> int:
    return crc32(network.encode(errors="replace")) % STYLES


def calc_styles(networks: Iterable[str]) -> dict[str, int]:
    """The number of each network's style. It follows from the network's name, unless another network there has that colour or symbol."""
    styles: dict[str, int] = {}
    for name in sorted(set(networks) - FIXED.keys()):
        numbers = [(_calc_number(name) + step) % STYLES for step in range(STYLES)]
        used = [(kind, {number % kind for number in styles.values()}) for kind in (STYLES, len(PALETTE), len(SYMBOLS))]
        # a name keeps its colour rather than its symbol
        styles[name] = min(numbers, key=lambda n: ([n % kind in taken for kind, taken in used], (n - numbers[0]) % len(PALETTE) > 0))
    return styles


def calc_style(shape: Shape) -> Style:
    """The style of a shape's network."""
    if shape.network in FIXED:
        return FIXED[shape.network]
    number = shape.style if shape.style >= 0 else _calc_number(shape.network)
    return _make(PALETTE[number % len(PALETTE)], SYMBOLS[number % len(SYMBOLS)])


def calc_look(shape: Box | Line | Mark) -> Look:
    """How a shape looks, whole: colours as #rrggbb or "none". Badges have no look of their own."""
    style, highlight = calc_style(shape), shape.highlight
    if isinstance(shape, Mark):
        return Look(HIGHLIGHTS["gone"] if highlight == "gone" else style.line, PAPER if shape.role == "plug" else "none", 0.8)
    look = (BOXES if isinstance(shape, Box) else LINES)[shape.role]
    known = {NETWORK: style.line, FILL: style.fill}
    look = replace(look, face=known.get(look.face, look.face), edge=known.get(look.edge, look.edge))
    if highlight:
        look = replace(look, width=max(2.4, look.width))
        # a wire keeps its network's colour, unless it is gone
        if isinstance(shape, Box) or highlight == "gone":
            look = replace(look, edge=HIGHLIGHTS[highlight])
        if highlight == "gone":
            look = replace(look, dash=(4, 3), face=look.face if look.face == "none" else "#f4f4f5")
    return look


def calc_radius(box: Box) -> float:
    """The radius of a box's corners, in points."""
    return min(BOXES[box.role].radius, box.height / 2, box.width / 2)


def calc_text_colour(text: Text) -> str:
    """The colour of a text, as #rrggbb."""
    return HIGHLIGHTS[text.highlight] if text.highlight else TEXTS.get(text.role, INK)


def calc_symbol(mark: Mark) -> list[tuple[float, float]]:
    """The corners of a symbol or an arrow; none for a circle, whose diameter is the mark's size."""
    radius, symbol = mark.size / 2, calc_style(mark).symbol
    if mark.role in ("in", "out"):
        turn = -radius if mark.role == "in" else radius
        return [(mark.x + px * radius, mark.y + py * turn) for px, py in ARROW]
    if symbol == "circle":
        return []
    count, start, *grow = POLYGONS[symbol]
    corners = [(radius * grow[number % len(grow)], math.radians(start + number * 360 / count)) for number in range(count)]
    return [(mark.x + far * math.cos(angle), mark.y - far * math.sin(angle)) for far, angle in corners]
