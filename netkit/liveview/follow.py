"""Follow a lab: one thread, which hears of changes, looks at the network, and hands it to whoever shows it.

One watcher on each host that is up tells of changes; it is started when the host comes, and gone when the host goes.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import os
import selectors
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

from netkit.errors import LabError, NetkitError
from netkit.hosts.ask import Helper
from netkit.laboratory.inside.syscalls import Inotify
from netkit.laboratory.lab import Lab
from netkit.network.capture import capture
from netkit.network.model import Topology

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
        changed = [key.data() for key, _ in self._selector.select(max(0.0, min(times) - time.monotonic()) if times else None)]
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
        come = bool(self._comings.read() & {"agent.sock", *self._lab.facts["addresses"]})
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
            helper = Helper(host.transport, "netkit.hosts.watching", () if name in self._lab.nodes else ("-",))
        except LabError:
            if os.path.exists(host.agent):  # its agent may be about to listen
                self._try_again(name)
            return
        self.running[name] = helper
        self._selector.register(helper.stdout, selectors.EVENT_READ, lambda: self._hear(name))

    def _try_again(self, name: str) -> None:
        """A little later each time, until the host is seen to come anew."""
        if wait := next(self._retries[name], None):
            self._due[name] = time.monotonic() + wait

    def _drop(self, name: str) -> None:
        helper = self.running.pop(name)
        self._selector.unregister(helper.stdout)
        helper.close()


QUIET = 0.012  # seconds without another event after which what belongs together has been heard
PATIENCE = 0.06  # seconds after the first event at which it is looked in any case
LEAST, MOST = 0.08, 1.0  # seconds from one look to the next while events go on
SHARE = 2.0  # of the time that looking takes, to be left free after it
CALM = 0.4  # seconds without events after which a burst is over
# an engine says "started" before all of its tables do, and a swarm's manager hears of its tasks later still
SETTLE = (0.35, 1.2, 4.0)  # seconds after the last event at which it is looked once more
LONGEST = 5.0  # seconds for which what goes on and on is not told


class Pace:
    """When to look again: soon after something has been heard, seldom while much is heard, and never at rest. Pure.

    Tell it what is heard and when it was looked; ``due`` is when to look next, or None. All times in seconds, of one clock.
    """

    def __init__(self) -> None:
        self._first = math.inf  # the first event that no look has seen
        self._last = -math.inf  # the last event of all
        self._settled = len(SETTLE)
        self._looked = self._pause = 0.0

    def hear(self, now: float) -> None:
        """Something has changed."""
        self._first = min(self._first, now)
        if now - self._last > CALM:
            self._pause = 0.0  # a new burst: its first events are looked at at once
        self._last, self._settled = now, 0

    def look(self, begun: float, ended: float) -> None:
        """It was looked, in this time."""
        self._first = math.inf
        self._looked = ended
        self._pause = min(MOST, max(LEAST, self._pause * 2, (ended - begun) * SHARE))
        while self._settled < len(SETTLE) and self._last + SETTLE[self._settled] <= begun:
            self._settled += 1

    @property
    def is_calm(self) -> bool:
        """Whether what was looked at last is no longer on its way: to be asked after :meth:`look`."""
        return self._settled > 0

    @property
    def due(self) -> float | None:
        """When to look."""
        if self._first < math.inf:
            return max(min(self._last + QUIET, self._first + PATIENCE), self._looked + self._pause)
        return self._last + SETTLE[self._settled] if self._settled < len(SETTLE) else None


class Follower:
    """Captures ``lab`` whenever it may have changed, until :meth:`close`.

    What it sees goes to the viewer's ``show``, ``tell`` and ``end`` (see :class:`netkit.liveview.widget.LiveView`), called in
    the follower's thread. The viewer is held weakly: with it, everything ends. ``looks`` counts captures; ``hosts`` are those
    that are watched, ``troubles`` says, by host, why one is not. Messages of a kernel belong to the cell in whose context
    they are sent: that is the one which made the follower.
    """

    def __init__(self, lab: Lab, first: Topology, viewer: Any) -> None:
        self._lab = lab
        self._viewer = weakref.ref(viewer, lambda _: self._stop())
        self._topology, self._told = first, time.monotonic()
        self._wake, self._woken = socket.socketpair()
        self._over = False
        self.looks = 0
        self.hosts: tuple[str, ...] = ()
        self.troubles: dict[str, str] = {}
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._run,), name="netkit-live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and the watchers, and wait until they have gone. May be repeated, from any thread."""
        self._stop()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _stop(self) -> None:
        self._over = True
        with contextlib.suppress(OSError):  # it has ended
            self._wake.send(b"!")

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        why = ""
        try:
            with self._wake, self._woken, contextlib.closing(Watchers(self._lab, self._woken)) as watchers:
                self._follow(watchers)
        except NetkitError as error:
            why = str(error)
        except Exception as error:  # a thread has nobody above it: the viewer must not seem to follow still
            why = f"the live view cannot go on: {type(error).__name__}: {error}"
        self._over = True
        viewer = self._viewer()
        if why and viewer:
            viewer.end(why)

    def _follow(self, watchers: Watchers) -> None:
        pace = Pace()
        pace.hear(time.monotonic())  # whatever happened since the first capture
        while not self._over:
            if watchers.wait(pace.due):
                pace.hear(time.monotonic())
            self.hosts, self.troubles = tuple(sorted(watchers.running)), watchers.troubles
            begun = time.monotonic()
            if pace.due is not None and begun >= pace.due and not self._over:
                topology = capture(lab=self._lab)
                self.looks += 1
                pace.look(begun, time.monotonic())
                self._show(topology, pace.is_calm)

    def _show(self, topology: Topology, calm: bool) -> None:
        """What is different is told once it is no longer on its way: nobody wants to hear of the states between."""
        viewer, now = self._viewer(), time.monotonic()
        if not viewer or self._over:
            return
        viewer.show(topology)
        if calm or now - self._told >= LONGEST:
            before, self._topology, self._told = self._topology, topology, now
            viewer.tell(before, topology)
