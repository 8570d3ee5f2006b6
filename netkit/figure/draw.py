"""A topology as a matplotlib figure, and what a figure leaves as: PNG, SVG, a notebook's output, a file."""

from __future__ import annotations

import base64
import io
import os
import re
import sys
from typing import TYPE_CHECKING

from netkit.errors import NetkitError
from netkit.figure.layout import calc_layout
from netkit.network.model import Topology

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = 64  # of a PNG
INSTEAD = {None: ", Verdana, sans-serif", " Mono": ", Menlo, monospace"}
FORMATS = ("text", "json", "png", "svg")
ENDINGS = {".txt": "text"} | {f".{form}": form for form in FORMATS[1:]}


def draw(topology: Topology, *, width: float | None = None, **options) -> Figure:
    """A figure of a topology, without any state of pyplot; ``width`` in inches, without it text has its own size.

    ``options`` are those of :func:`netkit.figure.layout.calc_layout`: ``show`` has the words that the text knows, and "terms"
    (container, sandbox, endpoint, network); ``node`` draws that node alone; ``focus`` names containers to show, the others
    being counted; ``diff`` marks what has changed. Raises NetkitError for a word, node or container that there is not.
    """
    from netkit.figure.paint import measure, paint

    return paint(calc_layout(topology, measure=measure, **options), width=width)


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
    pixels.save(buffer, format="png", dpi=(figure.dpi, figure.dpi), compress_level=6)
    return buffer.getvalue()


def to_svg(figure: Figure) -> str:
    """The figure as SVG, its texts being texts: the same for the same figure."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "netkit", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # a browser without the font takes one of the same widths
    return re.sub(r"font-family: 'DejaVu Sans( Mono)?'", lambda match: match[0] + INSTEAD[match[1]], buffer.getvalue())


def make_bundle(text: str, figure: Figure) -> tuple[dict, dict]:
    """A figure with its text, for those who cannot see it, and for nbval: what ``_repr_mimebundle_`` returns."""
    return {"text/plain": text, "image/png": base64.b64encode(to_png(figure)).decode()}, {"image/png": {"alt": text}}


def export(topology: Topology, form: str, **options) -> bytes:
    """The bytes of a file in one of FORMATS; the ``options`` are those of text and figure: show, node, focus.

    JSON always holds everything. Raises NetkitError for an unknown format, option, node or container.
    """
    if choose_format(form, None) == "json":
        return topology.to_json(indent=1).encode() + b"\n"
    if form == "text":
        return topology.text(**options).encode() + b"\n"
    figure = draw(topology, **options)
    return to_png(figure) if form == "png" else to_svg(figure).encode()


def choose_format(asked: str | None, path: str | None) -> str:
    """The format that was asked for, or the one a file's ending tells, or text; raises NetkitError."""
    form = asked or ENDINGS.get(os.path.splitext(path or "")[1].lower(), "text")
    if form not in FORMATS:
        raise NetkitError(f"there is no format {form!r}: it is one of {', '.join(FORMATS)}")
    return form


def write_output(data: bytes, form: str, path: str | None) -> None:
    """Write to a file, whole or not at all, or to standard output; raises NetkitError."""
    if path is None:
        if form == "png" and sys.stdout.isatty():
            raise NetkitError("a PNG would garble the terminal: name a file with -o, or pipe it on")
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "xb") as file:
            file.write(data)
        os.replace(part, path)
    except OSError as error:
        if os.path.exists(part):
            os.unlink(part)
        raise NetkitError(f"{path} could not be written: {error.strerror}") from None
