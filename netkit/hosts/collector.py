"""The collectors of this process: one on each host it has looked at, started when first asked.

A collector is a command like any other on its host. It ends with the host, with this process, and
when the :class:`~netkit.laboratory.lab.Node` it belongs to is let go.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import threading
import time
import weakref

from netkit.errors import LabError
from netkit.hosts.helper import Helper
from netkit.laboratory.lab import Node as Host
from netkit.laboratory.remote import Transport

PATIENCE = 30.0  # seconds for a host to tell what it sees
COLLECT = "netkit.hosts.collecting"

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
                        raise LabError(
                            f"the network of {self._transport.name} could not be read: {process.explain() or 'its collector was killed'}"
                        ) from None
                    continue  # the host was switched off and on again meanwhile, or the process killed
                except BaseException:
                    process.close()  # half an answer may be on its way
                    raise
                self._process = process
                return answer
        raise AssertionError("unreachable")


class Process(Helper):
    """A running collector."""

    def __init__(self, transport: Transport, with_engine: bool) -> None:
        self._name = transport.name
        super().__init__(transport, COLLECT, ["--serve", *([] if with_engine else ["-"])])

    def ask(self) -> dict:
        """One question, one answer; raises EOFError if the process has gone, LabError if it is silent."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.stdin, b"\n")
        parts, deadline = [], time.monotonic() + PATIENCE
        while not parts or not parts[-1].endswith(b"\n"):
            if not select.select([self.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise LabError(f"{self._name} has not told its network within {PATIENCE:.0f} s")
            parts.append(os.read(self.stdout, 1 << 20))
            if not parts[-1]:
                raise EOFError
        return json.loads(b"".join(parts))
