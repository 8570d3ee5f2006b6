"""A topology as learners know it: the value of :mod:`netkit.network.model`, which also tells and draws itself."""

from __future__ import annotations

from dataclasses import dataclass

from netkit.network import model
from netkit.network.describe import to_text
from netkit.network.difference import calc_diff


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Topology(model.Topology):
    """The network of some nodes at one moment, as it is captured."""

    def text(self, **options) -> str:
        """The network in words, the same every time: see :func:`netkit.network.describe.to_text` for the options."""
        return to_text(self, **options)

    def draw(self, **options):
        """The network as a ``matplotlib.figure.Figure``: see :func:`netkit.figure.draw.draw` for the options."""
        from netkit.figure.draw import draw  # matplotlib takes 0.3 s, and only for those who look

        return draw(self, **options)

    def diff(self, other: Topology):
        """What is different in ``other``, usually a later capture: a :class:`netkit.network.difference.Diff`."""
        return calc_diff(self, other)

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        """For notebooks: the figure, with the text for those who cannot see it, and for nbval."""
        from netkit.figure.draw import make_bundle

        return make_bundle(self.text(), self.draw())
