"""Every frame on every interface of one network namespace (packet(7)), stamped by the kernel."""

from __future__ import annotations

import socket
import struct

from netkit.hosts.netfilter import grow

ETH_P_ALL, SOL_PACKET, PACKET_STATISTICS = 3, 263, 6
SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>: SO_TIMESTAMPNS_OLD
TIMESPEC = struct.Struct("@ll")
LONGEST = 1 << 17


class Capture:
    """A packet socket on all interfaces, those that come later included, of the namespace the thread is in."""

    def __init__(self, buffer: int) -> None:
        self.drops = 0
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(ETH_P_ALL))
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            grow(self._socket, buffer)
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self, most: int = 64) -> list[list]:
        """Frames that have come: [interface, packet type, ns since 1970, bytes]."""
        found = []
        for _ in range(most):
            try:
                data, extra, _, address = self._socket.recvmsg(LONGEST, 64)
            except BlockingIOError:
                break
            except OSError:  # an interface has gone down: the socket works on
                continue
            stamp = 0
            for level, kind, raw in extra:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = TIMESPEC.unpack_from(raw)
                    stamp = seconds * 10**9 + nanoseconds
            found.append([address[0], address[2], stamp, data])
        return found

    def count_drops(self) -> int:
        """How many frames found no room in the buffer, since the beginning."""
        _, drops = struct.unpack("=II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self.drops += drops
        return self.drops
