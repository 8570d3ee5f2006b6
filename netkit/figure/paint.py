"""From the shapes of a picture to matplotlib's artists; :mod:`netkit.figure.style` says how each looks.

Texts are as wide as in matplotlib's own font; another font has the letters it lacks.
"""

from __future__ import annotations

import dataclasses
import functools
import warnings

from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font, LoadFlags
from matplotlib.patches import BoxStyle, PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from netkit.figure.picture import Box, Line, Mark, Picture, Text
from netkit.figure.style import DASH, HIGHLIGHTS, PAPER, STEPS, Look, calc_look, calc_radius, calc_symbol, calc_text_colour

SANS, MONO = "DejaVu Sans", "DejaVu Sans Mono"
MISSING = "□"
CHINESE = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "Source Han Sans SC")
OTHERS = (*CHINESE, "Noto Sans", "Noto Emoji", "Symbola")
FILES = ("notosanscjk", "wqy-", "droidsansfallback", "notoemoji", "symbola")
SAFETY = 1.02  # hinting rounds the advances of letters
SCALE = 100
DOTS = 144  # per inch, unless the figure is very wide
WIDEST = 3200  # dots


@functools.cache
def _open(family: str, bold: bool) -> FT2Font:
    properties = FontProperties(family=family, weight="bold" if bold else "normal")
    font = FT2Font(font_manager.findfont(properties, fallback_to_default=False))
    font.set_size(SCALE, 72)
    return font


@functools.cache
def find_others() -> tuple[str, ...]:
    """The installed families among those that have letters which DejaVu lacks, best first."""
    if not set(OTHERS) & set(font_manager.get_font_names()):
        # matplotlib remembers the fonts of its first start: look for those installed since
        for path in font_manager.findSystemFonts():
            if any(part in path.lower() for part in FILES):
                font_manager.fontManager.addfont(path)
    found = tuple(family for family in OTHERS if family in font_manager.get_font_names())
    for family in found:
        _complete(family)
    return found


def _complete(family: str) -> None:
    """Make the manager know a family in both our weights: it complains at length about fonts that have one only."""
    entries = [entry for entry in font_manager.fontManager.ttflist if entry.name == family and entry.style == "normal"]
    for weight in (400, 700):
        if entries and not any(entry.weight == weight for entry in entries):
            nearest = min(entries, key=lambda entry: abs(int(entry.weight) - weight))
            font_manager.fontManager.ttflist.append(dataclasses.replace(nearest, weight=weight))


@functools.cache
def find_family(character: str, mono: bool, bold: bool) -> str | None:
    """The family to draw a character in: the figure's own if it has it; None if no font has it."""
    own = MONO if mono else SANS
    if _open(own, bold).get_char_index(ord(character)):
        return own
    return next((family for family in find_others() if _has(family, character)), None)


def _has(family: str, character: str) -> bool:
    try:
        return bool(_open(family, False).get_char_index(ord(character)))
    except (ValueError, RuntimeError, OSError):  # named in matplotlib's memory, but no longer there
        return False


@functools.cache
def _calc_advance(character: str, mono: bool, bold: bool) -> float:
    family = find_family(character, mono, bold)
    if family is None:
        return _calc_advance(MISSING, mono, bold)
    font = _open(family, bold and family in (SANS, MONO))
    return font.load_char(ord(character), flags=LoadFlags.NO_HINTING).linearHoriAdvance / 65536 / SCALE


@functools.lru_cache(maxsize=20_000)
def measure(text: str, size: float, bold: bool = False, mono: bool = False) -> float:
    """The width of a text of ``size`` points as :func:`calc_drawable` has it, in points."""
    return sum(_calc_advance(character, mono, bold) for character in text) * SAFETY * size


_warned: set[str] = set()


def calc_drawable(text: str, bold: bool = False, mono: bool = False) -> tuple[str, list[str]]:
    """The text with □ for what no font has, and the families to draw it in; warns once of letters that are missing."""
    own = MONO if mono else SANS
    if text.isascii():
        return text, [own]
    families = {character: find_family(character, mono, bold) for character in text}
    if missing := [character for character, family in families.items() if not family]:
        _warn(missing)
    drawn = "".join(character if families[character] else MISSING for character in text)
    return drawn, list(dict.fromkeys([own, *filter(None, families.values())]))


def _warn(missing: list[str]) -> None:
    is_cjk = any("\u2e80" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7af" for character in missing)
    kind = "Chinese, Japanese or Korean" if is_cjk else "other"
    if kind in _warned:
        return
    _warned.add(kind)
    remedy = "install fonts-noto-cjk or fonts-wqy-zenhei, then restart the kernel" if is_cjk else "no common font has them"
    some = "".join(missing[:12])
    warnings.warn(
        f"this figure has {kind} characters that no installed font has ({some}): they are drawn as {MISSING}; {remedy}", stacklevel=2
    )


ANCHORS = {"start": "left", "middle": "center", "end": "right"}
CURVE = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
SIGNS = {  # a badge's strokes, in parts of its size
    "new": [[(-0.28, 0), (0.28, 0)], [(0, -0.28), (0, 0.28)]],
    "gone": [[(-0.28, 0), (0.28, 0)]],
    "changed": [[(-0.28, 0.084), (-0.084, -0.252), (0.084, 0.252), (0.28, -0.084)]],
    "cross": [[(-0.22, -0.22), (0.22, 0.22)], [(-0.22, 0.22), (0.22, -0.22)]],
}


def paint(picture: Picture, *, width: float | None = None) -> Figure:
    """A figure of a layout, without any state of pyplot; ``width`` in inches."""
    return Painter(picture, width).paint()


class Painter:
    """Paints one picture; a ``width`` in inches enlarges everything, text included."""

    def __init__(self, picture: Picture, width: float | None) -> None:
        self.picture, self.scale = picture, width * 72 / picture.width if width else 1.0
        inches = self.scale / 72
        size = (picture.width * inches, picture.height * inches)
        self.figure = Figure(figsize=size, dpi=min(DOTS, WIDEST / size[0]), facecolor=PAPER, layout="none")
        FigureCanvasAgg(self.figure)
        # pictures count y downwards, from the upper edge
        self.transform = Affine2D().scale(inches, -inches).translate(0, size[1]) + self.figure.dpi_scale_trans

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
        place = {"horizontalalignment": ANCHORS[text.anchor], "verticalalignment": "baseline", "transform": self.transform, "zorder": order}
        colour = calc_text_colour(text)
        self.figure.text(text.x, text.y, shown, color=colour, fontproperties=font, parse_math=False, usetex=False, **place)
