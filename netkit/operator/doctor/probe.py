"""What a new user namespace of this user is really good for; run as a process of its own.

That ``unshare --user`` succeeds proves little: under Ubuntu 24.04's AppArmor profile
``unprivileged_userns`` it does, and everything that takes a capability inside is then refused
(https://ubuntu.com/blog/ubuntu-23-10-restricted-unprivileged-user-namespaces). So each step here
uses one. No identity map is needed: whoever makes a user namespace has every capability in it
until the next execve(2) (user_namespaces(7)), which is also why all steps are in one process.

Standard library alone, and no import of netkit: it is run by a bare interpreter. Prints a JSON
object of the steps taken, "ok" or the name of an errno, ending with the first that fails; and
"label", this process's security label after the first step, as far as the kernel tells.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import socket
import struct

NEWNS, NEWUSER, NEWNET = 0x00020000, 0x10000000, 0x40000000  # sched.h
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # netdevice(7); takes CAP_NET_ADMIN


def main() -> None:
    """Take the steps and say how far they led."""
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
    print(json.dumps(said | {"label": _read_label()}))


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _set_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def _read_label() -> str:
    try:
        with open("/proc/self/attr/current", "rb") as file:
            return file.read().rstrip(b"\0\n").decode(errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    main()
