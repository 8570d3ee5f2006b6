"""Colours and symbols: each network keeps its own in every figure of a process.

The hues are those of Okabe and Ito, which colour-blind readers can tell apart, darkened where lines on white
need it. No network is told by its colour alone: each has a symbol and its name as well.
"""

from __future__ import annotations

from dataclasses import dataclass

INK, SOFT, PAPER, STACK = "#1b1f23", "#545b63", "#ffffff", "#eceff2"
"""Text and lines; smaller text; the figure's ground; a node's own network stack."""

HIGHLIGHTS = {"new": "#00664a", "gone": "#6b7280", "changed": "#a34700"}
WAY, CHANGE, TUNNEL, DROPPED = "#ffb000", "#a8007a", "#5b3fa8", "#c40000"
"""A packet's way; where its addresses changed; where it was wrapped; where it was dropped."""

SYMBOLS = ("circle", "diamond", "triangle", "pentagon", "wedge", "hexagon", "star", "square")


@dataclass(frozen=True, slots=True)
class Style:
    """How a network looks: ``line`` for wires and outlines, ``fill`` for bars, and its symbol."""

    line: str
    fill: str
    symbol: str


def mix(colour: str, part: float) -> str:
    """The colour with so much (0 to 1) of it left, the rest being white."""
    channels = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - channel) * part):02x}" for channel in channels)


def _make(colour: str, symbol: str) -> Style:
    return Style(colour, mix(colour, 0.17), symbol)


FIXED = {
    "": Style(INK, PAPER, "square"),
    "bridge": _make("#0072b2", "square"),
    "ingress": _make("#d55e00", "triangle"),
    "docker_gwbridge": _make("#8a6d00", "wedge"),
    "LAN": Style("#3c434a", "#d5dade", "square"),
}
PALETTE = ("#008a64", "#b3538a", "#c77f00", "#2f93cf", "#6a51a3", "#8a5a44", "#5f7d1f")


class Colours:
    """Gives each network a style when it is first asked for, and the same ever after."""

    def __init__(self) -> None:
        self._styles = dict(FIXED)

    def style(self, network: str) -> Style:
        """The style of a network, by its name."""
        if network not in self._styles:
            number = len(self._styles) - len(FIXED)
            # one colour with another symbol is another style: the two run through at different paces
            symbol = SYMBOLS[(number + number // (len(PALETTE) * len(SYMBOLS))) % len(SYMBOLS)]
            self._styles[network] = _make(PALETTE[number % len(PALETTE)], symbol)
        return self._styles[network]


colours = Colours()
"""The styles of this process."""
