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
WAYS = {"in": 1, "out": 2}
LONGEST = 65535  # bytes of an option


def write_pcapng(trace: TraceData, path: str | Path) -> None:
    """Write every hop of every packet; raises NetkitError where that is not possible."""
    try:
        Path(path).write_bytes(to_pcapng(trace))
    except OSError as error:
        raise NetkitError(f"{path} cannot be written: {error.strerror}") from None


def to_pcapng(trace: TraceData) -> bytes:
    """The file's bytes, packets in the order of time."""
    told = [(hop, number, packet) for packet in trace.packets for number, hop in enumerate(packet.hops, 1)]
    told.sort(key=lambda row: row[0].stamp)
    interfaces = {place: number for number, place in enumerate(dict.fromkeys(hop.place for hop, _, _ in told))}
    names = Names(trace)
    about = [(COMMENT, trace.command.encode()), (COMMENT, tell_verdict(trace).encode()), (APPLICATION, b"netkit trace")]
    blocks = [_block(SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1), about)]
    for place in interfaces:
        blocks.append(_block(INTERFACE, struct.pack("<HHI", ETHERNET, 0, 0), [(NAME, place.encode()), (RESOLUTION, NANOSECONDS)]))
    for hop, number, packet in told:
        stamp, lengths = divmod(hop.stamp, 1 << 32), (len(hop.frame), hop.length)
        options = [(COMMENT, _comment(hop, number, packet, names).encode()), (FLAGS, struct.pack("<I", WAYS[hop.direction]))]
        blocks.append(_block(PACKET, struct.pack("<IIIII", interfaces[hop.place], *stamp, *lengths) + _pad(hop.frame), options))
    return b"".join(blocks)


def _comment(hop: Hop, number: int, packet: Packet, names: Names) -> str:
    where, interface, direction = names.hop(hop)
    lines = [f"hop {number} of {len(packet.hops)}: {packet.what}, {direction} at {interface} of {where}"]
    lines += [f"NAT: {rewrite}, {tell_way(hop.before)} before" for rewrite in calc_rewrites(hop, packet.reply) if hop.before]
    rules = [*hop.rules, *(packet.last if number == len(packet.hops) else ())]
    lines += [f"{'after this, ' if rule in packet.last else ''}{rule.title}: {rule.text}" for rule in rules]
    return "\n".join(lines)


def _block(kind: int, body: bytes, options: Iterable[tuple[int, bytes]]) -> bytes:
    for code, data in (*options, (END, b"")):
        body += struct.pack("<HH", code, len(data[:LONGEST])) + _pad(data[:LONGEST])
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _pad(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
