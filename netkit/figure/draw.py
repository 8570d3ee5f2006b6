"""A topology as a matplotlib figure. The layout decides everything but colours and strokes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from netkit.figure.layout import calc_layout
from netkit.figure.layout.picture import Picture
from netkit.network.model import Topology

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS = 144  # per inch, unless the figure is very wide
WIDEST = 2600  # dots
COLOURS = 64  # of a PNG
SALT = "netkit"
INSTEAD, INSTEAD_MONO = ", Verdana, sans-serif", ", Menlo, monospace"


def draw(
    topology: Topology,
    *,
    show: Iterable[str] = ("addresses",),
    node: str | None = None,
    focus: Iterable[str] = (),
    diff: object | None = None,
    width: float | None = None,
) -> Figure:
    """A figure of a topology, without any state of pyplot.

    ``show`` is any of addresses, macs, routes, rules, and terms (container, sandbox, endpoint, network); ``node`` draws
    that node alone; ``focus`` names containers to show, the others being counted; ``diff`` marks what has changed. ``width`` is in inches; without it, text
    has its own size. Raises NetkitError for a word, node or container that there is not.
    """
    from netkit.figure.fonts import measure

    picture = calc_layout(topology, show=show, node=node, focus=focus, diff=diff, measure=measure)
    return paint(picture, width=width)


def paint(picture: Picture, *, width: float | None = None) -> Figure:
    """A figure of a layout; ``width`` in inches."""
    from netkit.figure.paint import Painter

    scale = width * 72 / picture.width if width else 1.0
    inches = picture.width / 72 * scale
    return Painter(picture, scale, dpi=min(DOTS, WIDEST / inches)).paint()


def to_png(figure: Figure) -> bytes:
    """The figure as PNG, with a palette (a third of the size): the same bytes for the same figure."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    buffer = io.BytesIO()
    canvas = FigureCanvasAgg(figure)
    # letters fitted to pixels are wider or narrower than the layout measured them
    with matplotlib.rc_context({"text.hinting": "none"}):
        canvas.draw()
    pixels = Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")
    pixels = pixels.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    # the palette's white is an average of nearly white ones
    pixels.putpalette([255 if value > 251 else value for value in pixels.getpalette() or ()])
    pixels.save(buffer, format="png", dpi=(figure.dpi, figure.dpi), compress_level=9)
    return buffer.getvalue()


def to_svg(figure: Figure) -> str:
    """The figure as SVG, its texts being texts: the same for the same figure."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": SALT, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # a browser without the font takes one of the same widths
    return re.sub(
        r"font-family: 'DejaVu Sans( Mono)?'", lambda match: match[0] + (INSTEAD_MONO if match[1] else INSTEAD), buffer.getvalue()
    )
