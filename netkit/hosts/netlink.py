"""Tables of one network namespace, read from the kernel through rtnetlink(7) and decoded by pyroute2.

pyroute2's message classes are used on a plain socket: its own sockets bring an event loop each, which costs 3 ms
for every namespace, where all tables of a container's namespace are decoded within one.
"""

from __future__ import annotations

import functools
import os
import socket
import struct
from collections.abc import Callable, Iterator

from pyroute2.netlink import NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, nlmsg, rtnl
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import IFF_UP, ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import NTF_SELF, NUD_FAILED, NUD_INCOMPLETE, NUD_NOARP, NUD_PERMANENT, NUD_VALUES, ndmsg
from pyroute2.netlink.rtnl.nsidmsg import nsidmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

# of the kernel's <linux/if_arp.h>, <linux/rtnetlink.h>, <linux/if_bridge.h>
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772
RTEXT_FILTER_SKIP_STATS = 0x8
HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence number, port
ROUTE, NEIGHBOUR = struct.Struct("=4xB3xI"), struct.Struct("=B7xH")  # an rtmsg's table and flags, an ndmsg's family and state
RT_TABLE_LOCAL, RTM_F_CLONED = 255, 0x200
NETNSA_NSID_NOT_ASSIGNED = 0xFFFFFFFF
PORT_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")

PATIENCE = 10  # seconds for the kernel to answer
BUFFER = bytearray(1 << 17)  # more than the kernel writes at once (netlink_recvmsg: 32 kB, or one message)


class Tables(socket.socket):
    """A netlink socket of the network namespace the thread is in when it is made."""

    def __init__(self) -> None:
        super().__init__(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        # not settimeout(): Python would then poll before every call
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", PATIENCE, 0))

    def read_links(self) -> list[dict]:
        """The interfaces: what ip-link(8) prints, with numbers for master, peer and parent."""
        return self._dump(rtnl.RTM_GETLINK, ifinfmsg, IFLA_EXT_MASK=RTEXT_FILTER_SKIP_STATS)

    def read_addresses(self) -> list[tuple[int, str]]:
        """Pairs of interface number and address with prefix: the own one where there is also the peer's."""
        return self._dump(rtnl.RTM_GETADDR, ifaddrmsg)

    def read_routes(self) -> list[dict]:
        """The routes of all tables but "local", whose routes follow from the addresses."""
        return self._dump(rtnl.RTM_GETROUTE, rtmsg)

    def read_neighbours(self) -> list[dict]:
        """ARP and NDP entries, without those of links that need none."""
        return self._dump(rtnl.RTM_GETNEIGH, ndmsg)

    def read_forwarding(self) -> list[dict]:
        """Rows of all bridges' and VTEPs' forwarding databases (and every device's own filter list)."""
        return self._dump(rtnl.RTM_GETNEIGH, ifinfmsg, socket.AF_BRIDGE)

    def read_namespace_ids(self, fds: list[int]) -> list[int]:
        """By which number this namespace knows those behind the descriptors; -1 where by none.

        All questions go out in one write: one per namespace would be felt with hundreds of them.
        """
        answers: list[int] = []
        for begin in range(0, len(fds), 64):
            some = fds[begin : begin + 64]
            self.send(b"".join(_encode(rtnl.RTM_GETNSID, NLM_F_REQUEST, nsidmsg, NETNSA_FD=fd) for fd in some))
            while len(answers) < begin + len(some):
                answers += [-1 if kind == NLMSG_ERROR else _tell(kind, row)[0] for kind, _, row in self._receive()]
        return answers

    def is_alive(self, number: int) -> bool:
        """Whether the namespace this one knows by a number still exists: one being taken down does not."""
        self.send(_encode(rtnl.RTM_GETNSID, NLM_F_REQUEST, nsidmsg, NETNSA_NSID=number))
        return all(kind != NLMSG_ERROR for kind, *_ in self._receive())

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        """The messages of one read: type, flags, and what follows the header."""
        data, place = bytes(memoryview(BUFFER)[: self.recv_into(BUFFER)]), 0
        while place < len(data):
            length, kind, flags, *_ = HEADER.unpack_from(data, place)
            yield kind, flags, data[place + HEADER.size : place + length]
            place += (length + 3) & ~3

    def _dump(self, request: int, body: type[nlmsg], family: int = socket.AF_UNSPEC, **attributes: int) -> list:
        """A table's rows; asks again, a few times, when it changed while being read. Raises OSError."""
        question = _encode(request, NLM_F_REQUEST | NLM_F_DUMP, body, family, **attributes)
        for _ in range(5):
            self.send(question)
            rows, seen, kind = [], 0, 0
            while kind != NLMSG_DONE:
                for kind, flags, row in self._receive():
                    seen |= flags
                    if kind == NLMSG_ERROR:
                        (error,) = struct.unpack_from("=i", row)
                        raise OSError(-error, os.strerror(-error))
                    if kind != NLMSG_DONE and _is_wanted(kind, row):
                        rows += _tell(kind, row)
            if not seen & NLM_F_DUMP_INTR:
                break
        return rows


@functools.lru_cache(4096)  # the questions are the same for every namespace, and at every look
def _encode(kind: int, flags: int, body: type[nlmsg], family: int = socket.AF_UNSPEC, **attributes: int) -> bytes:
    message = body()
    message["header"] = {"type": kind, "flags": flags, "sequence_number": 1}
    message["family"] = family
    message["attrs"] = list(attributes.items())
    message.encode()
    return bytes(message.data)


def _is_wanted(kind: int, row: bytes) -> bool:
    """By its fixed part: attributes take time to decode, and most routes are local ones, most neighbours groups."""
    if kind == rtnl.RTM_NEWROUTE:
        table, flags = ROUTE.unpack_from(row)
        return table != RT_TABLE_LOCAL and not flags & RTM_F_CLONED
    if kind == rtnl.RTM_NEWNEIGH:
        family, state = NEIGHBOUR.unpack_from(row)
        return family == socket.AF_BRIDGE or bool(state and not state & NUD_NOARP)
    return True


@functools.lru_cache(1 << 14)  # most rows are the same at every look
def _tell(kind: int, row: bytes) -> tuple:
    """What a message says; what comes from here is read, and never changed."""
    body, tell = ROWS[kind]
    message = body(HEADER.pack(HEADER.size + len(row), kind, 0, 0, 0) + row)
    message.decode()
    return tuple(tell(message, _attributes(message)))


def _attributes(message: nlmsg) -> Callable:
    """What finds an attribute by its name: get_attr() walks through all of them for each."""
    slots = {slot.name: slot for slot in message["attrs"]}
    return lambda name, default=None: slots[name].value if name in slots else default


def _tell_link(link: nlmsg, get: Callable) -> Iterator[dict]:
    info = _attributes(get("IFLA_LINKINFO") or nlmsg())
    name = get("IFLA_IFNAME")  # any bytes will do as a name
    kind = info("IFLA_INFO_KIND") or ("loopback" if link["ifi_type"] == ARPHRD_LOOPBACK else "physical")
    found = {
        "name": name if isinstance(name, str) else name.decode(errors="replace"),
        "index": link["index"],
        "kind": kind,
        "mac": get("IFLA_ADDRESS", "") if link["ifi_type"] == ARPHRD_ETHER else "",
        "mtu": get("IFLA_MTU"),
        "up": bool(link["flags"] & IFF_UP),
        "state": get("IFLA_OPERSTATE").lower(),
        "master": get("IFLA_MASTER", 0),
        "link": get("IFLA_LINK", 0),
        "nsid": get("IFLA_LINK_NETNSID"),
    }
    data, port = info("IFLA_INFO_DATA"), info("IFLA_INFO_SLAVE_DATA")
    if data and kind in DETAILS:
        found |= DETAILS[kind](_attributes(data))
    if port and info("IFLA_INFO_SLAVE_KIND") == "bridge":
        get = _attributes(port)
        found["port"] = {
            "state": PORT_STATES[get("IFLA_BRPORT_STATE")],
            "hairpin": bool(get("IFLA_BRPORT_MODE")),
            "isolated": bool(get("IFLA_BRPORT_ISOLATED")),
        }
    yield found


DETAILS = {
    "vxlan": lambda get: {
        "lower": get("IFLA_VXLAN_LINK", 0),
        "vxlan": {
            "vni": get("IFLA_VXLAN_ID"),
            "port": get("IFLA_VXLAN_PORT"),
            "local": _ip(get("IFLA_VXLAN_LOCAL") or get("IFLA_VXLAN_LOCAL6")),
            "group": _ip(get("IFLA_VXLAN_GROUP") or get("IFLA_VXLAN_GROUP6")),
            "learning": bool(get("IFLA_VXLAN_LEARNING")),
            "proxy": bool(get("IFLA_VXLAN_PROXY")),
        },
    },
    "bridge": lambda get: {
        "bridge": {"stp": ("off", "kernel", "user")[get("IFLA_BR_STP_STATE")], "vlan_filtering": bool(get("IFLA_BR_VLAN_FILTERING"))}
    },
    "macvlan": lambda get: {"macvlan_mode": get("IFLA_MACVLAN_MODE")},
    "vlan": lambda get: {"vlan": get("IFLA_VLAN_ID")},
}


def _ip(text: str | None) -> str | None:
    """None for an address that is missing or all zeros."""
    return None if text in ("0.0.0.0", "::") else text


def _tell_address(row: nlmsg, get: Callable) -> Iterator[tuple[int, str]]:
    yield row["index"], f"{get('IFA_LOCAL') or get('IFA_ADDRESS')}/{row['prefixlen']}"


def _tell_route(row: nlmsg, get: Callable) -> Iterator[dict]:
    """A route, once for each of its next hops."""
    anywhere = "0.0.0.0" if row["family"] == socket.AF_INET else "::"
    route = {
        "destination": f"{get('RTA_DST') or anywhere}/{row['dst_len']}",
        "source": _ip(get("RTA_PREFSRC")),
        "kind": rtnl.rt_type.get(row["type"], str(row["type"])),
        "scope": rtnl.rt_scope.get(row["scope"], str(row["scope"])),
        "metric": get("RTA_PRIORITY", 0),
        "table": get("RTA_TABLE", row["table"]),
    }
    for hop in get("RTA_MULTIPATH") or [row]:
        of_hop = get if hop is row else _attributes(hop)
        index = hop["oif"] if "oif" in hop else of_hop("RTA_OIF", 0)
        yield route | {"index": index, "gateway": _ip(of_hop("RTA_GATEWAY") or (of_hop("RTA_VIA") or {}).get("addr"))}


def _tell_neighbour(row: nlmsg, get: Callable) -> Iterator[dict]:
    """Of whom a host or a bridge knows where they are: an entry of a table of neighbours, or of a forwarding database."""
    state, mac = row["state"], get("NDA_LLADDR", "")
    found = {"index": row["ifindex"]}
    if row["family"] != socket.AF_BRIDGE:
        name = NUD_VALUES.get(state, str(state)).replace("NUD_", "").lower()
        yield found | {"address": get("NDA_DST"), "mac": "" if state & (NUD_FAILED | NUD_INCOMPLETE) else mac, "state": name}
        return
    yield found | {
        "mac": mac,
        "master": get("NDA_MASTER", 0),
        "own": bool(row["flags"] & NTF_SELF),
        "kind": "permanent" if state & NUD_PERMANENT else "static" if state & NUD_NOARP else "learned",
        "destination": get("NDA_DST"),
        "vlan": get("NDA_VLAN"),
    }


def _tell_number(row: nlmsg, get: Callable) -> Iterator[int]:
    number = get("NETNSA_NSID")
    yield -1 if number in (None, NETNSA_NSID_NOT_ASSIGNED) else number


ROWS = {
    rtnl.RTM_NEWLINK: (ifinfmsg, _tell_link),
    rtnl.RTM_NEWADDR: (ifaddrmsg, _tell_address),
    rtnl.RTM_NEWROUTE: (rtmsg, _tell_route),
    rtnl.RTM_NEWNEIGH: (ndmsg, _tell_neighbour),
    rtnl.RTM_NEWNSID: (nsidmsg, _tell_number),
}
