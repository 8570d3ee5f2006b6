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
import select
import socket
import struct
import sys
import time
from collections.abc import Callable

from netkit.hosts.namespaces import MOUNTS, Found, enter, find_namespaces, prepare_process, read_file
from netkit.hosts.netfilter import Listing, Tracer, drain, grow, read_handles
from netkit.laboratory.inside.syscalls import NEWNET, setns

TABLE = "netkit-trace"
CLOCK = b"clock\n"  # the line that asks what time it is here
BUFFER = 8 << 20  # bytes of each namespace's packet socket
MOST, MOST_BYTES = 20_000, 48 << 20  # frames and bytes of a capture, before it counts as truncated
MOST_REPORTS = 8_000  # of rules, in one namespace
QUIET = 0.03  # seconds without a frame, after which all of them have come
AFTERWARDS = 0.4  # seconds to wait for that at most
ETH_P_ALL, SOL_PACKET, PACKET_STATISTICS = 3, 263, 6
SO_TIMESTAMPNS, TIMESPEC = 35, struct.Struct("@ll")  # <asm-generic/socket.h>: SO_TIMESTAMPNS_OLD
LONGEST = 1 << 17  # bytes of a frame
SIOCGIFFLAGS, IFREQ, IFF_UP, IFF_LOOPBACK = 0x8913, struct.Struct("16sH22x"), 0x1, 0x8


class Capture(socket.socket):
    """Every frame on every interface (packet(7)), those that come later included, of the namespace the thread is in."""

    def __init__(self, buffer: int) -> None:
        super().__init__(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(ETH_P_ALL))
        self.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        grow(self, buffer)
        self.setblocking(False)

    def read_frames(self) -> list[list]:
        """Frames that have come: [interface, packet type, ns since 1970 by the kernel's stamp, bytes]."""
        found = []
        for data, extra, _, address in filter(None, drain(lambda: self.recvmsg(LONGEST, 64))):  # None: an interface has gone down
            stamps = [TIMESPEC.unpack_from(raw) for level, kind, raw in extra if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)]
            found.append([address[0], address[2], sum(seconds * 10**9 + fraction for seconds, fraction in stamps), data])
        return found


class Place:
    """One namespace that is captured in."""

    def __init__(self, found: Found, buffer: int, is_new: bool) -> None:
        self.inode, self.file = found.inode, enter(found)
        self.tracer: Tracer | None = None
        self.trouble = ""
        self.frames: list[list] = []
        self.reports: list[dict] = []
        self.capture = Capture(buffer)
        try:
            self.tracer = Tracer(TABLE)
        except OSError as error:
            self.trouble = error.strerror or str(error)
        self.links = dict(socket.if_nameindex())
        self.is_late = is_new and self._is_in_use()  # something may have passed already

    def _is_in_use(self) -> bool:
        """Whether an interface is up, but for the loopback (netdevice(7)); the thread is in the namespace."""
        flags = []
        for name in self.links.values():
            with contextlib.suppress(OSError):  # it has vanished
                answer = fcntl.ioctl(self.capture, SIOCGIFFLAGS, IFREQ.pack(name.encode(), 0))
                flags.append(IFREQ.unpack(answer)[1])
        return any(each & (IFF_UP | IFF_LOOPBACK) == IFF_UP for each in flags)

    def to_json(self) -> dict:
        """Everything, as JSON has it; the table is let go before the rules are listed."""
        setns(self.file.fileno(), NEWNET)
        rules = {"handles": read_handles(), "listing": Listing().read()} if self.reports else {"handles": [], "listing": []}
        return {
            "inode": self.inode,
            "links": self.links | dict(socket.if_nameindex()),
            "drops": struct.unpack("=II", self.capture.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1],  # frames that found no room
            "unheard": self.tracer.lost if self.tracer else 0,
            "trouble": self.trouble,
            "late": self.is_late,
            "frames": [[*frame[:3], base64.b64encode(frame[3]).decode()] for frame in self.frames],
            "reports": self.reports,
            **rules,
        }


class Collector:
    """All places of a machine."""

    def __init__(self, buffer: int, most: int) -> None:
        self._buffer, self._most = buffer, most
        self._own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._mounts = os.open(MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        self._places: dict[int, Place] = {}
        self._epoll = select.epoll()
        self._actions: dict[int, Callable[[], None]] = {}  # by the descriptor that tells of something
        self._count = self._bytes = 0
        self._register(self._mounts, self._find, select.EPOLLPRI)
        self._find(is_new=False)

    def _register(self, fd: int, action: Callable[[], None], event: int = select.EPOLLIN) -> None:
        self._actions[fd] = action
        self._epoll.register(fd, event)

    def _find(self, is_new: bool = True) -> None:
        """Begin in every namespace that there is by now."""
        for inode, found in find_namespaces().items():
            if inode in self._places:
                continue
            with contextlib.suppress(OSError):  # it has vanished since it was found
                place = self._places[inode] = Place(found, self._buffer, is_new)
                self._register(place.capture.fileno(), lambda place=place: self._hear(place))
                if place.tracer:
                    self._register(place.tracer.fileno(), lambda place=place: self._note(place))
        setns(self._own, NEWNET)

    def _act(self, patience: float = -1) -> set[int]:
        """Wait for something, that long at most, and act on it; returns the descriptors that told of it."""
        ready = {fd for fd, _ in self._epoll.poll(patience)}
        for fd in ready & self._actions.keys():
            self._actions[fd]()
        return ready

    def run(self) -> bool:
        """Capture until standard input has a line that does not ask for the time; whether it had one, rather than ended."""
        self._epoll.register(0, select.EPOLLIN)
        while True:
            if 0 in self._act():
                line = os.read(0, 4096)
                if line != CLOCK:
                    return bool(line)
                print(time.time_ns(), flush=True)

    def finish(self) -> dict:
        """Hear what is still on its way, and tell everything."""
        self._epoll.unregister(0)
        end = time.monotonic() + AFTERWARDS
        while self._act(QUIET) and time.monotonic() <= end:
            pass
        for place in self._places.values():
            self._release(place)
        places = [place.to_json() for place in self._places.values()]
        return {"truncated": self._count > self._most or self._bytes > MOST_BYTES, "places": places}

    def _hear(self, place: Place) -> None:
        frames = place.capture.read_frames()
        if self._bytes <= MOST_BYTES:
            place.frames += frames[: max(0, self._most - self._count)]
        self._count += len(frames)
        self._bytes += sum(len(frame[3]) for frame in frames)

    def _note(self, place: Place) -> None:
        now = time.time_ns()
        place.reports += [report | {"stamp": now} for report in place.tracer.read_reports()]
        if len(place.reports) >= MOST_REPORTS:  # enough of rules: hearing of more would cost frames
            place.tracer.lost += 1
            self._release(place)

    def _release(self, place: Place) -> None:
        if place.tracer and place.tracer.fileno() >= 0:
            self._epoll.unregister(place.tracer)
            place.tracer.close()


def read_boot() -> str:
    """Which run of a kernel this is (random(4)): within one there is one clock, whatever the namespace; "" if that is hidden."""
    return read_file("/proc/sys/kernel/random/boot_id").strip()


def main() -> None:
    """Serve one capture; arguments: the size of the packet sockets' buffers in bytes, and how many frames are kept; 0 for the usual."""
    prepare_process("netkit-trace")
    buffer, most = (int(word) for word in sys.argv[1:3])
    collector = Collector(buffer or BUFFER, most or MOST)
    print("ready", read_boot(), flush=True)
    if collector.run():
        print(json.dumps(collector.finish(), separators=(",", ":")), flush=True)
