"""Read a capture file of tcpdump (pcap, https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from netkit.errors import NetkitError
from netkit.packets.packet import Packet

MAGIC = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}  # and how many nanoseconds its unit of time has
LONGEST = 1 << 22  # bytes of a packet that tcpdump would write; more is not a length
KNOWN = {1: "Ethernet", 276: "Linux cooked, version 2"}


def read_packets(path: str | Path) -> Iterator[Packet]:
    """The packets of a capture file, in its order.

    Raises NetkitError for a file that cannot be read, or is no capture; a file that ends within a packet,
    as one that is still being written may, ends with the packet before.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise NetkitError(f"{path} cannot be read: {error.strerror}") from None
    order = next((order for order in "<>" if len(raw) >= 24 and struct.unpack_from(order + "I", raw)[0] in MAGIC), None)
    if order is None:
        raise NetkitError(f"{path} is no capture file: write one with `tcpdump -w {path} …`, and let tcpdump end before you read it")
    unit, link = MAGIC[struct.unpack_from(order + "I", raw)[0]], struct.unpack_from(order + "I", raw, 20)[0] & 0xFFFF
    if link not in KNOWN:
        raise NetkitError(f"{path} has link type {link}; this reads {' and '.join(f'{name} ({kind})' for kind, name in KNOWN.items())}")
    at = 24
    while at + 16 <= len(raw):
        seconds, fraction, length, total = struct.unpack_from(order + "IIII", raw, at)
        if length > LONGEST or at + 16 + length > len(raw):
            return
        yield Packet(raw[at + 16 : at + 16 + length], link=link, total=total, time=seconds * 10**9 + fraction * unit)
        at += 16 + length


def read_packet(path: str | Path, number: int = 1) -> Packet:
    """The packet ``number`` (1 is the first) of a capture file; as a cell's last line it is laid out.

    Raises NetkitError as :func:`read_packets` does, and for a file with fewer packets.
    """
    found = list(read_packets(path))
    if not 1 <= number <= len(found):
        raise NetkitError(f"{path} has {len(found)} packets: there is no number {number}")
    return found[number - 1]
