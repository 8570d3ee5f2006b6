"""The watchers of a lab: one on each host that is up, started when it comes, gone when it goes."""

from __future__ import annotations

import contextlib
import functools
import os
import selectors
import socket
import time
from collections.abc import Iterator

from netkit.errors import LabError
from netkit.hosts.ask import Helper
from netkit.laboratory.inside.syscalls import Inotify
from netkit.laboratory.lab import Lab

WATCH = "netkit.hosts.watching"
AGENT = "agent.sock"
RETRIES = (0.02, 0.1, 0.4, 1.0)  # seconds until the next attempt at a host that was just there, or whose watcher fails


class Watchers:
    """:meth:`wait` until something may have changed anywhere, or until ``wake`` can be read.

    ``running`` are the watchers by host; ``troubles`` says, by host, why one does not run where it should.
    """

    def __init__(self, lab: Lab, wake: socket.socket) -> None:
        self._lab = lab
        self._comings = Inotify()  # a host's agent makes its socket when it is ready to take commands
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._comings, selectors.EVENT_READ, self._hear_comings)
        self._selector.register(wake, selectors.EVENT_READ, lambda: False)
        self._retries: dict[str, Iterator[float]] = {}
        self._due: dict[str, float] = {}
        self.running: dict[str, Helper] = {}
        self.troubles: dict[str, str] = {}
        self._start_all()

    def wait(self, until: float | None) -> bool:
        """Wait, at the longest until this time (time.monotonic); whether anything may have changed."""
        times = [*self._due.values(), *([] if until is None else [until])]
        ready = self._selector.select(max(0.0, min(times) - time.monotonic()) if times else None)
        changed = [key.data() for key, _ in ready]
        for name in [name for name, when in self._due.items() if when <= time.monotonic()]:
            del self._due[name]
            self._start(name)
        return any(changed)

    def close(self) -> None:
        """End them all. May be repeated."""
        for name in list(self.running):
            self._drop(name)
        self._comings.close()
        self._selector.close()

    def _start_all(self) -> None:
        names = self._lab.facts["addresses"]
        for directory in ("", *(f"/{name}" for name in names)):
            with contextlib.suppress(OSError):  # a host that was never started has none yet
                self._comings.watch(self._lab.shared + directory)
        for name in names:
            self._retries[name] = iter(RETRIES)
            self._start(name)

    def _hear_comings(self) -> bool:
        come = bool(self._comings.read() & {AGENT, *self._lab.facts["addresses"]})
        if come:
            self._start_all()
        return come

    def _hear(self, name: str) -> bool:
        helper = self.running[name]
        if not os.read(helper.stdout, 1 << 16):
            if why := helper.explain():
                self.troubles[name] = why
            self._drop(name)
            self._try_again(name)
        return True

    def _start(self, name: str) -> None:
        if name in self.running or name in self._due:
            return
        host = self._lab[name]
        try:
            helper = Helper(host.transport, WATCH, () if name in self._lab.nodes else ("-",))
        except LabError:
            if os.path.exists(host.agent):  # its agent may be about to listen
                self._try_again(name)
            return
        self.running[name] = helper
        self._selector.register(helper.stdout, selectors.EVENT_READ, functools.partial(self._hear, name))

    def _try_again(self, name: str) -> None:
        """A little later each time, until the host is seen to come anew."""
        wait = next(self._retries[name], None)
        if wait is not None:
            self._due[name] = time.monotonic() + wait

    def _drop(self, name: str) -> None:
        helper = self.running.pop(name)
        self._selector.unregister(helper.stdout)
        helper.close()
