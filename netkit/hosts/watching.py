"""One machine's changes as lines on standard output: run on that machine, as its root, until standard input ends.

A line is written when something may have changed, and no oftener than every ``PAUSE`` seconds. Nothing is decoded here:
what has changed is seen by looking.

The kernel's events of all network namespaces come through two sockets (rtnetlink(7), netlink(7)). A netlink socket
holds its network namespace: one in each would keep those of containers alive after their end. So the two are in a
private namespace, which nothing else is in, and hear everybody else's events by NETLINK_LISTEN_ALL_NSID: of every
namespace to which the private one has given a number. Such a number holds nothing, and is to be seen from the private
namespace alone. Numbers here are those of <linux/rtnetlink.h>, netlink.h, net_namespace.h, netfilter/nfnetlink.h.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import socket
import struct
import subprocess
import sys
import time

from netkit.hosts.namespaces import MOUNTS, find_namespaces
from netkit.hosts.netfilter import NETLINK_ADD_MEMBERSHIP, NETLINK_NETFILTER, SOL_NETLINK
from netkit.laboratory.inside.syscalls import NEWNET, Inotify, die_with_parent, set_process_name, setns, unshare

PAUSE, NEVER = 0.02, math.inf
ENGINE = "/var/run/docker.sock"
RETRIES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # seconds: a socket is there a little before somebody listens
# what may change a network, or what is known of it
KINDS = ("container", "network", "service", "node", "daemon")
ACTIONS = ("create", "start", "die", "destroy", "rename", "pause", "unpause", "update", "connect", "disconnect", "remove", "reload")

NETLINK_LISTEN_ALL_NSID = 8
# link, neigh, ipv4 and ipv6: ifaddr, route, rule, netconf; nsid; nexthop
GROUPS = {socket.NETLINK_ROUTE: (1, 3, 5, 7, 8, 24, 9, 11, 19, 25, 28, 32), NETLINK_NETFILTER: (7,)}  # NFNLGRP_NFTABLES
ROOM = 1 << 20  # bytes of events that may wait
ANSWERS = 3  # up to this type, a message answers one of ours: NLMSG_ERROR and the like
RTM_NEWNSID, RTM_DELNSID = 88, 89
NUMBER = struct.Struct("=IHHIIBxxxHHiHHI")  # nlmsghdr, rtgenmsg, and the attributes NETNSA_NSID and NETNSA_FD


def main() -> None:
    """Watch until nobody listens any more. The argument "-" is for a machine without an engine."""
    set_process_name("netkit-watch")
    watch(KernelEvents(), None if "-" in sys.argv else EngineEvents())


def watch(kernel: KernelEvents, engine: EngineEvents | None) -> None:
    """Wait for everything there is to wait for, in one poll(2), and write lines until standard input ends."""
    poll, changed, due = select.poll(), True, 0.0  # what happened before this is seen by looking now
    mounts = os.open(MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
    poll.register(mounts, select.POLLPRI | select.POLLERR)
    for source in (0, *kernel.sockets, *([engine.inotify] if engine else [])):
        poll.register(source, select.POLLIN)
    while True:
        now = time.monotonic()
        if engine and now >= engine.due:
            poll.register(engine.listen(), select.POLLIN)
        if changed and now >= due:
            kernel.follow()  # namespaces that were made meanwhile, before they are looked at
            os.write(1, b"changed\n")
            changed, due = False, now + PAUSE
        until = min(due if changed else NEVER, engine.due if engine else NEVER)
        ready = {fd for fd, _ in poll.poll(None if until == NEVER else max(0.0, until - now) * 1000)}
        if 0 in ready and not os.read(0, 4096):
            return
        changed |= mounts in ready
        for sock in kernel.sockets:
            changed |= sock.fileno() in ready and kernel.drain(sock)
        if engine and engine.inotify.fileno() in ready:
            engine.look()
        if engine and engine.output in ready:
            changed = True
            if not os.read(engine.output, 1 << 16):
                poll.unregister(engine.output)
                engine.end()


class KernelEvents:
    """The two sockets; :meth:`follow` makes them hear of the namespaces there are now."""

    def __init__(self) -> None:
        self._numbered: set[int] = set()  # inodes of namespaces
        with open("/proc/thread-self/ns/net", "rb") as own:
            unshare(NEWNET)
            try:
                self.sockets = tuple(_listen(protocol, groups) for protocol, groups in GROUPS.items())
            finally:
                setns(own.fileno(), NEWNET)

    def follow(self) -> None:
        """Give a number to each namespace that has none. One that has a number already keeps it: the kernel refuses another."""
        found = find_namespaces()
        self._numbered &= found.keys()
        for inode in found.keys() - self._numbered:
            with contextlib.suppress(OSError), open(found[inode].opener, "rb") as file:  # it may have ended since
                # flags 1: NLM_F_REQUEST; the number -1: any that is free
                self.sockets[0].send(NUMBER.pack(NUMBER.size, RTM_NEWNSID, 1, 0, 0, 0, 8, 1, -1, 8, 3, file.fileno()))
                self._numbered.add(os.fstat(file.fileno()).st_ino)

    def drain(self, source: socket.socket) -> bool:
        """Read what has come; whether any of it tells of the machine: our own numbering does not."""
        changed = False
        while True:
            try:
                kind = struct.unpack_from("=IH", source.recv(8))[1]  # what is left of a message is dropped
            except BlockingIOError:
                return changed
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                kind = RTM_DELNSID  # may be among what was lost
            if kind == RTM_DELNSID:
                self._numbered.clear()  # a new namespace may have the inode of the one that has ended
            changed |= kind > ANSWERS and kind != RTM_NEWNSID


def _listen(protocol: int, groups: tuple[int, ...]) -> socket.socket:
    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
    listener.setsockopt(SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1)
    listener.bind((0, 0))  # one without a port of its own passes for the sender
    for group in groups:
        with contextlib.suppress(OSError):  # a kernel without this family
            listener.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
    return listener


class EngineEvents:
    """What ``docker events`` says of an engine; it is run again when the engine's socket comes back.

    Wait for ``inotify``, ``output`` if it is no -1, and the time ``due``.
    """

    def __init__(self) -> None:
        self._path = os.path.realpath(ENGINE)
        self._retries = iter(RETRIES)
        self._since = time.time()
        self.inotify = Inotify()
        self.inotify.watch(os.path.dirname(self._path))
        self.output, self.due = -1, 0.0

    def listen(self) -> int:
        """Run the command, which ends with this process; returns the descriptor of what it says."""
        filters = [f"--filter={name}={each}" for name, known in (("type", KINDS), ("event", ACTIONS)) for each in known]
        # by env: where there is no such command, that ends as without an engine, and the kernel's events have to do
        command = ["env", "docker", f"--host=unix://{self._path}", "events", f"--since={self._since:.3f}", "--format={{.Action}}", *filters]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process, self.due = subprocess.Popen(command, **pipes, preexec_fn=die_with_parent), NEVER
        self.output = self._process.stdout.fileno()
        return self.output

    def look(self) -> None:
        """Something has happened beside the engine's socket: perhaps another engine has come."""
        if os.path.basename(self._path) in self.inotify.read():
            self._retries = iter(RETRIES)
            if self.output < 0:
                self.due = time.monotonic()

    def end(self) -> None:
        """The command has ended, with the engine or because there is none."""
        self._process.stdout.close()
        self._process.wait()
        self._since, self.output = time.time(), -1
        self.due = time.monotonic() + next(self._retries, NEVER)
