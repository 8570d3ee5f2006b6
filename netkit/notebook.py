"""The notebook's magics. No logic: they hand over to the lab."""

from __future__ import annotations

import codecs
import sys

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

import netkit
from netkit.errors import CommandError


@magics_class
class LabMagics(Magics):
    """``%%on NODE``: run a cell's shell commands on another host of the lab."""

    @magic_arguments()
    @argument("node", help="node1, node2, …, or outside")
    @argument("--no-raise", action="store_true", help="return a status other than 0 instead of raising")
    @cell_magic
    def on(self, line: str, cell: str) -> int | None:
        """Run the cell with bash on a host; its output appears as it comes.

        Returns the exit status with ``--no-raise``; without, a status other than 0 raises CommandError.
        """
        arguments = parse_argstring(self.on, line)
        try:
            host = netkit.lab()[arguments.node]
        except netkit.LabError as error:
            raise UsageError(str(error)) from None
        status = host.stream(cell, _writer(sys.stdout), _writer(sys.stderr))
        if status and not arguments.no_raise:
            raise CommandError(host.name, cell.strip(), status)
        return status if arguments.no_raise else None


def _writer(stream):
    """A sink for bytes that may end within a character."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def write(data: bytes) -> None:
        stream.write(decode(data))
        stream.flush()

    return write


def load_ipython_extension(ipython) -> None:
    """Called by IPython: make the magics known, and what a figure looks like as a cell's last line."""
    ipython.register_magics(LabMagics)
    formatters = ipython.display_formatter.formatters
    formatters["image/png"].for_type_by_name("matplotlib.figure", "Figure", _draw)
    # without its size, which follows the fonts at hand
    formatters["text/plain"].for_type_by_name("matplotlib.figure", "Figure", lambda figure, printer, cycle: printer.text("<Figure>"))


def _draw(figure) -> bytes:
    from netkit.figure.draw import to_png

    return to_png(figure)
