"""Where shapes are put down, and how wide and high texts are."""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum, auto

from netkit.figure.layout.picture import BASELINE, LINE, Box, Line, Mark, Measure, Picture, Shape, Text
from netkit.figure.layout.words import elide


class Layer(IntEnum):
    """What lies above what, the hindmost first."""

    BACK = auto()
    NODE = auto()
    REGION = auto()
    BAR = auto()
    GAP = auto()
    WIRE = auto()
    BOX = auto()
    PLUG = auto()
    TEXT = auto()
    BADGE = auto()


class Sheet:
    """Collects the shapes of a picture."""

    def __init__(self, measure: Measure) -> None:
        self.measure = measure
        self._shapes: list[tuple[Layer, Shape]] = []

    def add(self, layer: Layer, shape: Shape) -> None:
        """Put a shape down on a layer, above what is there already."""
        self._shapes.append((layer, shape))

    def box(self, layer: Layer, x: float, y: float, width: float, height: float, role: str, **more) -> None:
        """Put down a rectangle; a highlighted one gets its badge."""
        self.add(layer, Box(x=x, y=y, width=width, height=height, role=role, **more))
        if more.get("highlight"):
            # above a bar's corners stand the names of its wires' ends
            at = y + height / 2 if layer is Layer.BAR else y
            self.add(Layer.BADGE, Mark(x=x, y=at, size=11, role="badge", highlight=more["highlight"]))

    def line(self, layer: Layer, points: list[tuple[float, float]], role: str, **more) -> None:
        """Put down a line."""
        self.add(layer, Line(points=tuple(points), role=role, **more))

    def mark(self, layer: Layer, x: float, y: float, size: float, role: str, **more) -> None:
        """Put down a symbol."""
        self.add(layer, Mark(x=x, y=y, size=size, role=role, **more))

    def text(
        self, x: float, top: float, text: str, size: float, role: str, *, room: float | None = None, tail: bool = True, **more
    ) -> None:
        """Put down a line of text whose box begins at ``top``, elided to ``room``, its end kept if ``tail``."""
        if room is not None:
            text = elide(text, room, size, self.measure, bold=more.get("bold", False), mono=more.get("mono", False), tail=tail)
        if text:
            self.add(Layer.TEXT, Text(x=x, y=top + BASELINE * size, text=text, size=size, role=role, **more))

    def done(self, width: float, height: float) -> Picture:
        """The picture of everything that was put down."""
        ordered = sorted(self._shapes, key=lambda each: each[0])
        return Picture(width=_round(width), height=_round(height), shapes=tuple(_round_shape(shape) for _, shape in ordered))


def _round(value: float) -> float:
    return round(value, 2)


def _round_shape(shape: Shape) -> Shape:
    if isinstance(shape, Line):
        return replace(shape, points=tuple((_round(x), _round(y)) for x, y in shape.points))
    if isinstance(shape, Box):
        return replace(shape, x=_round(shape.x), y=_round(shape.y), width=_round(shape.width), height=_round(shape.height))
    return replace(shape, x=_round(shape.x), y=_round(shape.y))


def calc_sink(size: float, smaller: float) -> float:
    """How much lower a smaller text has to begin to stand on the baseline of one of ``size`` points."""
    return (size - smaller) * BASELINE


def height(size: float, lines: int = 1) -> float:
    """The height of some lines of text."""
    return size * LINE * lines
