"""Labels: what stands on bars, beside them and at a node's border, with its size, and how it is put down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from netkit.figure.picture import BASELINE, FAR, NOTE, Layer, Manner, Sheet, Words

MARGIN = 7.0  # between a label's border and what is written in it
SYMBOL, SPACE = 9.0, 6.0  # a network's symbol; between words of a line
BETWEEN = 7.0  # two labels in a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Lines of words, each in its manner, in a box of this ``role`` ("" for none), ``pad`` points above and below them.

    Before them may stand a ``chip`` and a ``mark``, behind the first line ``spare`` words if there is room.
    """

    role: str
    lines: tuple[tuple[tuple[Words, Manner], ...], ...] = ()
    about: str = ""
    network: str = ""
    highlight: str = ""
    mark: str = ""
    chip: Label | None = None
    spare: str = ""
    pad: float = 4.0

    @classmethod
    def of(cls, role: str, words: Words, manner: Manner, *more: tuple[Words, Manner], **options) -> Label:
        """One line of words, the first of which are about the same as the whole."""
        return cls(role=role, lines=(((words, manner), *more),), about=words.about, highlight=words.highlight, **options)

    @property
    def look(self) -> dict[str, str]:
        """What every shape of it has in common."""
        return {"about": self.about, "network": self.network, "highlight": self.highlight}


@dataclass(frozen=True, slots=True)
class Piece:
    """A label with its place."""

    x: float
    y: float
    width: float
    height: float
    label: Label


def calc_size(sheet: Sheet, label: Label) -> tuple[float, float]:
    """The width and height of a label."""
    if not label.lines:
        return 0.0, 3.0
    width = max(sum(sheet.calc_width(words.text, manner) + SPACE for words, manner in line) for line in label.lines) - SPACE
    tall = sum(line[0][1].height for line in label.lines) + 2 * label.pad
    if label.mark:
        width += SYMBOL + SPACE
    if label.chip:
        wide, high = calc_size(sheet, label.chip)
        width, tall = width + wide + SPACE, max(tall, high + 6)
    return width + (2 * MARGIN if label.role else 0), tall


def calc_sink(manner: Manner, smaller: Manner) -> float:
    """How much lower smaller words have to begin to stand on the baseline of others."""
    return (manner.size - smaller.size) * BASELINE


def write(sheet: Sheet, label: Label, x: float, y: float, tall: float, room: float) -> None:
    """What is written in a label, whose box is put down already."""
    margin = MARGIN if label.role else 0
    end, x = x + room - margin, x + margin
    if label.chip:
        wide, high = calc_size(sheet, label.chip)
        paint_piece(sheet, Piece(x, y + (tall - high) / 2, wide, high, label.chip))
        x += wide + SPACE
    top = y + (tall - sum(line[0][1].height for line in label.lines)) / 2
    if label.mark:
        middle = top + label.lines[0][0][1].height / 2
        sheet.mark(Layer.TEXT, x + SYMBOL / 2, middle, SYMBOL, label.mark, **label.look)
        x += SYMBOL + SPACE
    for number, line in enumerate(label.lines):
        at, first = x, line[0][1]
        for words, manner in line:
            named = replace(words, about=words.about or label.about)
            sink = top + calc_sink(first, manner)
            at += SPACE + sheet.text(at, sink, named, manner, room=end - at, tail=manner is not NOTE, network=label.network)
        if number == 0 and label.spare and at + sheet.calc_width(label.spare, FAR) + margin < end:
            sheet.text(at, top + calc_sink(first, FAR), Words(label.spare, label.about), FAR)
        top += first.height


def paint_piece(sheet: Sheet, piece: Piece) -> None:
    """Put a label down."""
    label = piece.label
    if label.role:
        sheet.box(Layer.BOX, piece.x, piece.y, piece.width, piece.height, label.role, **label.look)
    write(sheet, label, piece.x, piece.y, piece.height, piece.width)


def flow(sheet: Sheet, labels: Sequence[Label], width: float, y: float, left: float) -> tuple[list[Piece], float]:
    """The labels side by side in lines of this width; returns them and where the next line begins."""
    lines: list[list[Piece]] = []
    x = width + 1
    for label in labels:
        wide, tall = calc_size(sheet, label)
        wide = min(wide, width - left)
        if x + wide > width + 0.01:
            lines.append([])
            x = left
        lines[-1].append(Piece(x, 0, wide, tall, label))
        x += wide + BETWEEN
    pieces = []
    for line in lines:
        tall = max(piece.height for piece in line)
        pieces += [replace(piece, y=y + (tall - piece.height) / 2) for piece in line]
        y += tall + BETWEEN
    return pieces, y
