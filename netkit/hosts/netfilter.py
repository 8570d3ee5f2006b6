"""A table of the packet filter that marks packets for tracing, and what the kernel reports of marked ones.

The table belongs to its netlink socket (NFT_TABLE_F_OWNER, Linux ≥ 5.12): the kernel removes it when the socket is
closed, so also when its process is killed. Numbers are those of <linux/netfilter/nf_tables.h> and nfnetlink.h.
"""

from __future__ import annotations

import os
import socket
import struct

from netkit.hosts.netlink import Attributes

NETLINK_NETFILTER, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 12, 270, 1
GROUP_TRACE = 9
SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
BATCH_BEGIN, BATCH_END = 0x10, 0x11
NEWTABLE, NEWCHAIN, NEWRULE, GETRULE, TRACE = 0, 3, 6, 7, 17
NLMSG_ERROR, NLMSG_DONE = 2, 3
REQUEST, ACK, CREATE, APPEND, DUMP = 0x1, 0x4, 0x400, 0x800, 0x300
NESTED, TYPE = 0x8000, 0x3FFF
INET, IPV4, IPV6 = 1, 2, 10
OWNER = 0x2
META_NFTRACE = 12
HOOKS = {"prerouting": 0, "output": 3}
PRIORITY = -350  # after defragmentation (-400), before raw (-300): see <linux/netfilter_ipv4.h>
SO_RCVBUFFORCE = 33
FAMILIES = {0: "?", 1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
CODES = {0: "drop", 1: "accept", 3: "queue", -1: "continue", -2: "continue", -3: "jump", -4: "goto", -5: "return"}


def attribute(kind: int, data: bytes) -> bytes:
    """One netlink attribute, padded."""
    return struct.pack("=HH", len(data) + 4, kind) + data + b"\0" * (-len(data) % 4)


def nest(kind: int, *parts: bytes) -> bytes:
    """An attribute of attributes."""
    return attribute(kind | NESTED, b"".join(parts))


def message(kind: int, flags: int, family: int, body: bytes, sequence: int = 1, resource: int = 0) -> bytes:
    """One message of nfnetlink."""
    data = struct.pack("=BB", family, 0) + struct.pack("!H", resource) + body
    return struct.pack("=IHHII", len(data) + 16, kind, flags, sequence, 0) + data


def split(data: bytes):
    """The messages of a datagram: type and body each."""
    at = 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        if length < 16:
            return
        yield kind, data[at + 16 : at + length]
        at += (length + 3) & ~3


def attributes(data: bytes, at: int = 4) -> Attributes:
    """The attributes of a body, by type."""
    found: Attributes = {}
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found[kind & TYPE] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def text(data: bytes | None) -> str:
    return (data or b"").rstrip(b"\0").decode(errors="replace")


class Tracer:
    """Marks every packet of the namespace the thread is in, and hears what rules those meet."""

    def __init__(self, name: str) -> None:
        self.lost = 0
        self._socket = self._open()
        try:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, GROUP_TRACE)
            self._owner = self._open()
            self._make_table(name)
        except BaseException:
            self.close()
            raise
        self._socket.setblocking(False)

    @staticmethod
    def _open() -> socket.socket:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        sock.bind((0, 0))
        grow(sock, 1 << 22)
        return sock

    def close(self) -> None:
        """Let go: the kernel removes the table."""
        for sock in (self._socket, getattr(self, "_owner", None)):
            if sock:
                sock.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def _make_table(self, name: str) -> None:
        table = name.encode() + b"\0"
        parts = [
            message(BATCH_BEGIN, REQUEST, 0, b"", 0, SUBSYSTEM),
            self._ask(NEWTABLE, attribute(1, table) + attribute(2, struct.pack("!I", OWNER))),
        ]
        for chain, hook in HOOKS.items():
            where = nest(4, attribute(1, struct.pack("!I", hook)), attribute(2, struct.pack("!i", PRIORITY)))
            parts.append(
                self._ask(NEWCHAIN, attribute(1, table) + attribute(3, chain.encode() + b"\0") + where + attribute(7, b"filter\0"))
            )
            value = expression("immediate", attribute(1, struct.pack("!I", 1)), nest(2, attribute(1, b"\1")))
            mark = expression("meta", attribute(2, struct.pack("!I", META_NFTRACE)), attribute(3, struct.pack("!I", 1)))
            rule = attribute(1, table) + attribute(2, chain.encode() + b"\0") + nest(4, value, mark)
            parts.append(self._ask(NEWRULE, rule, APPEND))
        parts.append(message(BATCH_END, REQUEST, 0, b"", 99, SUBSYSTEM))
        self._owner.send(b"".join(parts))
        self._owner.settimeout(10)
        for _ in range(len(parts) - 2):
            for kind, body in split(self._owner.recv(1 << 16)):
                if kind == NLMSG_ERROR and (number := -struct.unpack_from("=i", body)[0]):
                    raise OSError(number, f"no table for tracing could be made: {os.strerror(number)}")

    @staticmethod
    def _ask(kind: int, body: bytes, flags: int = 0) -> bytes:
        return message(SUBSYSTEM << 8 | kind, REQUEST | ACK | CREATE | flags, INET, body)

    def read(self, most: int = 64) -> list[dict]:
        """What has been reported since, a few datagrams at once."""
        found = []
        for _ in range(most):
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: reports were lost, and nobody knows how many
                self.lost += 1
                continue
            found += [decode(body) for kind, body in split(data) if kind == SUBSYSTEM << 8 | TRACE]
        return found


def expression(name: str, *data: bytes) -> bytes:
    return nest(1, attribute(1, name.encode() + b"\0"), nest(2, *data))


def decode(body: bytes) -> dict:
    """One report: which rule (or policy) of which chain a packet met, and what came of it."""
    found = attributes(body)

    def number(kind: int) -> int:
        return int.from_bytes(found.get(kind, b""), "big")

    verdict = attributes(found[5], 0) if 5 in found else {}
    code = struct.unpack("!i", verdict[1])[0] if 1 in verdict else None
    report = {
        "family": FAMILIES.get(body[0], str(body[0])),
        "table": text(found.get(1)),
        "chain": text(found.get(2)),
        "handle": number(3),
        "kind": {1: "policy", 2: "return", 3: "rule"}.get(number(4), ""),
        "verdict": "" if code is None else CODES.get(code, str(code & 0xFF)),
        "to": text(verdict.get(2)),
        "id": number(6),
        "in": number(10),
        "out": number(12),
    }
    if 16 in found:
        report["verdict"] = {0: "drop", 1: "accept"}.get(number(16), "")
    if 8 in found:
        report["network"] = found[8].hex()
        report["transport"] = found.get(9, b"").hex()
    return report


def read_handles() -> list[list]:
    """Every rule of the thread's namespace, in order: family, table, chain, handle."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER) as sock:
        sock.settimeout(10)
        sock.send(message(SUBSYSTEM << 8 | GETRULE, REQUEST | DUMP, 0, b""))
        rules = []
        while True:
            for kind, body in split(sock.recv(1 << 18)):
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    return rules
                found = attributes(body)
                handle = int.from_bytes(found.get(3, b""), "big")
                rules.append([FAMILIES.get(body[0], "?"), text(found.get(1)), text(found.get(2)), handle])


def grow(sock: socket.socket, size: int) -> None:
    """As large a receive buffer as may be had."""
    for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, size)
            return
        except PermissionError:
            continue
