"""What a lab must not meet of its opener: settings in home directories, and whatever listens on the machine.

A socket with a path is reached from every network namespace (unix(7)), so the engine that a person runs below the home
directory would answer in a lab, and a line in ~/.bashrc or ~/.docker is enough to lead there. Hence, in the mount
namespace that all hosts of a lab come from:

- each dot file and dot directory of a home is covered by an empty one, and what has to stay of them is put back;
- each socket that somebody listens on is covered by an empty file: connecting to it is refused.

The covers are made in the lab's outer user namespace, so that not even root of a host can take them away
(mount_namespaces(7), "locked").
"""

from __future__ import annotations

import contextlib
import os
import stat

from netkit.laboratory.inside import mounts
from netkit.laboratory.inside import syscalls as sc

STORE = mounts.SHARED + "/covers"
SIZE = 1 << 28  # bytes of all that is written below covers
ACCEPTS = 0x10000  # __SO_ACCEPTON in /proc/net/unix: the socket listens (include/linux/net.h)
# what links in a home may lead to and every program needs: never covered
SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/nix", "/opt", "/proc", "/run", "/sbin", "/sys", "/usr", "/var")


def find_listeners() -> set[str]:
    """The absolute paths of all sockets that somebody listens on, in any network namespace of a process one may look at.

    Call it before entering a user namespace: from inside, the machine's processes cannot be looked at (ptrace(2)).
    """
    seen: set[str] = set()
    found: set[str] = set()
    for pid in ("self", *filter(str.isdecimal, os.listdir("/proc"))):
        with contextlib.suppress(OSError):  # not ours, or gone
            namespace = os.readlink(f"/proc/{pid}/ns/net")
            if namespace in seen:
                continue
            seen.add(namespace)
            with open(f"/proc/{pid}/net/unix", encoding="utf-8", errors="surrogateescape") as table:
                next(table)  # its head
                rows = [line.rstrip("\n").split(" ", 7) for line in table]
            found |= {row[-1].lstrip() for row in rows if len(row) == 8 and int(row[3], 16) & ACCEPTS}
    return {path for path in found if path.startswith("/")}


def cover(homes: list[str], listeners: set[str], keep: list[str]) -> None:
    """Cover the dot files of ``homes`` and the sockets ``listeners``, but for the paths ``keep`` and what lies below them.

    All paths are absolute. The calling process is alone in its mount namespace. Raises OSError.
    """
    os.makedirs(STORE, exist_ok=True)
    sc.mount("tmpfs", STORE, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, f"size={SIZE},mode=700")
    kept = {os.path.realpath(path) for path in keep}
    entries = [path for path in dict.fromkeys(_find_entries(homes)) if path not in kept]
    again = mounts.open_kept(keep, tuple(entries))
    for number, path in enumerate(entries):
        with contextlib.suppress(FileNotFoundError, PermissionError):  # it has gone, or cannot be reached from here either
            _cover(path, f"{STORE}/{number}")
    mounts.bind_kept(again)
    for path in listeners:
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                _cover(path, f"{STORE}/socket")


def _find_entries(homes: list[str]) -> list[str]:
    """The dot files and dot directories of some homes; for a link to a directory, that one, if it is a user's own."""
    found = []
    for home in homes:
        with contextlib.suppress(OSError), os.scandir(os.path.realpath(home)) as entries:
            for entry in (each for each in entries if each.name.startswith(".")):
                is_link = entry.is_symlink() and entry.is_dir()
                path = os.path.realpath(entry.path) if is_link else entry.path
                if not is_link or not f"{path}/".startswith(tuple(f"{place}/" for place in SYSTEM)):
                    found.append(path)
    return found


def _cover(path: str, empty: str) -> None:
    """Cover a file or directory by an empty one that is made at ``empty``; a link itself, not what it leads to."""
    there = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        mode = os.fstat(there).st_mode
        if stat.S_ISDIR(mode):
            os.mkdir(empty)
        else:
            os.close(os.open(empty, os.O_CREAT | os.O_WRONLY, 0o600))
        os.chmod(empty, 0o644 if stat.S_ISLNK(mode) else stat.S_IMODE(mode))
        sc.mount(empty, f"/proc/self/fd/{there}", None, sc.MS_BIND)
    finally:
        os.close(there)
