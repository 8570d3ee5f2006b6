"""A process of ours on a host: Python from the standard library alone, run the way commands get there, with pipes to it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref
from collections.abc import Sequence

from netkit.laboratory.remote import Running, Transport


class Helper:
    """``main()`` of a module, running on a host; ``stdin`` and ``stdout`` are our ends of its pipes, ``running`` is the command.

    It ends with the host, with this process, and when this value is closed or let go. Raises LabError if the host does not answer.
    """

    def __init__(self, transport: Transport, module: str, words: Sequence[str] = ()) -> None:
        stdin, self.stdin = os.pipe2(os.O_CLOEXEC)
        self.stdout, stdout = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # a machine with hundreds of containers writes some 300 kB
            fcntl.fcntl(stdout, fcntl.F_SETPIPE_SZ, 1 << 20)
        self._stderr = os.fdopen(os.memfd_create("stderr"), "rb")
        command, preamble = transport.python(module, *words)
        try:
            self.running, _ = transport.start(command, (stdin, stdout, self._stderr.fileno()), "/", {})
        except BaseException:
            _close(None, self.stdin, self.stdout)
            raise
        finally:
            os.close(stdin)
            os.close(stdout)
        self.close = weakref.finalize(self, _close, self.running, self.stdin, self.stdout)
        with contextlib.suppress(BrokenPipeError):  # one that has ended already: told when it is asked
            _write_all(self.stdin, preamble)

    def explain(self) -> str:
        """The last line it wrote about itself, or ""."""
        said = os.pread(self._stderr.fileno(), 1 << 16, 0).decode(errors="replace").strip().splitlines()
        return said[-1] if said else ""


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _close(running: Running | None, *fds: int) -> None:
    for fd in fds:
        os.close(fd)
    if running:
        running.close()
