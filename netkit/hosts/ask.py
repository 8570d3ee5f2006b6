"""Processes of ours on hosts: Python, run the way commands get there, with pipes to it; asked by lines, answering by lines.

One that reads the network's tables runs on each host that this process has looked at, from the first look on. It ends
with the host, with this process, and when the :class:`~netkit.laboratory.lab.Node` it belongs to is let go.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import threading
import time
import weakref
from collections.abc import Sequence

from netkit.errors import LabError
from netkit.laboratory.lab import Node as Host
from netkit.laboratory.remote import Running, Transport

PATIENCE = 30.0  # seconds for a host to tell what it sees
COLLECT = "netkit.hosts.collecting"

_collectors: weakref.WeakKeyDictionary[Host, Collector] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


class Helper:
    """``main()`` of a module, running on a host; ``stdin`` and ``stdout`` are our ends of its pipes, ``running`` is the command.

    It ends with the host, with this process, and when this value is closed or let go. Raises LabError if the host does not answer.
    """

    def __init__(self, transport: Transport, module: str, words: Sequence[str] = ()) -> None:
        self._rest = b""
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
        self.say(preamble)

    def say(self, data: bytes) -> None:
        """Write to it; one that has ended already is told of when it is asked."""
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(self.stdin, data) :]

    def read_line(self, patience: float = PATIENCE) -> bytes:
        """Its next line; raises EOFError if it has gone, TimeoutError if it is silent for so many seconds."""
        parts, deadline = [self._rest], time.monotonic() + patience
        while b"\n" not in parts[-1]:
            if not select.select([self.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            parts.append(os.read(self.stdout, 1 << 20))
            if not parts[-1]:
                raise EOFError
        line, _, self._rest = b"".join(parts).partition(b"\n")
        return line

    def explain(self) -> str:
        """The last line it wrote about itself, or ""."""
        said = os.pread(self._stderr.fileno(), 1 << 16, 0).decode(errors="replace").strip().splitlines()
        return said[-1] if said else ""


def _close(running: Running | None, *fds: int) -> None:
    for fd in fds:
        os.close(fd)
    if running:
        running.close()


class Collector:
    """What answers each question with a host's tables (:mod:`netkit.hosts.collecting`); one question at a time."""

    def __init__(self, host: Host) -> None:
        self._transport = host.transport  # the way to the host, not the host: it could then never be let go
        self._turn = threading.Lock()
        self._helper: Helper | None = None
        self.owner = os.getpid()

    def ask(self) -> list[dict]:
        """The host's network namespaces now; raises LabError."""
        name, why = self._transport.name, ""
        with self._turn:
            for _ in range(2):  # the host may have been switched off and on again meanwhile, or the process killed
                helper, self._helper = self._helper or Helper(self._transport, COLLECT), None
                try:
                    helper.say(b"\n")
                    answer = json.loads(helper.read_line())
                    self._helper = helper
                    return answer
                except EOFError:
                    why = helper.explain()
                except TimeoutError:
                    raise LabError(f"{name} has not told its network within {PATIENCE:.0f} s") from None
                finally:
                    if not self._helper:  # half an answer may be on its way
                        helper.close()
        raise LabError(f"the network of {name} could not be read: {why or 'its collector was killed'}")


def ask_collector(host: Host) -> list[dict]:
    """A host's network namespaces now, in plain tables; raises LabError."""
    with _lock:
        collector = _collectors.get(host)
        if collector is None or collector.owner != os.getpid():  # a forked child must not mix its questions with its parent's
            collector = _collectors[host] = Collector(host)
    return collector.ask()
