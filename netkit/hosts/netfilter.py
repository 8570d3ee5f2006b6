"""The packet filter of a network namespace: its rules as they are listed, and the way of packets through them as it is traced."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator

from netkit.hosts.namespaces import read_file

NETLINK_NETFILTER, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 12, 270, 1
GROUP_TRACE = 9
SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
BATCH_BEGIN, BATCH_END = 0x10, 0x11
NEWTABLE, NEWCHAIN, NEWRULE, GETRULE, TRACE = (SUBSYSTEM << 8 | number for number in (0, 3, 6, 7, 17))
NLMSG_ERROR, NLMSG_DONE = 2, 3
REQUEST, ACK, CREATE, APPEND, DUMP = 0x1, 0x4, 0x400, 0x800, 0x300
NESTED, TYPE = 0x8000, 0x3FFF
SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>
INET = 1
OWNER = 0x2
META_NFTRACE = 12
HOOKS = {"prerouting": 0, "output": 3}
PRIORITY = -350  # after defragmentation (-400), before raw (-300): see <linux/netfilter_ipv4.h>
FAMILIES = {0: "?", 1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
CODES = {0: "drop", 1: "accept", 3: "queue", -1: "continue", -2: "continue", -3: "jump", -4: "goto", -5: "return"}
# attributes of a report, enum nft_trace_attributes
TEXTS, NUMBERS = {"table": 1, "chain": 2}, {"handle": 3, "id": 6, "in": 10, "out": 12}
KIND, VERDICT, NETWORK, TRANSPORT, POLICY = 4, 5, 8, 9, 16
MESSAGE, ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")


def pack(attributes: dict[int, object]) -> bytes:
    """Netlink attributes: bytes, a text, a number in the network's order, or attributes in it, once or in a list."""
    data = b""
    for kind, value in attributes.items():
        if isinstance(value, (dict, list)):
            kind, value = kind | NESTED, b"".join(map(pack, value if isinstance(value, list) else [value]))
        elif isinstance(value, str):
            value = value.encode() + b"\0"
        elif isinstance(value, int):
            value = struct.pack("!i", value)
        data += ATTRIBUTE.pack(len(value) + 4, kind) + value + bytes(-len(value) % 4)
    return data


def message(kind: int, flags: int, family: int = 0, attributes: dict[int, object] | None = None, subsystem: int = 0) -> bytes:
    """One message of nfnetlink."""
    data = struct.pack("=BB", family, 0) + struct.pack("!H", subsystem) + pack(attributes or {})
    return MESSAGE.pack(len(data) + 16, kind, flags, 1, 0) + data


def split(data: bytes, header: struct.Struct = MESSAGE, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each message of a datagram, or each attribute of a body; both begin with their length and kind."""
    while at + header.size <= len(data):
        length, kind, *_ = header.unpack_from(data, at)
        if length < header.size:
            return
        yield kind, data[at + header.size : at + length]
        at += (length + 3) & ~3


def unpack(data: bytes, at: int = 4) -> dict[int, bytes]:
    """The attributes of a body, by type."""
    return {kind & TYPE: value for kind, value in split(data, ATTRIBUTE, at)}


def text(data: bytes) -> str:
    return data.rstrip(b"\0").decode(errors="replace")


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


class FilterSocket(socket.socket):
    """To the packet filter of the namespace the thread is in."""

    def __init__(self) -> None:
        super().__init__(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        self.bind((0, 0))
        self.settimeout(10)
        grow(self, 1 << 22)


def grow(sock: socket.socket, size: int) -> None:
    """As large a receive buffer as may be had."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def drain(receive: Callable[[], object], most: int = 64) -> Iterator:
    """What a socket that does not wait has by now, so many at once; None where it has an error instead."""
    for _ in range(most):
        try:
            yield receive()
        except BlockingIOError:
            return
        except OSError:
            yield None


class Tracer(FilterSocket):
    """Marks every packet of the namespace the thread is in, and hears what rules those meet.

    It owns the table that marks them: the kernel removes that when this is closed. ``lost`` counts reports, or rows of them.
    """

    def __init__(self, table: str) -> None:
        super().__init__()
        self.lost = 0
        self._make_table(table)
        self.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, GROUP_TRACE)  # last: reports do not come between the answers
        self.setblocking(False)

    def _make_table(self, name: str) -> None:
        one = {1: {1: "immediate", 2: {1: 1, 2: {1: b"\1"}}}}
        mark = {1: {1: "meta", 2: {2: META_NFTRACE, 3: 1}}}
        wanted = [(NEWTABLE, 0, {1: name, 2: OWNER})]
        for chain, hook in HOOKS.items():
            wanted.append((NEWCHAIN, 0, {1: name, 3: chain, 4: {1: hook, 2: PRIORITY}, 7: "filter"}))
            wanted.append((NEWRULE, APPEND, {1: name, 2: chain, 4: [one, mark]}))
        batch = [message(kind, REQUEST | ACK | CREATE | flags, INET, attributes) for kind, flags, attributes in wanted]
        begin, end = (message(kind, REQUEST, subsystem=SUBSYSTEM) for kind in (BATCH_BEGIN, BATCH_END))
        self.send(b"".join([begin, *batch, end]))
        for _ in wanted:
            for kind, body in split(self.recv(1 << 16)):
                if kind == NLMSG_ERROR and (number := -struct.unpack_from("=i", body)[0]):
                    raise OSError(number, f"no table for tracing could be made: {os.strerror(number)}")

    def read_reports(self) -> list[dict]:
        """What has been reported since, a few datagrams at once."""
        found = []
        for data in drain(lambda: self.recv(1 << 16)):
            self.lost += data is None  # ENOBUFS: reports were lost, and nobody knows how many
            found += [decode(body) for kind, body in split(data or b"") if kind == TRACE]
        return found


def decode(body: bytes) -> dict:
    """One report: which rule (or policy) of which chain a packet met, and what came of it."""
    found = unpack(body)
    verdict = unpack(found.get(VERDICT, b""), 0)
    code = int.from_bytes(verdict.get(1, b""), "big", signed=True)
    report = {
        "family": FAMILIES.get(body[0], str(body[0])),
        **{name: text(found.get(kind, b"")) for name, kind in TEXTS.items()},
        **{name: number(found.get(kind, b"")) for name, kind in NUMBERS.items()},
        "kind": {1: "policy", 2: "return", 3: "rule"}.get(number(found.get(KIND, b"")), ""),
        "verdict": CODES.get(code, str(code & 0xFF)) if 1 in verdict else "",
        "to": text(verdict.get(2, b"")),
    }
    if POLICY in found:
        report["verdict"] = {0: "drop", 1: "accept"}.get(number(found[POLICY]), "")
    if NETWORK in found:
        report |= {"network": found[NETWORK].hex(), "transport": found.get(TRANSPORT, b"").hex()}
    return report


def read_handles() -> list[list]:
    """Every rule of the thread's namespace, in order: family, table, chain, handle."""
    rules = []
    with FilterSocket() as sock:
        sock.send(message(GETRULE, REQUEST | DUMP))
        while True:
            for kind, body in split(sock.recv(1 << 18)):
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    return rules
                table, chain, handle = (unpack(body).get(kind, b"") for kind in (1, 2, 3))
                rules.append([FAMILIES.get(body[0], "?"), text(table), text(chain), number(handle)])


PROGRAMS = ((4, "iptables", "/proc/net/ip_tables_names"), (6, "ip6tables", "/proc/net/ip6_tables_names"))
DIRECTORIES = ("/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin")


class Listing:
    """The programs that list the rules of the namespace the thread is in when it is made."""

    def __init__(self) -> None:
        self._running = []
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "encoding": "utf-8", "errors": "replace"}
        for family, program, legacy_tables in PROGRAMS:
            for backend, name in (("nf_tables", f"{program}-nft-save"), ("legacy", f"{program}-legacy-save")):
                path = next((path for each in DIRECTORIES if os.access(path := f"{each}/{name}", os.X_OK)), None)
                if path and (backend == "nf_tables" or read_file(legacy_tables)):
                    self._running.append((family, backend, subprocess.Popen([path], env={"PATH": ":".join(DIRECTORIES)}, **options)))

    def read(self) -> list[dict]:
        """What was listed: family, backend, and the lines without comments and counters."""
        return [
            {"family": family, "backend": backend, "lines": [line for line in process.communicate()[0].splitlines() if line[:1] in "*:-"]}
            for family, backend, process in self._running
        ]
