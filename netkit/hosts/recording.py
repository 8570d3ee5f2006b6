"""Capture on one machine, in all its network namespaces, until a line comes; then tell all as JSON.

Standard output gets "ready" and the kernel's boot id when everything is being captured, this machine's time (ns since
1970) for each line "clock", and one line of JSON at the end. When standard input
ends without a line, whoever asked has gone: everything is let go at once. What is made in the kernel (packet
sockets, and a table of the packet filter owned by its socket) ends with this process, however it ends.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import resource
import selectors
import socket
import struct
import sys
import time
from itertools import accumulate

from netkit.hosts.frames import Capture
from netkit.hosts.namespaces import find_namespaces
from netkit.hosts.netfilter import Listing, Tracer, read_handles
from netkit.laboratory.inside.syscalls import NEWNET, Inotify, set_process_name, setns

TABLE = "netkit-trace"
CLOCK = b"clock\n"  # the line that asks what time it is here
BUFFER = 8 << 20  # bytes of each namespace's packet socket
MOST, MOST_BYTES = 20_000, 48 << 20  # frames and bytes of a capture, before it counts as truncated
MOST_REPORTS = 8_000  # of rules, in one namespace
QUIET = 0.03  # seconds without a frame, after which all of them have come
AFTERWARDS = 0.4  # seconds to wait for that at most
DIRECTORIES = ("/run/docker/netns", "/run/netns")  # where namespaces are mounted: an engine's, and those of ip-netns(8)
SIOCGIFFLAGS, IFREQ, IFF_UP, IFF_LOOPBACK = 0x8913, struct.Struct("16sH22x"), 0x1, 0x8


class Newcomers:
    """Hear of files that appear in some directories, which need not be there yet. Wait for each of ``sources``, then read.

    Raises OSError where the kernel gives no instance of inotify (fs.inotify.max_user_instances).
    """

    def __init__(self, directories: tuple[str, ...] = DIRECTORIES) -> None:
        self._directories = directories
        self._names = {name for each in directories for name in each.split("/") if name}
        self._files, self._ways = self.sources = (Inotify(), Inotify())
        self._follow()

    def read(self) -> bool:
        """Whether a file has appeared in one of the directories, or may have: the directory itself is new."""
        came = self._ways.read() & self._names
        if came:
            self._follow()
        names = self._files.read()
        return bool(came) or any(os.path.exists(os.path.join(each, name)) for each in self._directories for name in names)

    def close(self) -> None:
        """Stop hearing. May be repeated."""
        for each in self.sources:
            each.close()

    def _follow(self) -> None:
        """Watch each directory and all those on the way to it, as far as there are any."""
        for directory in self._directories:
            with contextlib.suppress(OSError):
                for path in accumulate(directory.split("/")[1:-1], "{}/{}".format, initial=""):
                    self._ways.watch(path or "/")
                self._files.watch(directory)


class Place:
    """One namespace that is captured in."""

    def __init__(self, inode: int, opener: str, buffer: int) -> None:
        self.inode = inode
        self.fd = os.open(opener, os.O_RDONLY | os.O_CLOEXEC)
        self.tracer: Tracer | None = None
        self.trouble = ""
        self.frames: list[list] = []
        self.reports: list[dict] = []
        self.is_late = False
        setns(self.fd, NEWNET)
        self.capture = Capture(buffer)
        try:
            self.tracer = Tracer(TABLE)
        except OSError as error:
            self.trouble = error.strerror or str(error)
        self.links = dict(socket.if_nameindex())

    def is_in_use(self) -> bool:
        """Whether an interface is up, but for the loopback (netdevice(7)); the thread is in the namespace."""
        flags = []
        for name in self.links.values():
            with contextlib.suppress(OSError):  # it has vanished
                answer = fcntl.ioctl(self.capture, SIOCGIFFLAGS, IFREQ.pack(name.encode(), 0))
                flags.append(IFREQ.unpack(answer)[1])
        return any(each & (IFF_UP | IFF_LOOPBACK) == IFF_UP for each in flags)

    def to_json(self) -> dict:
        """Everything, as JSON has it; the table is let go before the rules are listed."""
        setns(self.fd, NEWNET)
        listing = Listing() if self.reports else None
        return {
            "inode": self.inode,
            "links": self.links | dict(socket.if_nameindex()),
            "drops": self.capture.count_drops(),
            "unheard": self.tracer.lost if self.tracer else 0,
            "trouble": self.trouble,
            "late": self.is_late,
            "frames": [[*frame[:3], base64.b64encode(frame[3]).decode()] for frame in self.frames],
            "reports": self.reports,
            "handles": read_handles() if self.reports else [],
            "listing": listing.read() if listing else [],
        }


class Collector:
    """All places of a machine."""

    def __init__(self, buffer: int, most: int) -> None:
        self._buffer, self._most = buffer, most
        self._own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._places: dict[int, Place] = {}
        self._selector = selectors.DefaultSelector()
        self._count = self._bytes = 0
        self._truncated = False
        self._newcomers: Newcomers | None = None
        with contextlib.suppress(OSError):  # without, namespaces made from now on go unseen
            self._newcomers = Newcomers()
        self._find(is_first=True)

    def _find(self, is_first: bool = False) -> None:
        """Begin in every namespace that there is by now."""
        for inode, found in find_namespaces().items():
            if inode in self._places:
                continue
            with contextlib.suppress(OSError):  # it has vanished since it was found
                place = self._places[inode] = Place(inode, found.opener, self._buffer)
                place.is_late = not is_first and place.is_in_use()  # something may have passed already
                self._selector.register(place.capture, selectors.EVENT_READ, lambda place=place: self._hear(place))
                if place.tracer:
                    self._selector.register(place.tracer, selectors.EVENT_READ, lambda place=place: self._note(place))
        setns(self._own, NEWNET)

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
                print(time.time_ns(), flush=True)

    def finish(self) -> dict:
        """Hear what is still on its way, and tell everything."""
        self._selector.unregister(0)
        end = time.monotonic() + AFTERWARDS
        while (ready := self._selector.select(QUIET)) and time.monotonic() <= end:
            for key, _ in ready:
                key.data()
        for place in self._places.values():
            self._release(place)
        places = [place.to_json() for place in self._places.values()]
        return {"truncated": self._truncated, "blind": self._newcomers is None, "places": places}

    def _look_again(self) -> None:
        """A namespace is made: first its file, then what is mounted on it."""
        if not self._newcomers.read():
            return
        known, end = len(self._places), time.monotonic() + 0.05
        while len(self._places) == known and time.monotonic() < end:
            self._find()
            time.sleep(0.001)

    def _hear(self, place: Place) -> None:
        frames = place.capture.read()
        place.frames += frames[: 0 if self._truncated else self._most - self._count]
        self._count += len(frames)
        self._bytes += sum(len(frame[3]) for frame in frames)
        self._truncated = self._truncated or self._count > self._most or self._bytes > MOST_BYTES

    def _note(self, place: Place) -> None:
        now = time.time_ns()
        place.reports += [report | {"stamp": now} for report in place.tracer.read()]
        if len(place.reports) >= MOST_REPORTS:  # enough of rules: hearing of more would cost frames
            place.tracer.lost += 1
            self._release(place)

    def _release(self, place: Place) -> None:
        if place.tracer and place.tracer.fileno() >= 0:
            self._selector.unregister(place.tracer)
            place.tracer.close()


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
    print("ready", read_boot(), flush=True)
    if collector.run():
        print(json.dumps(collector.finish(), separators=(",", ":")), flush=True)
