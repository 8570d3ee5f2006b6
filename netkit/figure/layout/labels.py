"""What is written on bars: a network's symbol and name, and what is to be said of it."""

from __future__ import annotations

from dataclasses import dataclass

from netkit.figure.layout.picture import DETAIL, FAR, NET, Measure
from netkit.figure.layout.plan import Net
from netkit.figure.layout.sheet import Layer, Sheet, calc_sink, height
from netkit.figure.layout.words import elide

SYMBOL = 9.0  # the width of a network's symbol
INDENT = 8.0  # within a bar, on either side
LONGEST = 190.0  # of a name, in points
SPACE = 5.0


@dataclass(frozen=True, slots=True)
class Run:
    """Some words of a line in one manner."""

    text: str
    size: float
    role: str
    width: float
    bold: bool = False
    mono: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """The writing on a bar, with its size; ``spare`` is added where there is room."""

    lines: tuple[tuple[Run, ...], ...] = ()
    chip: tuple[Run, ...] = ()
    symbol: bool = False
    spare: Run | None = None

    @property
    def chip_width(self) -> float:
        """The width of the tunnel's end, with the space after it."""
        return max(run.width for run in self.chip) + 10 + SPACE if self.chip else 0.0

    @property
    def width(self) -> float:
        """The width of everything, margins included."""
        widest = max((_calc_width(line) for line in self.lines), default=0.0)
        return self.chip_width + (SYMBOL + SPACE if self.symbol else 0) + widest + 2 * INDENT if self.lines else 0.0

    @property
    def height(self) -> float:
        """The height of the bar."""
        texts = sum(height(line[0].size) for line in self.lines)
        chip = sum(height(run.size) for run in self.chip) + 8
        return max(texts + 5, chip if self.chip else 0) if self.lines else 3.0


def _calc_width(line: tuple[Run, ...]) -> float:
    return sum(run.width for run in line) + SPACE * (len(line) - 1)


def make_run(measure: Measure, text: str, size: float, role: str, bold: bool = False, mono: bool = False, longest: float = LONGEST) -> Run:
    """Words of one manner, elided if need be, with their width."""
    text = elide(text, longest, size, measure, bold=bold, mono=mono)
    return Run(text, size, role, measure(text, size, bold=bold, mono=mono), bold, mono)


def calc_label(net: Net, measure: Measure, short: bool = False) -> Label:
    """What is written on a net's bar; ``short`` where another bar of the same net says it all."""
    if net.kind == "pair":
        return Label()
    plain = net.kind == "chip"
    first = [make_run(measure, net.title, DETAIL if plain else NET, "net", not plain, plain)]
    if net.aside and not short:
        first.append(make_run(measure, net.aside, DETAIL, "aside"))
    details = () if short else tuple((make_run(measure, text, DETAIL, "detail", mono=True, longest=260),) for text in net.details)
    chip = ()
    if net.vtep and not short:
        chip = (make_run(measure, net.vtep.name.text, DETAIL, "port", mono=True), make_run(measure, f"VNI {net.vtep.vni}", FAR, "caption"))
    spare = make_run(measure, net.spare, FAR, "far", mono=True) if net.spare and not short else None
    return Label((tuple(first), *details), chip, not plain, spare)


def paint_label(sheet: Sheet, label: Label, net: Net, x: float, y: float, tall: float, room: float) -> None:
    """Write a label into a bar that begins at ``y``."""
    x += INDENT
    if label.chip and net.vtep:
        width, high = label.chip_width - SPACE, sum(height(run.size) for run in label.chip) + 2
        top = y + (tall - high) / 2
        sheet.box(Layer.BOX, x, top, width, high, "vtep", about=net.vtep.name.about, network=net.name)
        for run in label.chip:
            sheet.text(x + width / 2, top + 1, run.text, run.size, run.role, anchor="middle", mono=run.mono, about=net.vtep.name.about)
            top += height(run.size)
        x += label.chip_width
    top = y + (tall - sum(height(line[0].size) for line in label.lines)) / 2
    for number, line in enumerate(label.lines):
        at = x
        if label.symbol:
            if number == 0:
                sheet.mark(Layer.TEXT, at + SYMBOL / 2, top + height(line[0].size) / 2, SYMBOL, "symbol", about=net.about, network=net.name)
            at += SYMBOL + SPACE
        for run in line:
            # smaller words of a line share the first one's baseline
            sink = calc_sink(line[0].size, run.size)
            sheet.text(at, top + sink, run.text, run.size, run.role, bold=run.bold, mono=run.mono, about=net.about, network=net.name)
            at += run.width + SPACE
        if number == 0 and label.spare and at + label.spare.width + INDENT < x + room - 2 * INDENT - label.chip_width:
            sheet.text(at, top + calc_sink(line[0].size, FAR), label.spare.text, FAR, "far", mono=True, about=net.about)
        top += height(line[0].size)
