"""The lowest part of a node: who shares its own stack, its further interfaces, its rules, and what is at its border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from netkit.figure.layout.arrange import ARROW, INSET, LONGEST, calc_chip_width, calc_tag_width
from netkit.figure.layout.picture import CAPTION, DETAIL, FAR, NAME, PORT, TAG, Measure
from netkit.figure.layout.plan import IN, Item, NodePlan, Note, Tag, Words
from netkit.figure.layout.sheet import Layer, Sheet, height
from netkit.figure.layout.words import elide

CHIP = 19.0  # the height of a label on the border
BETWEEN = 7.0
STACK = "host network namespace"


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing with its place, counted from the foot's upper left corner."""

    x: float
    y: float
    width: float
    height: float
    what: Item | Tag | Words | Note


@dataclass(frozen=True, slots=True)
class Foot:
    """The pieces, and the height of all but the half of the last line that lies outside of the border."""

    pieces: tuple[Piece, ...]
    height: float


def calc_foot(plan: NodePlan, measure: Measure, width: float, inset: float = 0.0) -> Foot:
    """The foot of a node whose inside is so wide; all but its last line stands ``inset`` to the right."""
    boxes: list[tuple[float, float, Item | Tag | Words | Note]] = []
    if plan.nets or plan.guests or plan.extras or plan.items:
        stack = Words(text=STACK + (", shared by" if plan.guests else ""), about="caption")
        boxes.append((measure(stack.text, CAPTION) + 2, height(CAPTION) + 2, stack))
    for guest in plan.guests:
        boxes.append((min(measure(guest.titles[0].text, NAME, bold=True), LONGEST) + 2 * INSET + 2, 22.0, guest))
    for words in plan.extras:
        boxes.append((min(measure(words.text, DETAIL, mono=True) + 2 * INSET, width - inset), CHIP, words))
    pieces, y = _flow(boxes, width, 0.0, inset)
    notes, y = _flow([(*calc_note_size(note, measure, width - inset), note) for note in plan.notes], width, y, inset)
    chips = [(min(calc_chip_width(each, measure), width), CHIP, each) for each in plan.uplinks]
    tags = [(min(calc_tag_width(each, measure), width - inset), CHIP, each) for each in plan.tags]
    taken = sum(chip[0] + BETWEEN for chip in chips)
    beside = _count_fitting([tag[0] for tag in tags], width - taken)
    above, y = _flow(tags[beside:], width, y, inset)
    border, _ = _flow([*chips, *tags[:beside]], max(width, taken), y, 0.0)
    return Foot((*pieces, *notes, *above, *border), y + (CHIP / 2 if border else 2.0))


def _count_fitting(widths: Sequence[float], room: float) -> int:
    count = 0
    for each in widths:
        room -= each + BETWEEN
        if room + BETWEEN < 0:
            break
        count += 1
    return count


def _flow(
    boxes: Sequence[tuple[float, float, Item | Tag | Words | Note]], width: float, y: float, left: float
) -> tuple[list[Piece], float]:
    """The boxes side by side in lines of this width; returns them and where the next line begins."""
    lines: list[list[Piece]] = []
    x = width + 1
    for wide, tall, what in boxes:
        if x + wide > width + 0.01:
            lines.append([])
            x = left
        lines[-1].append(Piece(x, 0, wide, tall, what))
        x += wide + BETWEEN
    pieces = []
    for line in lines:
        tall = max(piece.height for piece in line)
        pieces += [replace(piece, y=y + (tall - piece.height) / 2) for piece in line]
        y += tall + BETWEEN
    return pieces, y


def paint_foot(sheet: Sheet, foot: Foot, plan: NodePlan, x: float, y: float) -> dict[str, Piece]:
    """Put the pieces down; returns those of the cables, by interface, with their final places."""
    links = {}
    for piece in foot.pieces:
        placed = replace(piece, x=x + piece.x, y=y + piece.y)
        paint_piece(sheet, placed, plan)
        if isinstance(piece.what, Item) and piece.what.kind == "uplink":
            links[piece.what.about] = placed
    return links


def paint_piece(sheet: Sheet, piece: Piece, plan: NodePlan) -> None:
    """Put one piece down where it is."""
    if isinstance(piece.what, Tag):
        _paint_tag(sheet, piece, piece.what)
    elif isinstance(piece.what, Words):
        _paint_words(sheet, piece, piece.what)
    elif isinstance(piece.what, Item):
        _paint_item(sheet, piece, piece.what)
    else:
        _paint_note(sheet, piece, piece.what, plan)


def _paint_tag(sheet: Sheet, piece: Piece, tag: Tag) -> None:
    more = {"about": tag.about, "network": tag.network, "highlight": tag.highlight}
    sheet.box(Layer.BOX, piece.x, piece.y, piece.width, piece.height, "tag", **more)
    role = "in" if tag.direction == IN else "out"
    sheet.mark(Layer.TEXT, piece.x + INSET + ARROW / 2 - 2, piece.y + piece.height / 2, 9, role, **more)
    room = piece.width - ARROW - 2 * INSET + 0.01
    top = piece.y + (piece.height - height(TAG)) / 2
    sheet.text(piece.x + INSET + ARROW, top, tag.text, TAG, "tag", room=room, **more)


def _paint_words(sheet: Sheet, piece: Piece, words: Words) -> None:
    if words.about == "caption":
        sheet.text(piece.x, piece.y + (piece.height - height(CAPTION)) / 2, words.text, CAPTION, "caption", room=piece.width)
        return
    sheet.box(Layer.BOX, piece.x, piece.y, piece.width, piece.height, "extra", about=words.about, highlight=words.highlight)
    top = piece.y + (piece.height - height(DETAIL)) / 2
    room = piece.width - 2 * INSET + 0.01
    sheet.text(piece.x + INSET, top, words.text, DETAIL, "port", mono=True, room=room, about=words.about, highlight=words.highlight)


def _paint_item(sheet: Sheet, piece: Piece, item: Item) -> None:
    is_guest = item.kind == "guest"
    sheet.box(Layer.BOX, piece.x, piece.y, piece.width, piece.height, item.kind, about=item.titles[0].about, highlight=item.highlight)
    size = NAME if is_guest else PORT
    text = elide(item.titles[0].text, LONGEST, size, sheet.measure, bold=True)
    x, top = piece.x + INSET, piece.y + (piece.height - height(size)) / 2
    more = {"about": item.titles[0].about, "highlight": item.titles[0].highlight}
    sheet.text(x, top, text, size, "name" if is_guest else "port", bold=True, **more)
    x += sheet.measure(text, size, bold=True) + 6
    for fact in item.facts:
        room = piece.x + piece.width - x
        sheet.text(x, top, fact.text, PORT, "address", mono=True, room=room, about=fact.about, highlight=fact.highlight)
        x += sheet.measure(fact.text, PORT, mono=True) + 6


def calc_note_size(note: Note, measure: Measure, widest: float) -> tuple[float, float]:
    """The width and height of some lines in a box."""
    lines = max(measure(line, FAR, mono=True) for line in note.lines)
    width = max(lines, measure(note.title, FAR, bold=True)) + 2 * INSET
    return min(width, widest), height(FAR, len(note.lines) + 1) + 8


def _paint_note(sheet: Sheet, piece: Piece, note: Note, plan: NodePlan) -> None:
    about, room = f"{plan.about}/host", piece.width - 2 * INSET + 0.01
    sheet.box(Layer.BOX, piece.x, piece.y, piece.width, piece.height, "notes", about=about)
    x, top = piece.x + INSET, piece.y + 4
    sheet.text(x, top, note.title, FAR, "caption", bold=True, room=room, about=about)
    for number, line in enumerate(note.lines, 1):
        sheet.text(x, top + height(FAR, number), line, FAR, "note", mono=True, room=room, tail=False, about=about)
