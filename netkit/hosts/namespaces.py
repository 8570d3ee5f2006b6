"""Every network namespace of a machine: the engine's, hand-made ones, and those only a process holds."""

from __future__ import annotations

import contextlib
import os
import re

_MOUNTED = re.compile(r"net:\[(\d+)\]$")


class Found:
    """A namespace: its inode, a path that opens it, the files it is mounted on, the processes in it."""

    def __init__(self, inode: int, opener: str) -> None:
        self.inode, self.opener = inode, opener
        self.paths: list[str] = []
        self.pids: list[int] = []


def find_namespaces(proc: str = "/proc") -> dict[int, Found]:
    """All network namespaces that a mounted file or a process leads to, by inode; the own one first.

    What is held only by a socket or by an interface's number of it cannot be found by anyone. A namespace whose
    file's name begins with a dot is hidden, as files are: it is another host's that lives on this machine.
    """
    own = os.stat(f"{proc}/self/ns/net").st_ino
    found = {own: Found(own, f"{proc}/self/ns/net")}
    mounted = _read_mounted(proc)
    hidden = {inode for inode, path in mounted if os.path.basename(path).startswith(".")} - {own}
    for inode, path in mounted:
        if inode in hidden:
            continue
        found.setdefault(inode, Found(inode, path)).paths.append(path)
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdecimal()):
        with contextlib.suppress(OSError):  # it has gone
            inode = int(os.readlink(f"{proc}/{pid}/ns/net")[len("net:[") : -1])
            if inode not in hidden:
                found.setdefault(inode, Found(inode, f"{proc}/{pid}/ns/net")).pids.append(pid)
    return found


def read_command(pid: int, proc: str = "/proc") -> str:
    """A process's short name, or "" if it has gone."""
    try:
        with open(f"{proc}/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


def _read_mounted(proc: str) -> list[tuple[int, str]]:
    """Inode and path of every mounted namespace file (proc_pid_mountinfo(5))."""
    with open(f"{proc}/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.split(" ", 5) for line in file if " net:[" in line]
    return [(int(match[1]), _unescape(fields[4])) for fields in lines if (match := _MOUNTED.match(fields[3]))]


def _unescape(path: str) -> str:
    """mountinfo writes blank, tab, newline and backslash in octal."""
    return re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), path)
