"""What a notebook shows of something that is told and drawn."""

from __future__ import annotations


class Shown:
    """Has ``text()`` and ``draw()``: a notebook shows the figure, with the text for those who cannot see it, and for nbval."""

    __slots__ = ()

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        from netkit.figure.draw import make_bundle  # matplotlib takes 0.3 s, and only for those who look

        return make_bundle(self.text(), self.draw())
