"""From the shapes of a picture to matplotlib's artists; :mod:`netkit.figure.style` says how each looks."""

from __future__ import annotations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import BoxStyle, PathPatch
from matplotlib.path import Path
from matplotlib.text import Text as TextArtist
from matplotlib.transforms import Affine2D

from netkit.figure.fonts import calc_drawable
from netkit.figure.picture import Box, Line, Mark, Picture, Text
from netkit.figure.style import DASH, HIGHLIGHTS, PAPER, STEPS, Look, calc_look, calc_radius, calc_symbol, calc_text_colour

ANCHORS = {"start": "left", "middle": "center", "end": "right"}
CURVE = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
SIGNS = {  # a badge's strokes, in parts of its size
    "new": [[(-0.28, 0), (0.28, 0)], [(0, -0.28), (0, 0.28)]],
    "gone": [[(-0.28, 0), (0.28, 0)]],
    "changed": [[(-0.28, 0.084), (-0.084, -0.252), (0.084, 0.252), (0.28, -0.084)]],
    "cross": [[(-0.22, -0.22), (0.22, 0.22)], [(-0.22, 0.22), (0.22, -0.22)]],
}


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
        for order, shape in enumerate(self.picture.shapes):
            if isinstance(shape, Text):
                self._text(shape, order)
            elif isinstance(shape, Line):
                self._add(Path(shape.points), calc_look(shape), order)
            elif isinstance(shape, Box):
                radius = calc_radius(shape)
                outline = BoxStyle.Round(pad=0, rounding_size=radius) if radius else BoxStyle.Square(pad=0)
                self._add(outline(shape.x, shape.y, shape.width, shape.height, 1), calc_look(shape), order)
            else:
                self._mark(shape, order)
        return self.figure

    def _add(self, path: Path, look: Look, order: int) -> None:
        colours = {"facecolor": look.face, "edgecolor": look.edge}
        patch = PathPatch(path, **colours, linewidth=look.width * self.scale, zorder=order, transform=self.transform)
        if look.dash:
            patch.set_linestyle((0, tuple(part / look.width * DASH for part in look.dash)))
        self.figure.add_artist(patch)

    def _mark(self, mark: Mark, order: int) -> None:
        round_face = STEPS.get(mark.role) or (HIGHLIGHTS[mark.highlight] if mark.role == "badge" else "")
        points = calc_symbol(mark)
        path = Path([*points, points[0]], closed=True) if points and not round_face else Path.circle((mark.x, mark.y), mark.size / 2)
        self._add(path, Look(round_face, PAPER, 1.0) if round_face else calc_look(mark), order)
        for stroke in SIGNS.get(mark.highlight if mark.role == "badge" else mark.role, ()):
            placed = [(mark.x + px * mark.size, mark.y + py * mark.size) for px, py in stroke]
            look = Look(edge=PAPER, width=3.2 if mark.role == "cross" else 1.7)
            self._add(Path(placed, CURVE if len(placed) == 4 else None), look, order)

    def _text(self, text: Text, order: int) -> None:
        shown, families = calc_drawable(text.text, text.bold, text.mono)
        font = FontProperties(family=families, weight="bold" if text.bold else "normal", size=text.size * self.scale)
        plain = {"parse_math": False, "usetex": False, "verticalalignment": "baseline"}
        artist = TextArtist(text.x, text.y, shown, color=calc_text_colour(text), fontproperties=font, **plain)
        artist.set(horizontalalignment=ANCHORS[text.anchor], zorder=order, transform=self.transform)
        self.figure.add_artist(artist)
