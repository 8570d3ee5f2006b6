"""From the shapes of a picture to matplotlib's artists: how each role looks, and nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.text import Text as TextArtist
from matplotlib.transforms import Affine2D

from netkit.topology.colours import CHANGE, DROPPED, HIGHLIGHTS, INK, PAPER, SOFT, STACK, TUNNEL, WAY, colours
from netkit.topology.fonts import calc_drawable
from netkit.topology.layout.picture import Box, Line, Mark, Picture, Text

NETWORK, FILL = "network's line", "network's fill"
BEND = 0.5523  # of a quarter circle's control points


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


class Painter:
    """Paints one picture; ``scale`` enlarges everything, text included."""

    def __init__(self, picture: Picture, scale: float, dpi: float) -> None:
        self.picture, self.scale = picture, scale
        size = (picture.width / 72 * scale, picture.height / 72 * scale)
        self.figure = Figure(figsize=size, dpi=dpi, facecolor=PAPER, layout="none")
        FigureCanvasAgg(self.figure)
        # pictures count y downwards, from the upper edge
        self.transform = Affine2D().scale(scale / 72, -scale / 72).translate(0, size[1]) + self.figure.dpi_scale_trans

    def paint(self) -> Figure:
        """The figure with every shape."""
        paint = {Box: self._box, Line: self._line, Mark: self._mark, Text: self._text}
        for order, shape in enumerate(self.picture.shapes):
            paint[type(shape)](shape, order)
        return self.figure

    def _add(self, path: Path, look: Look, shape: Box | Line | Mark, order: int) -> None:
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
        patch = PathPatch(
            path, facecolor=face, edgecolor=edge, linewidth=width * self.scale, zorder=order, capstyle="butt", joinstyle="miter"
        )
        if dash:
            patch.set_linestyle((0, tuple(part / width * 1.2 for part in dash)))
        patch.set_transform(self.transform)
        self.figure.add_artist(patch)

    def _box(self, box: Box, order: int) -> None:
        look = BOXES[box.role]
        self._add(_make_box(box, min(look.radius, box.height / 2, box.width / 2)), look, box, order)

    def _line(self, line: Line, order: int) -> None:
        self._add(Path(line.points), LINES[line.role], line, order)

    def _mark(self, mark: Mark, order: int) -> None:
        if mark.role == "badge":
            self._badge(mark, order)
            return
        if mark.role in STEPS:
            self._step(mark, order)
            return
        symbol = mark.role if mark.role in ("in", "out") else colours.style(mark.network).symbol
        edge = PAPER if mark.role == "plug" else "none"
        face = HIGHLIGHTS["gone"] if mark.highlight == "gone" else NETWORK
        self._add(_make_symbol(symbol, mark), Look(face, edge, 0.8), replace(mark, highlight=""), order)

    def _step(self, mark: Mark, order: int) -> None:
        plain = replace(mark, highlight="")
        self._add(_make_symbol("circle", mark), Look(STEPS[mark.role], PAPER, 1.0), plain, order)
        if mark.role == "cross":
            reach = mark.size * 0.22
            for dy in (reach, -reach):
                stroke = Path([(mark.x - reach, mark.y - dy), (mark.x + reach, mark.y + dy)])
                self._add(stroke, Look(edge=PAPER, width=3.2), plain, order)

    def _badge(self, mark: Mark, order: int) -> None:
        colour, plain = HIGHLIGHTS[mark.highlight], Mark(x=mark.x, y=mark.y, size=mark.size, role="badge")
        self._add(_make_symbol("circle", mark), Look(colour, PAPER, 1.0), plain, order)
        reach = mark.size * 0.28
        for path in _make_sign(mark.highlight, mark.x, mark.y, reach):
            self._add(path, Look(edge=PAPER, width=1.7), plain, order)

    def _text(self, text: Text, order: int) -> None:
        shown, families = calc_drawable(text.text, text.bold, text.mono)
        colour = HIGHLIGHTS[text.highlight] if text.highlight else TEXTS.get(text.role, INK)
        artist = TextArtist(
            text.x,
            text.y,
            shown,
            color=colour,
            fontproperties=FontProperties(family=families, weight="bold" if text.bold else "normal", size=text.size * self.scale),
            horizontalalignment={"start": "left", "middle": "center", "end": "right"}[text.anchor],
            verticalalignment="baseline",
            parse_math=False,
            usetex=False,
            zorder=order,
            transform=self.transform,
        )
        self.figure.add_artist(artist)


def _make_box(box: Box, radius: float) -> Path:
    x0, y0, x1, y1 = box.x, box.y, box.x + box.width, box.y + box.height
    if radius <= 0:
        return Path([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)], closed=True)
    r, k = radius, radius * (1 - BEND)
    corners = [
        [(x0 + r, y0), (x1 - r, y0), (x1 - k, y0), (x1, y0 + k), (x1, y0 + r)],
        [(x1, y1 - r), (x1, y1 - k), (x1 - k, y1), (x1 - r, y1)],
        [(x0 + r, y1), (x0 + k, y1), (x0, y1 - k), (x0, y1 - r)],
        [(x0, y0 + r), (x0, y0 + k), (x0 + k, y0), (x0 + r, y0), (x0 + r, y0)],
    ]
    side = [Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    codes = [Path.MOVETO, *side, *side, *side, *side, Path.CLOSEPOLY]
    return Path([point for corner in corners for point in corner], codes)


POLYGONS = {
    "square": (4, 45, 1.18),
    "diamond": (4, 0, 1.15),
    "triangle": (3, 90, 1.2),
    "wedge": (3, -90, 1.2),
    "pentagon": (5, 90, 1.1),
    "hexagon": (6, 0, 1.08),
}


def _make_symbol(symbol: str, mark: Mark) -> Path:
    radius = mark.size / 2
    if symbol == "circle":
        return Path.circle((mark.x, mark.y), radius)
    if symbol in ("in", "out"):
        turn = -1 if symbol == "in" else 1
        outline = [(-0.32, -1), (0.32, -1), (0.32, 0), (0.95, 0), (0, 1), (-0.95, 0), (-0.32, 0)]
        points = [(mark.x + px * radius, mark.y + py * turn * radius) for px, py in outline]
    elif symbol == "star":
        points = [_at(mark, radius * (1.2 if number % 2 else 0.55), 90 + number * 36 - 36) for number in range(10)]
    else:
        count, start, grow = POLYGONS[symbol]
        points = [_at(mark, radius * grow, start + number * 360 / count) for number in range(count)]
    return Path([*points, points[0]], closed=True)


def _at(mark: Mark, radius: float, degrees: float) -> tuple[float, float]:
    angle = math.radians(degrees)
    return mark.x + radius * math.cos(angle), mark.y - radius * math.sin(angle)


def _make_sign(highlight: str, x: float, y: float, reach: float) -> list[Path]:
    """Plus, minus or a wave."""
    level = Path([(x - reach, y), (x + reach, y)])
    if highlight == "new":
        return [level, Path([(x, y - reach), (x, y + reach)])]
    if highlight == "gone":
        return [level]
    points = [
        (x - reach, y + reach * 0.3),
        (x - reach * 0.3, y - reach * 0.9),
        (x + reach * 0.3, y + reach * 0.9),
        (x + reach, y - reach * 0.3),
    ]
    return [Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])]
