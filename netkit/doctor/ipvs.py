"""``python -m netkit.doctor.ipvs``: whether this network namespace may use the kernel's load balancer, IPVS.

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
NETLINK_GENERIC = 16
NLM_F_REQUEST = 1
NLMSG_ERROR, GENL_ID_CTRL = 2, 16
CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 3, 1, 2
IPVS_CMD_GET_INFO = 15
MESSAGE, GENERIC, ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BBH"), struct.Struct("=HH")


def find_family(asking: socket.socket, name: str) -> int:
    """The number of a generic netlink family; raises OSError (ENOENT) if the kernel has none of that name."""
    value = name.encode() + b"\0"
    attribute = ATTRIBUTE.pack(ATTRIBUTE.size + len(value), CTRL_ATTR_FAMILY_NAME) + value
    answer = _ask(asking, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, attribute)[GENERIC.size :]
    while answer:
        size, kind = ATTRIBUTE.unpack_from(answer)
        if kind == CTRL_ATTR_FAMILY_ID:
            return struct.unpack_from("=H", answer, ATTRIBUTE.size)[0]
        answer = answer[_align(size) :]
    raise OSError(errno.EPROTO, f"the kernel gave no number for the family {name}")


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


def _ask(asking: socket.socket, family: int, command: int, attributes: bytes = b"") -> bytes:
    """What follows the first header of the kernel's answer; raises OSError with the kernel's error."""
    body = GENERIC.pack(command, 1, 0) + attributes.ljust(_align(len(attributes)), b"\0")
    asking.send(MESSAGE.pack(MESSAGE.size + len(body), family, NLM_F_REQUEST, 0, 0) + body)
    answer = asking.recv(1 << 16)
    size, kind, *_ = MESSAGE.unpack_from(answer)
    if kind == NLMSG_ERROR:
        number = -struct.unpack_from("=i", answer, MESSAGE.size)[0]
        raise OSError(number, os.strerror(number))
    return answer[MESSAGE.size : size]


def _align(size: int) -> int:
    return (size + 3) & ~3


if __name__ == "__main__":
    sys.exit(try_ipvs())
