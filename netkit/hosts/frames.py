"""Every frame on every interface of one network namespace (packet(7)), stamped by the kernel."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator

ETH_P_ALL, SOL_PACKET, PACKET_STATISTICS = 3, 263, 6
SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>: SO_TIMESTAMPNS_OLD
SO_RCVBUFFORCE = 33
TIMESPEC = struct.Struct("@ll")
LONGEST = 1 << 17


class Capture(socket.socket):
    """A packet socket on all interfaces, those that come later included, of the namespace the thread is in."""

    def __init__(self, buffer: int) -> None:
        super().__init__(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(ETH_P_ALL))
        self.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        grow(self, buffer)
        self.setblocking(False)
        self._drops = 0

    def read(self) -> list[list]:
        """Frames that have come: [interface, packet type, ns since 1970, bytes]."""
        found = []
        for received in drain(lambda: self.recvmsg(LONGEST, 64)):
            if received is None:  # an interface has gone down: the socket works on
                continue
            data, extra, _, address = received
            stamps = [TIMESPEC.unpack_from(raw) for level, kind, raw in extra if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)]
            found.append([address[0], address[2], sum(seconds * 10**9 + fraction for seconds, fraction in stamps), data])
        return found

    def count_drops(self) -> int:
        """How many frames found no room in the buffer, since the beginning."""
        self._drops += struct.unpack("=II", self.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]  # since the last question
        return self._drops


def drain(receive: Callable[[], object], most: int = 64) -> Iterator:
    """What a socket that does not wait has by now, so many at once; None where it has an error instead."""
    for _ in range(most):
        try:
            yield receive()
        except BlockingIOError:
            return
        except OSError:
            yield None


def grow(sock: socket.socket, size: int) -> None:
    """As large a receive buffer as may be had."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
