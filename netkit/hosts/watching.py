"""One machine's changes as lines on standard output: run on that machine, as its root.

A line is written when something has changed, and no oftener than every ``PAUSE`` seconds. It is JSON: how many events of
the kernel and of the engine it stands for. The process ends with its standard input.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time

from netkit.hosts.engine_events import SOCKET, Engine
from netkit.hosts.events import Events
from netkit.laboratory.inside.syscalls import set_process_name

PAUSE = 0.02
MOUNTS = "/proc/self/mountinfo"  # poll(2) says when a mount comes or goes: namespaces with a name are mounts


def main() -> None:
    """Watch until nobody listens any more. The last argument may be the engine's socket; "-" is for a machine without one."""
    set_process_name("netkit-watch")
    engine_socket = sys.argv[-1] if len(sys.argv) > 1 else SOCKET
    Watch(None if engine_socket == "-" else Engine(engine_socket)).run()


class Watch:
    """Everything there is to wait for, in one poll(2)."""

    def __init__(self, engine: Engine | None) -> None:
        self._engine = engine
        self._events = Events()
        self._mounts = os.open(MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(0, select.POLLIN)
        self._poll.register(self._mounts, select.POLLPRI | select.POLLERR)
        for source in (self._events.route, self._events.filter, *([engine.inotify] if engine else [])):
            self._poll.register(source, select.POLLIN)
        self._stream = -1
        self._watch_stream()
        self._kernel = self._said = 0
        self._next = 0.0  # when the next line may be written

    def run(self) -> None:
        """Until standard input ends."""
        self._events.follow()
        self._kernel = 1  # whatever happened before this is seen by looking now
        while True:
            self._tell()
            ready = {fd for fd, _ in self._poll.poll(self._patience())}
            if 0 in ready and not os.read(0, 4096):
                return
            self._hear(ready)

    def _patience(self) -> float | None:
        """Milliseconds until there is something to do unasked; None for never."""
        times = [self._next] if self._kernel or self._said else []
        if self._engine and self._engine.due is not None:
            times.append(self._engine.due)
        return max(0.0, min(times) - time.monotonic()) * 1000 if times else None

    def _hear(self, ready: set[int]) -> None:
        for source in (self._events.route, self._events.filter):
            if source.fileno() in ready:
                self._kernel += self._events.drain(source)
        if self._mounts in ready:
            self._kernel += 1
        if self._engine:
            self._hear_engine(self._engine, ready)

    def _hear_engine(self, engine: Engine, ready: set[int]) -> None:
        if self._stream in ready:
            self._said += engine.read()
        if engine.inotify.fileno() in ready:
            self._said += engine.look()
        if engine.due is not None and time.monotonic() >= engine.due:
            self._said += engine.connect()
        self._watch_stream()

    def _watch_stream(self) -> None:
        """Wait for the engine's stream, if there is one."""
        now = self._engine.stream.fileno() if self._engine and self._engine.stream else -1
        if now != self._stream:
            if self._stream >= 0:
                self._poll.unregister(self._stream)
            if now >= 0:
                self._poll.register(now, select.POLLIN)
            self._stream = now

    def _tell(self) -> None:
        """Write a line if there is something to tell and it is time: namespaces made meanwhile are followed before."""
        now = time.monotonic()
        if not (self._kernel or self._said) or now < self._next:
            return
        self._events.follow()
        os.write(1, json.dumps({"kernel": self._kernel, "engine": self._said}).encode() + b"\n")
        self._kernel = self._said = 0
        self._next = now + PAUSE
