"""From the shapes of a picture to matplotlib's artists; :mod:`netkit.figure.looks` says how each looks."""

from __future__ import annotations

from dataclasses import replace

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.text import Text as TextArtist
from matplotlib.transforms import Affine2D

from netkit.figure.colours import HIGHLIGHTS, PAPER
from netkit.figure.fonts import calc_drawable
from netkit.figure.layout.picture import Box, Line, Mark, Picture, Text
from netkit.figure.looks import BOXES, DASH, LINES, STEPS, Look, calc_mark_look, calc_radius, calc_style, calc_symbol, calc_text_colour

BEND = 0.5523  # of a quarter circle's control points


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
        style = calc_style(look, shape)
        patch = PathPatch(
            path,
            facecolor=style.face,
            edgecolor=style.edge,
            linewidth=style.width * self.scale,
            zorder=order,
            capstyle="butt",
            joinstyle="miter",
        )
        if style.dash:
            patch.set_linestyle((0, tuple(part / style.width * DASH for part in style.dash)))
        patch.set_transform(self.transform)
        self.figure.add_artist(patch)

    def _box(self, box: Box, order: int) -> None:
        self._add(_make_box(box, calc_radius(box)), BOXES[box.role], box, order)

    def _line(self, line: Line, order: int) -> None:
        self._add(Path(line.points), LINES[line.role], line, order)

    def _mark(self, mark: Mark, order: int) -> None:
        if mark.role == "badge":
            self._badge(mark, order)
            return
        if mark.role in STEPS:
            self._step(mark, order)
            return
        self._add(_make_symbol(mark), calc_mark_look(mark), replace(mark, highlight=""), order)

    def _step(self, mark: Mark, order: int) -> None:
        plain = replace(mark, highlight="")
        self._add(Path.circle((mark.x, mark.y), mark.size / 2), Look(STEPS[mark.role], PAPER, 1.0), plain, order)
        if mark.role == "cross":
            reach = mark.size * 0.22
            for dy in (reach, -reach):
                stroke = Path([(mark.x - reach, mark.y - dy), (mark.x + reach, mark.y + dy)])
                self._add(stroke, Look(edge=PAPER, width=3.2), plain, order)

    def _badge(self, mark: Mark, order: int) -> None:
        colour, plain = HIGHLIGHTS[mark.highlight], Mark(x=mark.x, y=mark.y, size=mark.size, role="badge")
        self._add(Path.circle((mark.x, mark.y), mark.size / 2), Look(colour, PAPER, 1.0), plain, order)
        reach = mark.size * 0.28
        for path in _make_sign(mark.highlight, mark.x, mark.y, reach):
            self._add(path, Look(edge=PAPER, width=1.7), plain, order)

    def _text(self, text: Text, order: int) -> None:
        shown, families = calc_drawable(text.text, text.bold, text.mono)
        artist = TextArtist(
            text.x,
            text.y,
            shown,
            color=calc_text_colour(text),
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


def _make_symbol(mark: Mark) -> Path:
    points = calc_symbol(mark)
    return Path([*points, points[0]], closed=True) if points else Path.circle((mark.x, mark.y), mark.size / 2)


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
