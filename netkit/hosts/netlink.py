"""Tables of one network namespace, read from the kernel through rtnetlink(7) and decoded by pyroute2.

pyroute2's message classes are used on a plain socket: its own sockets bring an event loop each, which costs 3 ms
for every namespace, where all tables of a container's namespace are decoded within one.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

from pyroute2.netlink import NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, nlmsg, nlmsgerr, rtnl
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import IFF_UP, ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import NTF_SELF, NUD_FAILED, NUD_INCOMPLETE, NUD_NOARP, NUD_PERMANENT, NUD_VALUES, ndmsg
from pyroute2.netlink.rtnl.nsidmsg import nsidmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

CLASSES = {
    rtnl.RTM_NEWLINK: ifinfmsg,
    rtnl.RTM_NEWADDR: ifaddrmsg,
    rtnl.RTM_NEWROUTE: rtmsg,
    rtnl.RTM_NEWNEIGH: ndmsg,
    rtnl.RTM_NEWNSID: nsidmsg,
    NLMSG_ERROR: nlmsgerr,
}
# of the kernel's <linux/if_arp.h>, <linux/rtnetlink.h>, <linux/if_bridge.h>
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772
RTEXT_FILTER_SKIP_STATS = 0x8
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
        return [_tell_link(link) for link in self._dump(rtnl.RTM_GETLINK, ifinfmsg(), IFLA_EXT_MASK=RTEXT_FILTER_SKIP_STATS)]

    def read_addresses(self) -> list[tuple[int, str]]:
        """Pairs of interface number and address with prefix: the own one where there is also the peer's."""
        rows = self._dump(rtnl.RTM_GETADDR, ifaddrmsg())
        return [(row["index"], f"{row.get_attr('IFA_LOCAL') or row.get_attr('IFA_ADDRESS')}/{row['prefixlen']}") for row in rows]

    def read_routes(self) -> list[dict]:
        """The routes of all tables but "local", whose routes follow from the addresses."""
        rows = self._dump(rtnl.RTM_GETROUTE, rtmsg())
        return [each for row in rows if row["table"] != RT_TABLE_LOCAL and not row["flags"] & RTM_F_CLONED for each in _tell_route(row)]

    def read_neighbours(self) -> list[dict]:
        """ARP and NDP entries, without those of links that need none."""
        rows = self._dump(rtnl.RTM_GETNEIGH, ndmsg())
        return [_tell_neighbour(row) for row in rows if row["state"] and not row["state"] & NUD_NOARP]

    def read_forwarding(self) -> list[dict]:
        """Rows of all bridges' and VTEPs' forwarding databases (and every device's own filter list)."""
        return [_tell_forwarding(row) for row in self._dump(rtnl.RTM_GETNEIGH, ifinfmsg(), family=socket.AF_BRIDGE)]

    def read_namespace_ids(self, fds: list[int]) -> list[int]:
        """By which number this namespace knows those behind the descriptors; -1 where by none.

        All questions go out in one write: one per namespace would be felt with hundreds of them.
        """
        answers: list[int] = []
        for begin in range(0, len(fds), 64):
            some = fds[begin : begin + 64]
            self.send(b"".join(_encode(rtnl.RTM_GETNSID, NLM_F_REQUEST, nsidmsg(), NETNSA_FD=fd) for fd in some))
            while len(answers) < begin + len(some):
                numbers = [message.get_attr("NETNSA_NSID") for message in self._receive()]
                answers += [-1 if number in (None, NETNSA_NSID_NOT_ASSIGNED) else number for number in numbers]
        return answers

    def is_alive(self, number: int) -> bool:
        """Whether the namespace this one knows by a number still exists: one being taken down does not."""
        self.send(_encode(rtnl.RTM_GETNSID, NLM_F_REQUEST, nsidmsg(), NETNSA_NSID=number))
        return all(message["header"]["type"] != NLMSG_ERROR for message in self._receive())

    def _receive(self) -> Iterator[nlmsg]:
        """The messages of one read."""
        data, place = bytes(memoryview(BUFFER)[: self.recv_into(BUFFER)]), 0
        while place < len(data):
            length, kind = struct.unpack_from("=IH", data, place)
            message = CLASSES.get(kind, nlmsg)(data, offset=place)
            message.decode()
            yield message
            place += (length + 3) & ~3

    def _dump(self, request: int, body: nlmsg, family: int = socket.AF_UNSPEC, **attributes: int) -> list[nlmsg]:
        """A table's rows; asks again, a few times, when it changed while being read. Raises OSError."""
        body["family"] = family
        question = _encode(request, NLM_F_REQUEST | NLM_F_DUMP, body, **attributes)
        for _ in range(5):
            self.send(question)
            rows: list[nlmsg] = []
            while not rows or rows[-1]["header"]["type"] not in (NLMSG_DONE, NLMSG_ERROR):
                rows += self._receive()
            last = rows.pop()
            if last["header"]["type"] == NLMSG_ERROR:
                raise OSError(-last["error"], os.strerror(-last["error"]))
            if not any(row["header"]["flags"] & NLM_F_DUMP_INTR for row in (*rows, last)):
                break
        return rows


def _encode(kind: int, flags: int, message: nlmsg, **attributes: int) -> bytes:
    message["header"] = {"type": kind, "flags": flags, "sequence_number": 1}
    message["attrs"] = list(attributes.items())
    message.encode()
    return bytes(message.data)


def _tell_link(link: nlmsg) -> dict:
    info = link.get_attr("IFLA_LINKINFO") or nlmsg()
    name = link.get_attr("IFLA_IFNAME")  # any bytes will do as a name
    kind = info.get_attr("IFLA_INFO_KIND") or ("loopback" if link["ifi_type"] == ARPHRD_LOOPBACK else "physical")
    found = {
        "name": name if isinstance(name, str) else name.decode(errors="replace"),
        "index": link["index"],
        "kind": kind,
        "mac": link.get_attr("IFLA_ADDRESS", "") if link["ifi_type"] == ARPHRD_ETHER else "",
        "mtu": link.get_attr("IFLA_MTU"),
        "up": bool(link["flags"] & IFF_UP),
        "state": link.get_attr("IFLA_OPERSTATE").lower(),
        "master": link.get_attr("IFLA_MASTER", 0),
        "link": link.get_attr("IFLA_LINK", 0),
        "nsid": link.get_attr("IFLA_LINK_NETNSID"),
    }
    data, port = info.get_attr("IFLA_INFO_DATA"), info.get_attr("IFLA_INFO_SLAVE_DATA")
    if data and kind in DETAILS:
        found |= DETAILS[kind](data.get_attr)
    if port and info.get_attr("IFLA_INFO_SLAVE_KIND") == "bridge":
        found["port"] = {
            "state": PORT_STATES[port.get_attr("IFLA_BRPORT_STATE")],
            "hairpin": bool(port.get_attr("IFLA_BRPORT_MODE")),
            "isolated": bool(port.get_attr("IFLA_BRPORT_ISOLATED")),
        }
    return found


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


def _tell_route(row: nlmsg) -> Iterator[dict]:
    """A route, once for each of its next hops."""
    anywhere = "0.0.0.0" if row["family"] == socket.AF_INET else "::"
    route = {
        "destination": f"{row.get_attr('RTA_DST') or anywhere}/{row['dst_len']}",
        "source": _ip(row.get_attr("RTA_PREFSRC")),
        "kind": rtnl.rt_type.get(row["type"], str(row["type"])),
        "scope": rtnl.rt_scope.get(row["scope"], str(row["scope"])),
        "metric": row.get_attr("RTA_PRIORITY", 0),
        "table": row.get_attr("RTA_TABLE", row["table"]),
    }
    for hop in row.get_attr("RTA_MULTIPATH") or [row]:
        via = hop.get_attr("RTA_VIA") or {}
        index = hop["oif"] if "oif" in hop else hop.get_attr("RTA_OIF", 0)
        yield route | {"index": index, "gateway": _ip(hop.get_attr("RTA_GATEWAY") or via.get("addr"))}


def _tell_neighbour(row: nlmsg) -> dict:
    state = row["state"]
    return {
        "index": row["ifindex"],
        "address": row.get_attr("NDA_DST"),
        "mac": "" if state & (NUD_FAILED | NUD_INCOMPLETE) else row.get_attr("NDA_LLADDR", ""),
        "state": NUD_VALUES.get(state, str(state)).replace("NUD_", "").lower(),
    }


def _tell_forwarding(row: nlmsg) -> dict:
    return {
        "index": row["ifindex"],
        "mac": row.get_attr("NDA_LLADDR", ""),
        "master": row.get_attr("NDA_MASTER", 0),
        "own": bool(row["flags"] & NTF_SELF),
        "kind": "permanent" if row["state"] & NUD_PERMANENT else "static" if row["state"] & NUD_NOARP else "learned",
        "destination": row.get_attr("NDA_DST"),
        "vlan": row.get_attr("NDA_VLAN"),
    }
