"""A topology in one of the forms it can leave in: text, JSON, PNG, SVG, DOT."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from netkit.errors import NetkitError
from netkit.network.model import Topology

FORMATS = ("text", "json", "png", "svg", "dot")
ENDINGS = {".txt": "text", ".json": "json", ".png": "png", ".svg": "svg", ".dot": "dot", ".gv": "dot"}


def export(
    topology: Topology, form: str, *, show: Sequence[str] = ("addresses",), node: str | None = None, focus: Sequence[str] = ()
) -> bytes:
    """The bytes of a file in one of FORMATS; the options are those of text and figure.

    JSON always holds everything. Raises NetkitError for an unknown format, option, node or container.
    """
    if form == "json":
        return topology.to_json(indent=1).encode() + b"\n"
    if form == "text":
        return topology.text(show=show, node=node, focus=focus).encode() + b"\n"
    if form == "dot":
        from netkit.figure.dot import to_dot

        return to_dot(topology, node=node, focus=focus).encode()
    if form in ("png", "svg"):
        from netkit.figure import draw

        figure = draw.draw(topology, show=show, node=node, focus=focus)
        return draw.to_png(figure) if form == "png" else draw.to_svg(figure).encode()
    raise NetkitError(f"there is no format {form!r}: it is one of {', '.join(FORMATS)}")


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
