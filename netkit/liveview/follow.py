"""Follow a lab: one thread, which hears of changes, looks at the network, and hands it to whoever shows it."""

from __future__ import annotations

import contextlib
import contextvars
import os
import selectors
import threading
import time
import weakref
from typing import Protocol

from netkit.errors import NetkitError
from netkit.laboratory.lab import Lab
from netkit.liveview.pace import Pace
from netkit.liveview.watchers import Watchers
from netkit.network.capture import capture
from netkit.network.model import Topology

LONGEST = 5.0  # seconds for which what goes on and on is not told


class Viewer(Protocol):
    """What shows a topology; all are called in the follower's thread."""

    def show(self, topology: Topology) -> None: ...

    def tell(self, before: Topology, after: Topology) -> None: ...

    def end(self, why: str) -> None: ...


class Follower:
    """Captures ``lab`` whenever it may have changed, until :meth:`close`.

    The viewer is held weakly: with it, everything ends. ``looks`` counts captures, ``heard`` what the watchers said.
    Messages of a kernel belong to the cell in whose context they are sent: that is the one which made the follower.
    """

    def __init__(self, lab: Lab, first: Topology, viewer: Viewer) -> None:
        self._lab = lab
        self._viewer = weakref.ref(viewer, lambda _: self._stop())
        self._topology = first
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._lock = threading.RLock()  # a viewer may be let go anywhere, here included
        self._over = False
        self._told = time.monotonic()
        self.looks = self.heard = 0
        self.hosts: tuple[str, ...] = ()
        self.troubles: dict[str, str] = {}
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="netkit-live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and the watchers, and wait until they have gone. May be repeated, from any thread."""
        self._stop()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _stop(self) -> None:
        with self._lock:
            over, self._over = self._over, True
            if not over:
                os.write(self._wake_write, b"!")

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        why = ""
        try:
            with contextlib.closing(Watchers(self._lab)) as watchers:
                self._follow(watchers)
        except NetkitError as error:
            why = str(error)
        except Exception as error:  # a thread has nobody above it: the viewer must not seem to follow still
            why = f"the live view cannot go on: {type(error).__name__}: {error}"
        finally:
            with self._lock:
                self._over = True
                os.close(self._wake_read)
                os.close(self._wake_write)
        viewer = self._viewer()
        if why and viewer:
            viewer.end(why)

    def _follow(self, watchers: Watchers) -> None:
        pace = Pace()
        pace.hear(time.monotonic())  # whatever happened since the first capture
        with selectors.DefaultSelector() as selector:
            selector.register(watchers, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self._over:
                times = [each for each in (pace.due, watchers.due) if each is not None]
                selector.select(max(0.0, min(times) - time.monotonic()) if times else None)
                watchers.retry()
                if watchers.read():
                    pace.hear(time.monotonic())
                self.heard, self.hosts, self.troubles = watchers.heard, watchers.hosts, watchers.troubles
                if pace.due is not None and time.monotonic() >= pace.due and not self._over:
                    begun = time.monotonic()
                    topology = self._look()
                    pace.look(begun, time.monotonic())
                    self._tell(topology, pace.is_calm)

    def _look(self) -> Topology:
        topology = capture(lab=self._lab)
        self.looks += 1
        viewer = self._viewer()
        if viewer and not self._over:
            viewer.show(topology)
        return topology

    def _tell(self, topology: Topology, calm: bool) -> None:
        """Tell what is different, once it is no longer on its way: nobody wants to hear of the states between."""
        now = time.monotonic()
        if not calm and now - self._told < LONGEST:
            return
        self._told = now
        before, self._topology = self._topology, topology
        viewer = self._viewer()
        if viewer and not self._over:
            viewer.tell(before, topology)
