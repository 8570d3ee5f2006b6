"""The watchers of a lab: one on each host that is up, started when it comes, gone when it goes."""

from __future__ import annotations

import contextlib
import os
import selectors
import time

from netkit.errors import LabError
from netkit.hosts.ask import Helper
from netkit.laboratory.inside.syscalls import Inotify
from netkit.laboratory.lab import Lab

WATCH = "netkit.hosts.watching"
AGENT = "agent.sock"
RETRIES = (0.02, 0.1, 0.4, 1.0)  # seconds until the next attempt at a host that was just there, or whose watcher fails


class Watchers:
    """Wait for it (``fileno``), then :meth:`read` whether anything has changed anywhere.

    ``heard`` counts the events of all hosts; ``troubles`` says, by host, why a watcher does not run where it should.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._selector = selectors.DefaultSelector()
        self._comings = Inotify()  # a host's agent makes its socket when it is ready to take commands
        self._selector.register(self._comings, selectors.EVENT_READ, None)
        self._running: dict[str, Helper] = {}
        self._attempts: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self.troubles: dict[str, str] = {}
        self.heard = 0
        self._look_around()
        for name in lab.facts["addresses"]:
            self._start(name)

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._selector.fileno()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that are watched now."""
        return tuple(sorted(self._running))

    @property
    def due(self) -> float | None:
        """When to call :meth:`retry`, if nothing else happens (time.monotonic)."""
        return min(self._due.values(), default=None)

    def read(self) -> bool:
        """Read what there is to be read; whether anything may have changed."""
        changed = False
        for key, _ in self._selector.select(0):
            changed = (self._hear_comings() if key.data is None else self._hear(key.data)) or changed
        return changed

    def retry(self) -> None:
        """Start what is due to be started again."""
        now = time.monotonic()
        for name in [name for name, when in self._due.items() if when <= now]:
            del self._due[name]
            self._start(name)

    def close(self) -> None:
        """End them all. May be repeated."""
        for name in list(self._running):
            self._drop(name)
        self._due.clear()
        self._comings.close()
        self._selector.close()

    def _look_around(self) -> None:
        for directory in ("", *(f"/{name}" for name in self._lab.facts["addresses"])):
            with contextlib.suppress(OSError):  # a host that was never started has none yet
                self._comings.watch(self._lab.shared + directory)

    def _hear_comings(self) -> bool:
        names = self._comings.read()
        if not names & {AGENT, *self._lab.facts["addresses"]}:
            return False
        self._look_around()
        for name in self._lab.facts["addresses"]:
            self._attempts[name] = 0
            self._start(name)
        return True

    def _hear(self, name: str) -> bool:
        helper = self._running[name]
        data = os.read(helper.stdout, 1 << 16)
        self.heard += data.count(b"\n")
        if not data:
            why = helper.explain()
            self._drop(name)
            if why:
                self.troubles[name] = why
            self._again(name)
        return True

    def _start(self, name: str) -> None:
        if name in self._running or name in self._due:
            return
        host = self._lab[name]
        try:
            helper = Helper(host.transport, WATCH, () if name in self._lab.nodes else ("-",))
        except LabError:
            if os.path.exists(host.agent):  # its agent may be about to listen
                self._again(name)
            return
        self._running[name] = helper
        self._selector.register(helper.stdout, selectors.EVENT_READ, name)

    def _again(self, name: str) -> None:
        """Try once more, a little later each time, until the host is seen to come anew."""
        attempt = self._attempts.get(name, 0)
        if attempt < len(RETRIES):
            self._attempts[name] = attempt + 1
            self._due[name] = time.monotonic() + RETRIES[attempt]

    def _drop(self, name: str) -> None:
        helper = self._running.pop(name)
        self._selector.unregister(helper.stdout)
        helper.close()
