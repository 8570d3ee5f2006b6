"""One box put down on the sheet, with its texts."""

from __future__ import annotations

from netkit.figure.layout.arrange import INSET, LONGEST, LONGEST_FACT, Spot
from netkit.figure.layout.picture import CAPTION, DETAIL, NAME, PORT
from netkit.figure.layout.plan import Port
from netkit.figure.layout.sheet import Layer, Sheet, height


class SpotPainter:
    """Paints one box; ``origin`` is the x of its node."""

    def __init__(self, sheet: Sheet, spot: Spot, origin: float) -> None:
        self.sheet, self.spot, self.item, self.origin = sheet, spot, spot.item, origin

    def paint(self, y: float, tall: float) -> None:
        """Put the box down; it is as tall as its row."""
        item, x = self.item, self.origin + self.spot.x
        if item.kind == "more":
            for shift in (6, 3):
                self.sheet.box(Layer.WIRE, x + shift, y - shift, self.spot.width - shift, tall, "more", about=item.about)
        self.sheet.box(Layer.BOX, x, y, self.spot.width, tall, item.kind, about=item.about, highlight=item.highlight)
        top = self._paint_ports(self.spot.ups, y + INSET, down=False)
        self._paint_middle(x + self.spot.width / 2, top)
        self._paint_ports(self.spot.downs, y + tall - INSET, down=True)

    def _paint_middle(self, x: float, top: float) -> None:
        item, sheet = self.item, self.sheet
        room = self.spot.width - 2 * INSET
        several = len(item.titles) > 1
        for title in item.titles:
            if several:
                width = min(sheet.measure(title.text, NAME, bold=True), room - 8) + 10
                sheet.box(Layer.BOX, x - width / 2, top, width, height(NAME) + 3, "tenant", about=title.about)
            more = {"anchor": "middle", "bold": True, "about": title.about, "highlight": title.highlight}
            sheet.text(x, top + (1.5 if several else 0), title.text, NAME, "name", room=room - (8 if several else 0), **more)
            top += height(NAME) + (7 if several else 0)
        if item.caption:
            sheet.text(x, top, item.caption, CAPTION, "caption", anchor="middle", room=room, about=item.about)
            top += height(CAPTION)
        for fact in item.facts:
            sheet.text(x, top, fact.text, DETAIL, "detail", anchor="middle", mono=True, room=min(room, LONGEST_FACT), about=fact.about)
            top += height(DETAIL)

    def _paint_ports(self, ports: tuple[tuple[Port, float], ...], y: float, down: bool) -> float:
        """The names and addresses at an edge: below ``y``, or above it; returns where the rest of the box begins."""
        lowest = y
        for port, x in ports:
            if not port.name.text:
                continue
            tall = height(PORT, 1 + len(port.lines))
            top = y - tall if down else y
            more = {"anchor": "middle", "about": port.name.about, "highlight": port.name.highlight}
            self.sheet.text(self.origin + x, top, port.name.text, PORT, "port", bold=True, room=LONGEST, **more)
            for number, line in enumerate(port.lines, 1):
                self.sheet.text(self.origin + x, top + height(PORT, number), line, PORT, "address", mono=True, **more)
            lowest = max(lowest, top + tall + 3)
        return lowest
