"""Every network namespace of a machine: the engine's, hand-made ones, and those only a process holds.

Beside them, what a program needs that is to be in all of them.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource

from netkit.laboratory.inside.syscalls import NEWNET, set_process_name, setns

MOUNTS = "/proc/self/mountinfo"  # poll(2) says when a mount comes or goes: namespaces with a name are mounts
_MOUNTED = re.compile(r"^\d+ \d+ \S+ net:\[(\d+)\] (\S+)", re.MULTILINE)  # root and mount point


class Found:
    """A namespace: its inode, a path that opens it, the files it is mounted on, the processes in it."""

    def __init__(self, inode: int, opener: str) -> None:
        self.inode, self.opener = inode, opener
        self.paths: list[str] = []
        self.pids: list[int] = []


def find_namespaces() -> dict[int, Found]:
    """All network namespaces that a mounted file or a process leads to, by inode; the own one first.

    What is held only by a socket or by an interface's number of it cannot be found by anyone. A namespace whose
    file's name begins with a dot is hidden, as files are: it is another host's that lives on this machine.
    """
    own = os.stat("/proc/self/ns/net").st_ino
    found = {own: Found(own, "/proc/self/ns/net")}
    mounted = _read_mounted()
    hidden = {inode for inode, path in mounted if os.path.basename(path).startswith(".")} - {own}
    for inode, path in mounted:
        if inode not in hidden:
            found.setdefault(inode, Found(inode, path)).paths.append(path)
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()):
        opener = f"/proc/{pid}/ns/net"
        with contextlib.suppress(OSError):  # it has gone
            inode = int(os.readlink(opener)[len("net:[") : -1])
            if inode not in hidden:
                found.setdefault(inode, Found(inode, opener)).pids.append(pid)
    return found


def enter(found: Found) -> io.FileIO:
    """Take the thread into a namespace; returns a file that holds it. Raises OSError if it has vanished since it was found."""
    file = open(found.opener, "rb", buffering=0)
    if os.fstat(file.fileno()).st_ino != found.inode:
        raise ProcessLookupError("another process has this number by now")
    setns(file.fileno(), NEWNET)
    return file


def prepare_process(name: str) -> None:
    """Show up in ps as ``name``, and have as many descriptors as may be had: each namespace takes two or three."""
    set_process_name(name)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def read_file(path: str) -> str:
    """A short file of the kernel's, or "" if it has none, has it no more, or hides it."""
    with contextlib.suppress(OSError), open(path, "rb", buffering=0) as file:
        return file.read().decode(errors="replace")
    return ""


def _read_mounted() -> list[tuple[int, str]]:
    """Inode and path of every mounted namespace file (proc_pid_mountinfo(5))."""
    with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
        found = _MOUNTED.findall(file.read())
    # blank, tab, newline and backslash are written in octal
    return [(int(inode), re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), path)) for inode, path in found]
