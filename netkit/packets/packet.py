"""One packet: its bytes, and what they are; laid out as text and as a figure."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from netkit.packets.decode import ETHERNET, decode
from netkit.packets.headers import Header

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Packet:
    """The captured bytes of a packet. ``total`` is how many were on the wire, ``time`` nanoseconds since 1970 (UTC)."""

    data: bytes
    link: int = ETHERNET
    total: int | None = None
    time: int = field(default=0, compare=False)

    @cached_property
    def headers(self) -> tuple[Header, ...]:
        """Its headers, outermost first, what is left last."""
        return decode(self.data, self.link, total=self.total)

    def text(self) -> str:
        """A line for each header: where it begins, how long it is, and what it says."""
        from netkit.packets.text import to_text

        return to_text(self)

    __repr__ = __str__ = text

    def draw(self) -> Figure:
        """The headers side by side, those of a frame within the frame in a row of their own."""
        from netkit.figure.draw import paint
        from netkit.figure.fonts import measure
        from netkit.packets.layout import calc_layout

        return paint(calc_layout(self.headers, measure))

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        from netkit.figure.draw import make_bundle

        return make_bundle(self.text(), self.draw())
