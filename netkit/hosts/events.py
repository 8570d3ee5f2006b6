"""Kernel events of all network namespaces of a machine, through two sockets (rtnetlink(7), netlink(7)).

A netlink socket holds its network namespace: one in each namespace would keep containers' stacks alive
after their end. So the sockets are in a private namespace, which nothing else is in, and hear everybody
else's events by NETLINK_LISTEN_ALL_NSID: of every namespace to which the private one has given a number.
Such a number holds nothing, and is to be seen from the private namespace alone.

Numbers are those of the kernel's <linux/rtnetlink.h>, netlink.h, net_namespace.h, netfilter/nfnetlink.h.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct

from netkit.hosts.namespaces import find_namespaces
from netkit.laboratory.inside.syscalls import NEWNET, setns, unshare

SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NETLINK_LISTEN_ALL_NSID = 270, 1, 8
NETLINK_NETFILTER = 12
RTM_NEWNSID, RTM_DELNSID = 88, 89
NETNSA_NSID, NETNSA_FD = 1, 3
NLM_F_REQUEST = 0x1
# link, neigh, ipv4 and ipv6: ifaddr, route, rule, netconf; nsid; nexthop
GROUPS = (1, 3, 5, 7, 8, 24, 9, 11, 19, 25, 28, 32)
NFNLGRP_NFTABLES = 7
BUFFER = bytearray(1 << 17)
ROOM = 1 << 20  # bytes of events that may wait

_HEADER = struct.Struct("=IHHII")
_NSID = struct.Struct("=BxxxHHiHHI")


class Events:
    """Two sockets to wait for; :meth:`follow` makes them hear of the namespaces there are now."""

    def __init__(self) -> None:
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            unshare(NEWNET)
            try:
                self.route = _listen(socket.NETLINK_ROUTE, GROUPS)
                self.filter = _listen(NETLINK_NETFILTER, (NFNLGRP_NFTABLES,))
            finally:
                setns(own, NEWNET)
        finally:
            os.close(own)
        self._numbers: dict[int, int] = {}  # inode of a namespace to its number here
        self._last = 0

    def follow(self) -> None:
        """Give a number to each namespace that has none, and forget those that have gone."""
        found = find_namespaces()
        for inode in self._numbers.keys() - found.keys():
            del self._numbers[inode]
        for inode in found.keys() - self._numbers.keys():
            with contextlib.suppress(OSError):  # it has ended since
                self._number(inode, found[inode].opener)

    def _number(self, inode: int, path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_ino == inode:
                self._last += 1
                body = _NSID.pack(0, 8, NETNSA_NSID, self._last, 8, NETNSA_FD, fd)
                self.route.send(_HEADER.pack(16 + len(body), RTM_NEWNSID, NLM_F_REQUEST, 0, 0) + body)
                self._numbers[inode] = self._last
        finally:
            os.close(fd)

    def drain(self, source: socket.socket) -> int:
        """Read what has come; returns how many events that were, and counts lost ones as one."""
        count = 0
        while True:
            try:
                length = source.recv_into(BUFFER)
            except BlockingIOError:
                return count
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._numbers.clear()  # the end of a namespace may be among what was lost: all are numbered anew
                count += 1
                continue
            count += sum(self._is_event(kind, at) for kind, at in _walk(length))

    def _is_event(self, kind: int, at: int) -> bool:
        """Whether a message tells of the machine: our own numbering does not, unless a namespace has ended."""
        if kind == RTM_DELNSID:
            number = struct.unpack_from("=i", BUFFER, at + 16 + 4 + 4)[0]
            self._numbers = {inode: each for inode, each in self._numbers.items() if each != number}
            return True
        return kind > 3 and kind != RTM_NEWNSID  # up to 3: answers, NLMSG_ERROR and the like


def _listen(protocol: int, groups: tuple[int, ...]) -> socket.socket:
    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
    listener.setsockopt(SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1)
    listener.bind((0, 0))  # one without a port of its own passes for the sender
    for group in groups:
        with contextlib.suppress(OSError):  # a kernel without this family
            listener.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
    return listener


def _walk(length: int):
    """Kind and place of each message in the buffer."""
    at = 0
    while at + 16 <= length:
        size, kind, *_ = _HEADER.unpack_from(BUFFER, at)
        yield kind, at
        at += max(16, (size + 3) & ~3)
