"""``netkit trace -- COMMAND…``: what the command writes, then the way its packets took."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence

from netkit.errors import NetkitError
from netkit.figure.draw import choose_format, write_output
from netkit.tracing.run import trace


def run_trace(command: Sequence[str], options: argparse.Namespace) -> int:
    """Run and print; returns the command's status. Raises LabError, NetkitError for a file that cannot be written."""
    form = choose_format(None, options.output) if options.output else None
    if form not in (None, "png", "svg"):
        raise NetkitError(f"a trace is drawn as PNG or SVG: {options.output} should end with .png or .svg")
    found = trace(command, node=options.node, on_stdout=_writer(1), on_stderr=_writer(2))
    print(found.text(times=options.times, rules=options.rules), flush=True)
    if options.pcapng:
        found.pcapng(options.pcapng)
    if form:
        from netkit.figure.draw import to_png, to_svg

        figure = found.draw()
        write_output(to_svg(figure).encode() if form == "svg" else to_png(figure), form, options.output)
    return found.output.status


def _writer(fd: int) -> Callable[[bytes], object]:
    def write(data: bytes) -> None:
        while data:
            data = data[os.write(fd, data) :]

    return write
