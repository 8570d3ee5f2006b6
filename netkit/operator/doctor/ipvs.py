"""``python -m netkit.operator.doctor.ipvs``: whether this network namespace may use the kernel's load balancer, IPVS.

Asks the kernel what a swarm's engine asks it first, for its IPVS version, by generic netlink. Exit status: 0 it
answers, 1 it has no IPVS, 2 it has, and refuses it to this user namespace. Before Linux 6.10 all commands of IPVS
want CAP_NET_ADMIN in the first user namespace (``GENL_ADMIN_PERM`` in net/netfilter/ipvs/ip_vs_ctl.c, which became
``GENL_UNS_ADMIN_PERM``), so that ``/proc/net/ip_vs`` says nothing about a lab.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys

ANSWERS, HAS_NONE, REFUSED = 0, 1, 2

# linux/netlink.h, linux/genetlink.h, linux/ip_vs.h
NLM_F_REQUEST, NLMSG_ERROR = 0x1, 2
NETLINK_GENERIC = 16
GENL_ID_CTRL = 16
CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 3, 1, 2
IPVS_CMD_GET_INFO = 15
ATTRIBUTE = struct.Struct("=HH")
MESSAGE, GENERIC = struct.Struct("=IHHII"), struct.Struct("=BBH")


def find_family(asking: socket.socket, name: str) -> int:
    """The number of a generic netlink family; raises OSError (ENOENT) if the kernel has none of that name."""
    answer = _ask(asking, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, pack_attribute(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0"))
    found = unpack_attributes(answer, GENERIC.size)
    if CTRL_ATTR_FAMILY_ID not in found:
        raise OSError(errno.EPROTO, f"the kernel gave no number for the family {name}")
    return int.from_bytes(found[CTRL_ATTR_FAMILY_ID], sys.byteorder)


def try_ipvs() -> int:
    """Ask; returns the exit status above."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC) as asking:
        try:
            family = find_family(asking, "IPVS")
        except FileNotFoundError:
            return HAS_NONE
        try:
            _ask(asking, family, IPVS_CMD_GET_INFO)
        except PermissionError:
            return REFUSED
    return ANSWERS


def pack_attribute(kind: int, value: bytes) -> bytes:
    return ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def pack_message(kind: int, flags: int, body: bytes) -> bytes:
    return MESSAGE.pack(16 + len(body), kind, flags, 1, 0) + body


def unpack_attributes(data: bytes, place: int) -> dict[int, bytes]:
    found = {}
    while place < len(data) - 3:
        length, kind = ATTRIBUTE.unpack_from(data, place)
        found[kind & 0x3FFF] = data[place + 4 : place + length]
        place += max(4, (length + 3) & ~3)
    return found


def _ask(asking: socket.socket, family: int, command: int, attributes: bytes = b"") -> bytes:
    """What follows the first header of the kernel's answer; raises OSError with the kernel's error."""
    asking.send(pack_message(family, NLM_F_REQUEST, GENERIC.pack(command, 1, 0) + attributes))
    answer = asking.recv(1 << 16)
    size, kind, *_ = MESSAGE.unpack_from(answer)
    if kind == NLMSG_ERROR:
        number = -struct.unpack_from("=i", answer, MESSAGE.size)[0]
        raise OSError(number, os.strerror(number))
    return answer[MESSAGE.size : size]


if __name__ == "__main__":
    sys.exit(try_ipvs())
