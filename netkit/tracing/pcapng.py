"""A trace as a pcapng file (draft-ietf-opsawg-pcapng): an interface for each one crossed, a comment for each hop."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from netkit.errors import NetkitError
from netkit.tracing.values import Hop, Packet, TraceData
from netkit.tracing.verdict import tell_verdict
from netkit.tracing.words import Names, calc_rewrites, tell_way

ETHERNET = 1
SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
END, COMMENT, NAME, RESOLUTION, FLAGS, APPLICATION = 0, 1, 2, 9, 2, 4
NANOSECONDS = b"\x09"
INBOUND, OUTBOUND = 1, 2


def write_pcapng(trace: TraceData, path: str | Path) -> None:
    """Write every hop of every packet; raises NetkitError where that is not possible."""
    try:
        Path(path).write_bytes(to_pcapng(trace))
    except OSError as error:
        raise NetkitError(f"{path} cannot be written: {error.strerror}") from None


def to_pcapng(trace: TraceData) -> bytes:
    """The file's bytes, packets in the order of time."""
    hops = sorted(
        ((hop, number, packet) for packet in trace.packets for number, hop in enumerate(packet.hops, 1)), key=lambda row: row[0].stamp
    )
    interfaces = {place: number for number, place in enumerate(dict.fromkeys(hop.place for hop, _, _ in hops))}
    names = Names(trace)
    blocks = [_section(trace), *(_interface(place) for place in interfaces)]
    blocks += [_packet(hop, interfaces[hop.place], _comment(hop, number, packet, names)) for hop, number, packet in hops]
    return b"".join(blocks)


def _section(trace: TraceData) -> bytes:
    words = [trace.command, tell_verdict(trace)]
    body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    return _block(SECTION, body + _options([*((COMMENT, word.encode()) for word in words), (APPLICATION, b"netkit trace")]))


def _interface(place: str) -> bytes:
    body = struct.pack("<HHI", ETHERNET, 0, 0)
    return _block(INTERFACE, body + _options([(NAME, place.encode()), (RESOLUTION, NANOSECONDS)]))


def _packet(hop: Hop, interface: int, comment: str) -> bytes:
    body = struct.pack("<IIIII", interface, hop.stamp >> 32, hop.stamp & 0xFFFFFFFF, len(hop.frame), hop.length)
    flags = struct.pack("<I", INBOUND if hop.direction == "in" else OUTBOUND)
    return _block(PACKET, body + _pad(hop.frame) + _options([(COMMENT, comment.encode()), (FLAGS, flags)]))


def _comment(hop: Hop, number: int, packet: Packet, names: Names) -> str:
    where, interface, direction = names.hop(hop)
    lines = [f"hop {number} of {len(packet.hops)}: {packet.what}, {direction} at {interface} of {where}"]
    lines += [f"NAT: {rewrite}, {tell_way(hop.before)} before" for rewrite in calc_rewrites(hop, packet.reply) if hop.before]
    rules = [*hop.rules, *(packet.last if number == len(packet.hops) else ())]
    lines += [f"{'after this, ' if rule in packet.last else ''}{rule.title}: {rule.text}" for rule in rules]
    return "\n".join(lines)


def _options(options: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join(struct.pack("<HH", kind, len(data[:65535])) + _pad(data[:65535]) for kind, data in options) + struct.pack("<HH", END, 0)


def _pad(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)
