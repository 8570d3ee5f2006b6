"""What the kernel really lets a process do; run as a program of its own, in one of two ways.

Without arguments: what a new user namespace of this user is good for. That ``unshare --user`` succeeds proves little:
under Ubuntu 24.04's AppArmor profile ``unprivileged_userns`` it does, and everything that takes a capability inside is
then refused (https://ubuntu.com/blog/ubuntu-23-10-restricted-unprivileged-user-namespaces). So each step here
uses one. No identity map is needed: whoever makes a user namespace has every capability in it
until the next execve(2) (user_namespaces(7)), which is also why all steps are in one process. Prints a JSON
object of the steps taken, "ok" or the name of an errno, ending with the first that fails; and
"label", this process's security label after the first step, as far as the kernel tells. A bare interpreter
runs this: standard library alone, and no import of netkit.

With the argument ``ipvs``: whether this network namespace may use the kernel's load balancer, IPVS. Asks the kernel what a
swarm's engine asks it first, for its IPVS version, by generic netlink. Exit status: 0 it answers, 1 it has no IPVS, 2 it has,
and refuses it to this user namespace. Before Linux 6.10 all commands of IPVS want CAP_NET_ADMIN in the first user namespace
(``GENL_ADMIN_PERM`` in net/netfilter/ipvs/ip_vs_ctl.c, which became ``GENL_UNS_ADMIN_PERM``), so that ``/proc/net/ip_vs``
says nothing about a lab.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import socket
import struct
import sys

NEWNS, NEWUSER, NEWNET = 0x00020000, 0x10000000, 0x40000000  # sched.h
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # netdevice(7); takes CAP_NET_ADMIN
IPVS_CMD_GET_INFO = 15  # linux/ip_vs.h
ANSWERS, HAS_NONE, REFUSED = 0, 1, 2


def try_namespaces() -> dict[str, str]:
    """Take the steps; returns how far they led."""
    steps = {
        "user": lambda: _call("unshare", NEWUSER),
        "net": lambda: _call("unshare", NEWNET),
        "admin": _set_loopback_up,
        "mounts": lambda: _call("unshare", NEWNS),
        "mount": lambda: _call("mount", b"probe", b"/mnt", b"tmpfs", 0, None),
    }
    said = {}
    for name, step in steps.items():
        try:
            step()
            said[name] = "ok"
        except OSError as error:
            said[name] = errno.errorcode.get(error.errno or 0, str(error.errno))
            break
    try:
        with open("/proc/self/attr/current", "rb") as file:
            return said | {"label": file.read().rstrip(b"\0\n").decode(errors="replace")}
    except OSError:
        return said


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _set_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def try_family(family: str, command: int) -> int:
    """Send a command without attributes to a family of generic netlink; returns the exit status above."""
    from pyroute2.netlink import NLM_F_REQUEST, genlmsg
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.generic import GenericNetlinkSocket

    asking = genlmsg()
    asking["cmd"], asking["version"] = command, 1
    try:
        with GenericNetlinkSocket() as sock:
            sock.bind(family, genlmsg)
            sock.nlm_request(asking, msg_type=sock.prid, msg_flags=NLM_F_REQUEST)
    except NetlinkError as error:
        return REFUSED if error.code == errno.EPERM else HAS_NONE
    return ANSWERS


if __name__ == "__main__":
    if sys.argv[1:] == ["ipvs"]:
        sys.exit(try_family("IPVS", IPVS_CMD_GET_INFO))
    print(json.dumps(try_namespaces()))
