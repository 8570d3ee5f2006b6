"""The collectors of this process: one on each host it has looked at, started when first asked.

A collector is a command like any other on its host. It ends with the host, with this process, and
when the :class:`~netkit.lab.lab.Node` it belongs to is let go.
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

from netkit.errors import LabError
from netkit.lab.lab import Node as Host
from netkit.lab.remote import Running, Transport

PATIENCE = 30.0  # seconds for a host to tell what it sees
COLLECT = "netkit.topology.collect.main"

_collectors: weakref.WeakKeyDictionary[Host, Collector] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def ask_collector(host: Host, with_engine: bool) -> dict:
    """What a host's kernel and engine say now, in plain tables; raises LabError."""
    with _lock:
        collector = _collectors.get(host)
        if collector is None or not collector.is_mine():
            collector = _collectors[host] = Collector(host, with_engine)
    return collector.ask()


class Collector:
    """The process on a host that answers each line with its tables; one question at a time."""

    def __init__(self, host: Host, with_engine: bool) -> None:
        # the way to the host, not the host: it could then never be let go
        self._transport, self._with_engine = host.transport, with_engine
        self._owner = os.getpid()
        self._turn = threading.Lock()
        self._process: Process | None = None

    def is_mine(self) -> bool:
        """Whether this process made it: a forked child must not mix its questions with its parent's."""
        return self._owner == os.getpid()

    def ask(self) -> dict:
        """The host's tables now; raises LabError."""
        with self._turn:
            for attempt in (1, 2):
                process = self._process or Process(self._transport, self._with_engine)
                self._process = None
                try:
                    answer = process.ask()
                except EOFError:
                    process.close()
                    if attempt == 2:
                        raise LabError(f"the network of {self._transport.name} could not be read: {process.explain()}") from None
                    continue  # the host was switched off and on again meanwhile, or the process killed
                except BaseException:
                    process.close()  # half an answer may be on its way
                    raise
                self._process = process
                return answer
        raise AssertionError("unreachable")


class Process:
    """A running collector, its pipes, and a file for its last words."""

    def __init__(self, transport: Transport, with_engine: bool) -> None:
        self._name = transport.name
        stdin, self._questions = os.pipe2(os.O_CLOEXEC)
        self._answers, stdout = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # a machine with hundreds of containers writes some 300 kB
            fcntl.fcntl(stdout, fcntl.F_SETPIPE_SZ, 1 << 20)
        self._stderr = os.fdopen(os.memfd_create("stderr"), "rb")
        command, preamble = transport.python(COLLECT, "--serve", *([] if with_engine else ["-"]))
        try:
            running, _ = transport.start(command, (stdin, stdout, self._stderr.fileno()), "/", {})
        except BaseException:
            _close(None, self._questions, self._answers)
            raise
        finally:
            os.close(stdin)
            os.close(stdout)
        self.close = weakref.finalize(self, _close, running, self._questions, self._answers)
        with contextlib.suppress(BrokenPipeError):  # one that has ended already: told when it is asked
            _write_all(self._questions, preamble)

    def ask(self) -> dict:
        """One question, one answer; raises EOFError if the process has gone, LabError if it is silent."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._questions, b"\n")
        parts, deadline = [], time.monotonic() + PATIENCE
        while not parts or not parts[-1].endswith(b"\n"):
            if not select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise LabError(f"{self._name} has not told its network within {PATIENCE:.0f} s")
            parts.append(os.read(self._answers, 1 << 20))
            if not parts[-1]:
                raise EOFError
        return json.loads(b"".join(parts))

    def explain(self) -> str:
        """The last line it wrote about itself."""
        said = os.pread(self._stderr.fileno(), 1 << 16, 0).decode(errors="replace").strip().splitlines()
        return said[-1] if said else "its collector was killed"


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _close(running: Running | None, *fds: int) -> None:
    for fd in fds:
        os.close(fd)
    if running:
        running.close()
