"""Free ports of the loopback, for what is started in a moment."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

LOWEST = 10_240


def find_ports(count: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> list[int]:
    """So many free ports, none of which the kernel gives to whoever asks for any port meanwhile (ip(7), ip_local_port_range)."""
    highest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: set[int] = set()
    while len(found) < count:
        port = random.randrange(LOWEST, highest)
        with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.add(port)
    return list(found)
