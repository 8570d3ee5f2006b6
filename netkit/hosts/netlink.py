"""Tables of one network namespace, read from the kernel through rtnetlink(7).

Only what a topology needs is decoded, straight from the bytes. A general library decodes every
attribute of every message into objects: 0.5 ms for each link, where this takes some 20 µs, and a
machine with a hundred containers has three hundred links (``benchmarks/topology.py``).

Numbers are those of the kernel's <linux/rtnetlink.h>, if_link.h, if_addr.h, neighbour.h, net_namespace.h.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH, RTM_GETNSID = 18, 22, 26, 30, 90
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x1, 0x300, 0x10
NLA_TYPE = 0x3FFF
RTEXT_FILTER_SKIP_STATS = 0x8
AF_BRIDGE = 7
ARPHRD_LOOPBACK = 772
IFF_UP = 0x1
RT_TABLE_LOCAL = 255
RTM_F_CLONED = 0x200
NUD_FAILED, NUD_INCOMPLETE, NUD_NOARP, NUD_PERMANENT = 0x20, 0x01, 0x40, 0x80
NTF_SELF = 0x02
NETNSA_NSID, NETNSA_FD = 1, 3

OPERSTATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
PORT_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")
MACVLAN_MODES = {1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source"}
ROUTE_KINDS = {1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
ROUTE_KINDS |= {9: "throw", 10: "nat"}
SCOPES = {0: "universe", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
NEIGHBOUR_STATES = {1: "incomplete", 2: "reachable", 4: "stale", 8: "delay", 16: "probe", 32: "failed", 64: "noarp", 128: "permanent"}

PATIENCE = 10  # seconds for the kernel to answer
BUFFER = bytearray(1 << 17)  # more than the kernel writes at once (netlink_recvmsg: 32 kB, or one message)

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_U32 = struct.Struct("=I")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_NEXTHOP = struct.Struct("=HBBi")

Attributes = dict[int, bytes]


class Tables:
    """A netlink socket of the network namespace the thread is in when it is made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        # not settimeout(): Python would then poll before every call
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", PATIENCE, 0))

    def close(self) -> None:
        self._socket.close()

    def read_links(self) -> list[dict]:
        """The interfaces: what ip-link(8) prints, with numbers for master, peer and parent."""
        body = _LINK.pack(0, 0, 0, 0, 0) + pack_attribute(29, _U32.pack(RTEXT_FILTER_SKIP_STATS))
        return [_decode_link(data) for data in self._dump(RTM_GETLINK, body)]

    def read_addresses(self) -> list[tuple[int, str]]:
        """Pairs of interface number and address with prefix."""
        return [_decode_address(data) for data in self._dump(RTM_GETADDR, _ADDRESS.pack(0, 0, 0, 0, 0))]

    def read_routes(self) -> list[dict]:
        """The routes of all tables but "local", whose routes follow from the addresses."""
        found = self._dump(RTM_GETROUTE, _ROUTE.pack(0, 0, 0, 0, 0, 0, 0, 0, 0))
        return [route for data in found for route in _decode_route(data)]

    def read_neighbours(self) -> list[dict]:
        """ARP and NDP entries, without those of links that need none."""
        found = self._dump(RTM_GETNEIGH, _NEIGHBOUR.pack(0, 0, 0, 0, 0))
        return [row for row in map(_decode_neighbour, found) if row]

    def read_forwarding(self) -> list[dict]:
        """Rows of all bridges' and VTEPs' forwarding databases (and every device's own filter list)."""
        body = _LINK.pack(AF_BRIDGE, 0, 0, 0, 0)
        return [_decode_forwarding(data) for data in self._dump(RTM_GETNEIGH, body)]

    def read_namespace_ids(self, fds: list[int]) -> list[int]:
        """By which number this namespace knows those behind the descriptors; -1 where by none.

        All questions go out in one write: one per namespace would be felt with hundreds of them.
        """
        answers: list[int] = []
        for begin in range(0, len(fds), 64):
            some = fds[begin : begin + 64]
            body = [b"\0\0\0\0" + pack_attribute(NETNSA_FD, _U32.pack(fd)) for fd in some]
            self._socket.send(b"".join(pack_message(RTM_GETNSID, NLM_F_REQUEST, each) for each in body))
            while len(answers) < begin + len(some):
                for kind, _, data in self._receive():
                    found = {} if kind == NLMSG_ERROR else unpack_attributes(data, 4)
                    answers.append(struct.unpack("=i", found[NETNSA_NSID])[0] if NETNSA_NSID in found else -1)
        return answers

    def is_alive(self, number: int) -> bool:
        """Whether the namespace this one knows by a number still exists: one being taken down does not."""
        if number < 0:
            return False
        self._socket.send(pack_message(RTM_GETNSID, NLM_F_REQUEST, b"\0\0\0\0" + pack_attribute(NETNSA_NSID, struct.pack("=i", number))))
        return all(kind != NLMSG_ERROR for kind, _, _ in self._receive())

    def _receive(self) -> list[tuple[int, int, bytes]]:
        """The messages of one read: their kind, flags and body."""
        data = bytes(memoryview(BUFFER)[: self._socket.recv_into(BUFFER)])
        messages, place, end = [], 0, len(data)
        while place < end:
            length, kind, flags, _, _ = _HEADER.unpack_from(data, place)
            messages.append((kind, flags, data[place + 16 : place + length]))
            place += (length + 3) & ~3
        return messages

    def _dump(self, request: int, body: bytes) -> list[bytes]:
        """The bodies of a table's rows; asks again, a few times, when it changed while being read."""
        for _ in range(5):
            rows, whole = self._dump_once(request, body)
            if whole:
                break
        return rows

    def _dump_once(self, request: int, body: bytes) -> tuple[list[bytes], bool]:
        self._socket.send(pack_message(request, NLM_F_REQUEST | NLM_F_DUMP, body))
        rows, whole = [], True
        while True:
            for kind, flags, data in self._receive():
                whole = whole and not flags & NLM_F_DUMP_INTR
                if kind == NLMSG_DONE:
                    return rows, whole
                if kind == NLMSG_ERROR:
                    raise OSError(-struct.unpack_from("=i", data)[0], f"netlink request {request}")
                rows.append(data)


def pack_message(kind: int, flags: int, body: bytes) -> bytes:
    """A message to the kernel: netlink(7)'s header, and what follows it."""
    return _HEADER.pack(16 + len(body), kind, flags, 1, 0) + body


def pack_attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes (NLA_ALIGNTO in linux/netlink.h)."""
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def unpack_attributes(data: bytes, place: int) -> Attributes:
    """The attributes from a place (in bytes) to the end: value by number, the last one where one comes twice."""
    found, end, unpack = {}, len(data) - 3, _ATTRIBUTE.unpack_from
    while place < end:
        length, kind = unpack(data, place)
        if length < 4:
            break
        found[kind & NLA_TYPE] = data[place + 4 : place + length]
        place += (length + 3) & ~3
    return found


def _number(found: Attributes, kind: int, otherwise: int = 0) -> int:
    """An unsigned number of the host's byte order, whatever its width."""
    return int.from_bytes(found[kind], sys.byteorder) if kind in found else otherwise


def _ip(data: bytes | None) -> str | None:
    """An address as text; None for one that is missing or all zeros."""
    if not data or not any(data):
        return None
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)


def _mac(data: bytes | None) -> str:
    return data.hex(":") if data and len(data) == 6 else ""


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode(errors="replace")


def _decode_link(data: bytes) -> dict:
    _, device, index, flags, _ = _LINK.unpack_from(data)
    found = unpack_attributes(data, 16)
    info = unpack_attributes(found.get(18, b""), 0)
    kind = _text(info[1]) if 1 in info else ("loopback" if device == ARPHRD_LOOPBACK else "physical")
    link = {
        "name": _text(found[3]),
        "index": index,
        "kind": kind,
        "mac": _mac(found.get(1)) if kind != "loopback" else "",
        "mtu": _number(found, 4),
        "up": bool(flags & IFF_UP),
        "state": OPERSTATES[_number(found, 16)],
        "master": _number(found, 10),
        "link": _number(found, 5),
        "nsid": struct.unpack("=i", found[37])[0] if 37 in found else None,
    }
    if kind in DETAILS:
        link |= DETAILS[kind](unpack_attributes(info.get(2, b""), 0))
    if info.get(4, b"")[:6] == b"bridge":
        port = unpack_attributes(info.get(5, b""), 0)
        link["port"] = {"state": PORT_STATES[_number(port, 1)], "hairpin": bool(_number(port, 4)), "isolated": bool(_number(port, 33))}
    return link


def _decode_vxlan(data: Attributes) -> dict:
    group, local = data.get(2) or data.get(16), data.get(4) or data.get(17)
    return {
        "lower": _number(data, 3),
        "vxlan": {
            "vni": _number(data, 1),
            "port": int.from_bytes(data.get(15, b""), "big"),
            "local": _ip(local),
            "group": _ip(group),
            "learning": bool(_number(data, 7)),
            "proxy": bool(_number(data, 11)),
        },
    }


def _decode_bridge(data: Attributes) -> dict:
    return {"bridge": {"stp": ("off", "kernel", "user")[_number(data, 5)], "vlan_filtering": bool(_number(data, 7))}}


DETAILS = {
    "vxlan": _decode_vxlan,
    "bridge": _decode_bridge,
    "macvlan": lambda data: {"macvlan_mode": MACVLAN_MODES.get(_number(data, 1), "")},
    "vlan": lambda data: {"vlan": _number(data, 1)},
}


def _decode_address(data: bytes) -> tuple[int, str]:
    _, prefix, _, _, index = _ADDRESS.unpack_from(data)
    found = unpack_attributes(data, 8)
    raw = found.get(2) or found[1]  # IFA_LOCAL is the own address where IFA_ADDRESS is the peer's
    return index, f"{socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)}/{prefix}"


def _decode_route(data: bytes) -> Iterator[dict]:
    family, length, _, _, table, _, scope, kind, flags = _ROUTE.unpack_from(data)
    if table == RT_TABLE_LOCAL or flags & RTM_F_CLONED:
        return
    found = unpack_attributes(data, 12)
    anywhere = "0.0.0.0" if family == socket.AF_INET else "::"
    route = {
        "destination": f"{_ip(found.get(1)) or anywhere}/{length}",
        "source": _ip(found.get(7)),
        "kind": ROUTE_KINDS.get(kind, str(kind)),
        "scope": SCOPES.get(scope, str(scope)),
        "metric": _number(found, 6),
        "table": _number(found, 15, table),
    }
    for hop, index in _decode_hops(found):
        yield route | {"index": index, "gateway": _ip(hop.get(5)) or _ip(hop.get(18, b"")[2:])}


def _decode_hops(found: Attributes) -> Iterator[tuple[Attributes, int]]:
    """The next hops of a route: itself, or those of RTA_MULTIPATH."""
    several, place = found.get(9, b""), 0
    if not several:
        yield found, _number(found, 4)
    while place < len(several):
        length, _, _, index = _NEXTHOP.unpack_from(several, place)
        yield unpack_attributes(several[place : place + length], 8), index
        place += (length + 3) & ~3


def _decode_neighbour(data: bytes) -> dict | None:
    _, index, state, _, _ = _NEIGHBOUR.unpack_from(data)
    if state & NUD_NOARP or not state:
        return None
    found = unpack_attributes(data, 12)
    mac = "" if state & (NUD_FAILED | NUD_INCOMPLETE) else _mac(found.get(2))
    return {"index": index, "address": _ip(found.get(1)), "mac": mac, "state": NEIGHBOUR_STATES.get(state, str(state))}


def _decode_forwarding(data: bytes) -> dict:
    _, index, state, flags, _ = _NEIGHBOUR.unpack_from(data)
    found = unpack_attributes(data, 12)
    return {
        "index": index,
        "mac": _mac(found.get(2)),
        "master": _number(found, 9),
        "own": bool(flags & NTF_SELF),
        "kind": "permanent" if state & NUD_PERMANENT else "static" if state & NUD_NOARP else "learned",
        "destination": _ip(found.get(1)),
        "vlan": _number(found, 5) or None,
    }
