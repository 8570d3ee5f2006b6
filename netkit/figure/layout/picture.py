"""What a figure consists of: boxes, lines, marks and texts with their places, and nothing of how they are painted.

Lengths are in points (1/72 inch); x runs to the right, y downwards, as in SVG. Whoever paints a
:class:`Picture` goes through ``shapes`` from first to last and decides nothing but colours and strokes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Measure = Callable[..., float]
"""``measure(text, size, bold=False, mono=False)`` is the width of a text of ``size`` points, in points."""

NODE, NAME, PORT, FAR, NET, DETAIL, TAG, CAPTION = 13.0, 10.5, 9.0, 7.5, 10.5, 8.5, 8.5, 8.5
"""Text sizes: a node's name, a container's, an interface's, that of a wire's far end; a network's name and what is said of it …"""

LINE = 1.28  # the height of a line of text, in its size
BASELINE = 0.96  # how far below the top of its line a text's baseline lies, in its size


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle. ``about`` is what it stands for ("node1/container web"), ``network`` whose colour it has."""

    x: float
    y: float
    width: float
    height: float
    role: str
    about: str = ""
    network: str = ""
    highlight: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line through ``points``."""

    points: tuple[tuple[float, float], ...]
    role: str
    about: str = ""
    network: str = ""
    highlight: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A small symbol centred at a point: a network's own, an arrow (``in``, ``out``), or a change's (``badge``)."""

    x: float
    y: float
    size: float
    role: str
    about: str = ""
    network: str = ""
    highlight: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One line of text; ``x`` is where it begins, ends or has its middle (``anchor``), ``y`` its baseline."""

    x: float
    y: float
    text: str
    size: float
    role: str
    anchor: str = "start"
    bold: bool = False
    mono: bool = False
    about: str = ""
    network: str = ""
    highlight: str = ""


Shape = Box | Line | Mark | Text


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
