"""Capture on one machine, in all its network namespaces, until a line comes; then tell all as JSON.

Standard output gets "ready" and the kernel's boot id when everything is being captured, this machine's time (ns since
1970) for each line "clock", and one line of JSON at the end. When standard input
ends without a line, whoever asked has gone: everything is let go at once. What is made in the kernel (packet
sockets, and a table of the packet filter owned by its socket) ends with this process, however it ends.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import selectors
import sys
import time

from netkit.hosts.frames import Capture
from netkit.hosts.namespaces import find_namespaces
from netkit.hosts.netfilter import Tracer, read_handles
from netkit.hosts.netlink import Tables
from netkit.hosts.newcomers import Newcomers
from netkit.hosts.rules import Listing
from netkit.laboratory.inside.syscalls import NEWNET, set_process_name, setns

TABLE = "netkit-trace"
CLOCK = b"clock\n"  # the line that asks what time it is here
BUFFER = 8 << 20  # bytes of each namespace's packet socket
MOST, MOST_BYTES = 20_000, 48 << 20  # frames and bytes of a capture, before it counts as truncated
MOST_REPORTS = 8_000  # of rules, in one namespace
QUIET = 0.03  # seconds without a frame, after which all of them have come
AFTERWARDS = 0.4  # seconds to wait for that at most


class Place:
    """One namespace that is captured in."""

    def __init__(self, inode: int, opener: str, buffer: int) -> None:
        self.inode = inode
        self.fd = os.open(opener, os.O_RDONLY | os.O_CLOEXEC)
        self.tracer: Tracer | None = None
        self.trouble = ""
        self.frames: list[list] = []
        self.reports: list[dict] = []
        self.handles: dict[int, tuple] = {}
        self.links: dict[int, str] = {}
        self.is_late = False
        setns(self.fd, NEWNET)
        self.capture = Capture(buffer)
        try:
            self.tracer = Tracer(TABLE)
        except OSError as error:
            self.trouble = error.strerror or str(error)
        self.was_in_use = any(link["up"] and link["kind"] != "loopback" for link in self.look())

    def look(self) -> list[dict]:
        """Remember the names of the interfaces, and return what they are; the thread is in the namespace."""
        tables = Tables()
        found = tables.read_links()
        tables.close()
        self.links |= {link["index"]: link["name"] for link in found}
        return found


class Collector:
    """All places of a machine."""

    def __init__(self, buffer: int, most: int) -> None:
        self._buffer, self._most = buffer, most
        self._own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._places: dict[int, Place] = {}
        self._selector = selectors.DefaultSelector()
        self._count = self._bytes = 0
        self._truncated = self._started = False
        self._newcomers: Newcomers | None = None
        with contextlib.suppress(OSError):  # without, namespaces made from now on go unseen
            self._newcomers = Newcomers()
        self.find()
        self._started = True

    def find(self) -> None:
        """Begin in every namespace that there is by now."""
        for inode, found in find_namespaces().items():
            if inode not in self._places:
                self._add(inode, found.opener)
        setns(self._own, NEWNET)

    def _add(self, inode: int, opener: str) -> None:
        try:
            place = Place(inode, opener, self._buffer)
        except OSError:
            return  # it has vanished since it was found
        place.is_late = self._started and place.was_in_use  # something may have passed already
        self._places[inode] = place
        self._selector.register(place.capture, selectors.EVENT_READ, lambda: self._hear(place))
        if place.tracer:
            tracer = place.tracer
            self._selector.register(tracer, selectors.EVENT_READ, lambda: self._note(place, tracer))

    def run(self) -> bool:
        """Capture until standard input has a line that does not ask for the time; whether it had one, rather than ended."""
        self._selector.register(0, selectors.EVENT_READ, None)
        for source in self._newcomers.sources if self._newcomers else ():
            self._selector.register(source, selectors.EVENT_READ, self._look_again)
        while True:
            ready = self._selector.select()
            for key, _ in ready:
                if key.data:
                    key.data()
            if any(key.fd == 0 for key, _ in ready):
                line = os.read(0, 4096)
                if line != CLOCK:
                    return bool(line)
                sys.stdout.write(f"{time.time_ns()}\n")
                sys.stdout.flush()

    def finish(self) -> None:
        """Hear what is still on its way."""
        self._selector.unregister(0)
        end = time.monotonic() + AFTERWARDS
        while ready := self._selector.select(QUIET):
            for key, _ in ready:
                key.data()
            if time.monotonic() > end:
                break

    def _look_again(self) -> None:
        """A namespace is made: first its file, then what is mounted on it."""
        if not self._newcomers.read():
            return
        known, end = len(self._places), time.monotonic() + 0.05
        while len(self._places) == known and time.monotonic() < end:
            self.find()
            time.sleep(0.001)

    def _hear(self, place: Place) -> int:
        frames = place.capture.read()
        room = 0 if self._truncated else self._most - self._count
        place.frames += frames[:room]
        self._count += len(frames)
        self._bytes += sum(len(frame[3]) for frame in frames)
        self._truncated = self._truncated or self._count > self._most or self._bytes > MOST_BYTES
        return len(frames)

    def _note(self, place: Place, tracer: Tracer) -> None:
        now = time.time_ns()
        reports = tracer.read()
        place.reports += [report | {"stamp": now} for report in reports]
        if len(place.reports) >= MOST_REPORTS:  # enough of rules: hearing of more would cost frames
            tracer.lost += 1
            self._release(place)

    def _release(self, place: Place) -> None:
        if place.tracer and place.tracer.fileno() >= 0:
            self._selector.unregister(place.tracer)
            place.tracer.close()

    def to_json(self) -> dict:
        """Everything; the table is let go before the rules are listed."""
        for place in self._places.values():
            self._release(place)
        return {
            "truncated": self._truncated,
            "blind": self._newcomers is None,
            "places": [self._tell(place) for place in self._places.values()],
        }

    def _tell(self, place: Place) -> dict:
        setns(place.fd, NEWNET)
        place.look()
        listing = Listing() if place.reports else None
        return {
            "inode": place.inode,
            "links": place.links,
            "drops": place.capture.count_drops(),
            "unheard": place.tracer.lost if place.tracer else 0,
            "trouble": place.trouble,
            "late": place.is_late,
            "frames": [[*frame[:3], base64.b64encode(frame[3]).decode()] for frame in place.frames],
            "reports": place.reports,
            "handles": read_handles() if place.reports else [],
            "listing": listing.read() if listing else [],
        }


def read_boot() -> str:
    """Which run of a kernel this is (random(4)): within one there is one clock, whatever the namespace; "" if that is hidden."""
    with contextlib.suppress(OSError), open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()
    return ""


def main() -> None:
    """Serve one capture; arguments: the size of the packet sockets' buffers in bytes, and how many frames are kept; 0 for the usual."""
    set_process_name("netkit-trace")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    buffer, most = (int(word) for word in sys.argv[1:3])
    collector = Collector(buffer or BUFFER, most or MOST)
    sys.stdout.write(f"ready {read_boot()}\n")
    sys.stdout.flush()
    if not collector.run():
        return
    collector.finish()
    sys.stdout.write(json.dumps(collector.to_json(), separators=(",", ":")) + "\n")
    sys.stdout.flush()
