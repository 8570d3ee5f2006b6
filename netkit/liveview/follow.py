"""Follow a lab: one thread, which hears of changes, looks at the network, and hands it to whoever shows it."""

from __future__ import annotations

import contextlib
import contextvars
import socket
import threading
import time
import weakref
from typing import Any

from netkit.errors import NetkitError
from netkit.laboratory.lab import Lab
from netkit.liveview.watch import Watchers
from netkit.network.capture import capture
from netkit.network.model import Topology

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
        self._first: float | None = None  # the first event that no look has seen
        self._last: float | None = None  # the last event of all
        self._settled = len(SETTLE)
        self._looked = self._pause = 0.0

    def hear(self, now: float) -> None:
        """Something has changed."""
        if self._first is None:
            self._first = now
        if self._last is None or now - self._last > CALM:
            self._pause = 0.0  # a new burst: its first events are looked at at once
        self._last, self._settled = now, 0

    def look(self, begun: float, ended: float) -> None:
        """It was looked, in this time."""
        self._first = None
        self._looked = ended
        self._pause = min(MOST, max(LEAST, self._pause * 2, (ended - begun) * SHARE))
        while self._last is not None and self._settled < len(SETTLE) and self._last + SETTLE[self._settled] <= begun:
            self._settled += 1

    @property
    def is_calm(self) -> bool:
        """Whether what was looked at last is no longer on its way: to be asked after :meth:`look`."""
        return self._settled > 0

    @property
    def due(self) -> float | None:
        """When to look."""
        if self._last is None:
            return None
        if self._first is not None:
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
