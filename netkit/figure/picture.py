"""What a figure consists of: boxes, lines, marks and texts with their places; and the sheet on which they are put down.

Lengths are in points (1/72 inch); x runs to the right, y downwards, as in SVG. Whoever paints a
:class:`Picture` goes through ``shapes`` from first to last and decides nothing but colours and strokes.
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

Measure = Callable[..., float]
"""``measure(text, size, bold=False, mono=False)`` is the width of a text of ``size`` points, in points."""

LINE = 1.28  # the height of a line of text, in its size
BASELINE = 0.96  # how far below the top of its line a text's baseline lies, in its size
LOOKED_AT = 400  # characters of a text: no figure has room for more
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
ELLIPSIS = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What all shapes have in common.

    ``about`` is what one stands for ("node1/container web"), ``network`` whose colour it has, ``style`` the number
    of that network's style among those of the picture (below 0: the one that its name alone would get).
    """

    role: str
    about: str = ""
    network: str = ""
    highlight: str = ""
    style: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Box(Shape):
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Shape):
    """A line through ``points``."""

    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark(Shape):
    """A small symbol centred at a point: a network's own, an arrow (``in``, ``out``), or a change's (``badge``)."""

    x: float
    y: float
    size: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Shape):
    """One line of text; ``x`` is where it begins, ends or has its middle (``anchor``), ``y`` its baseline."""

    x: float
    y: float
    text: str
    size: float
    anchor: str = "start"
    bold: bool = False
    mono: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure: its size, and what to paint, the hindmost first."""

    width: float
    height: float
    shapes: tuple[Shape, ...] = ()

    @property
    def texts(self) -> tuple[Text, ...]:
        """Every text."""
        return tuple(shape for shape in self.shapes if isinstance(shape, Text))

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Every rectangle."""
        return tuple(shape for shape in self.shapes if isinstance(shape, Box))

    @property
    def lines(self) -> tuple[Line, ...]:
        """Every line."""
        return tuple(shape for shape in self.shapes if isinstance(shape, Line))


@dataclass(frozen=True, slots=True)
class Words:
    """A text, what it stands for, and how that has changed."""

    text: str
    about: str = ""
    highlight: str = ""


NOTHING = Words("")


@dataclass(frozen=True, slots=True)
class Manner:
    """How words are written: their size and role, and how long they may become, in points."""

    size: float
    role: str
    bold: bool = False
    mono: bool = False
    longest: float = float("inf")

    @property
    def height(self) -> float:
        """The height of a line."""
        return self.size * LINE


NODE = Manner(13.0, "node", bold=True, longest=260.0)
NAME = Manner(10.5, "name", bold=True, longest=150.0)
NET = Manner(10.5, "net", bold=True, longest=190.0)
PORT = Manner(9.0, "port", bold=True, longest=150.0)
ADDRESS = Manner(9.0, "address", mono=True)
DETAIL = Manner(8.5, "detail", mono=True, longest=260.0)
ASIDE = Manner(8.5, "aside", longest=190.0)
CAPTION = Manner(8.5, "caption")
TAG = Manner(8.5, "tag")
FAR = Manner(7.5, "far", mono=True, longest=120.0)
NOTE = Manner(7.5, "note", mono=True)
SMALL = Manner(7.5, "caption")
HEADING = Manner(7.5, "caption", bold=True)


def calc_clean(text: str) -> str:
    """The text with control characters, bidi overrides and the like told as escapes; spaces alone are told, too."""
    if text.isascii() and text.isprintable() and text.strip():
        return text[:LOOKED_AT]
    text = unicodedata.normalize("NFC", text[: 4 * LOOKED_AT])
    if not text.strip():
        return repr(text)
    shown, marks = [], 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        # more than two marks on one letter climb into the line above
        if category in INVISIBLE or marks > 2:
            character = r"\e" if character == "\x1b" else character.encode("unicode_escape").decode()
        shown.append(character)
    return "".join(shown)[:LOOKED_AT]


def elide(text: str, width: float, size: float, measure: Measure, *, bold: bool = False, mono: bool = False, tail: bool = True) -> str:
    """The text, or as much of its beginning and (with ``tail``) its end as fits ``width`` around an ellipsis."""

    def cut(kept: int) -> str:
        head = (kept + 1) // 2 if tail else kept
        return text[:head] + ELLIPSIS + text[len(text) - (kept - head) :]

    def calc_width(text: str) -> float:
        return measure(text, size, bold=bold, mono=mono)

    if calc_width(text) <= width:
        return text
    # each letter more makes it wider
    return cut(bisect.bisect_right(range(1, len(text)), width, key=lambda kept: calc_width(cut(kept))))


def natural(name: str) -> list:
    """A key that sorts web2 before web10."""
    return [(not part.isdigit(), int(part) if part.isdigit() and part.isascii() else 0, part) for part in re.split(r"(\d+)", name)]


Layer = IntEnum("Layer", "BACK NODE REGION BAR GAP WIRE BOX PLUG TEXT BADGE")
"""What lies above what, the hindmost first."""


class Sheet:
    """Collects the shapes of a picture; ``styles`` has the number of each network's style."""

    def __init__(self, measure: Measure, styles: Mapping[str, int]) -> None:
        self.measure, self._styles = measure, styles
        self._shapes: list[tuple[Layer, Shape]] = []

    def calc_width(self, text: str, manner: Manner) -> float:
        """How wide a text is, or may be."""
        return min(self.measure(text, manner.size, bold=manner.bold, mono=manner.mono), manner.longest)

    def box(self, layer: Layer, x: float, y: float, width: float, height: float, role: str, **more) -> None:
        """Put down a rectangle; a highlighted one gets its badge."""
        self._add(layer, Box(x=round(x, 2), y=round(y, 2), width=round(width, 2), height=round(height, 2), role=role, **more))
        if more.get("highlight"):
            # above a bar's corners stand the names of its wires' ends
            at = y + height / 2 if layer is Layer.BAR else y
            self.mark(Layer.BADGE, x, at, 11, "badge", highlight=more["highlight"])

    def line(self, layer: Layer, points: Sequence[tuple[float, float]], role: str, **more) -> None:
        """Put down a line."""
        self._add(layer, Line(points=tuple((round(x, 2), round(y, 2)) for x, y in points), role=role, **more))

    def mark(self, layer: Layer, x: float, y: float, size: float, role: str, **more) -> None:
        """Put down a symbol."""
        self._add(layer, Mark(x=round(x, 2), y=round(y, 2), size=size, role=role, **more))

    def text(self, x: float, top: float, words: Words, manner: Manner, *, room: float | None = None, tail: bool = True, **more) -> float:
        """Put down a line of text whose box begins at ``top``, elided to ``room``, its end kept if ``tail``; returns its width."""
        font = {"bold": manner.bold, "mono": manner.mono}
        room = manner.longest if room is None else min(room, manner.longest)
        text = elide(words.text, room + 0.01, manner.size, self.measure, tail=tail, **font)
        if text:
            y = round(top + BASELINE * manner.size, 2)
            more = {"role": manner.role, "about": words.about, "highlight": words.highlight} | font | more
            self._add(Layer.TEXT, Text(x=round(x, 2), y=y, text=text, size=manner.size, **more))
        return self.calc_width(text, manner)

    def _add(self, layer: Layer, shape: Shape) -> None:
        self._shapes.append((layer, replace(shape, style=self._styles.get(shape.network, -1))))

    def done(self, width: float, height: float) -> Picture:
        """The picture of everything that was put down."""
        ordered = sorted(self._shapes, key=lambda each: each[0])
        return Picture(width=round(width, 2), height=round(height, 2), shapes=tuple(shape for _, shape in ordered))
