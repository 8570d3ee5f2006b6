"""The system calls Python 3.11 does not offer, as thin functions.

Only the standard library is used: this module runs in the lab's first processes, where every
imported module costs a learner's time.
"""

from __future__ import annotations

import ctypes
import os
import sys

# <linux/sched.h>: which namespaces unshare(2) makes and setns(2) expects
NEWNS = 0x00020000
NEWUTS = 0x04000000
NEWIPC = 0x08000000
NEWUSER = 0x10000000
NEWPID = 0x20000000
NEWNET = 0x40000000

# <linux/mount.h>: flags of mount(2)
MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

# <linux/prctl.h>
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36

# mount_setattr(2): one number on every architecture, since Linux 5.12
SYS_MOUNT_SETATTR = 442
AT_FDCWD = -100
AT_RECURSIVE = 0x8000
MOUNT_ATTR_RDONLY = 0x1

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns_fd")]


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def unshare(flags: int) -> None:
    """Move the caller into new namespaces (unshare(2)); raises OSError."""
    _check(_libc.unshare(flags), f"unshare({flags:#x})")


def setns(fd: int, kind: int = 0) -> None:
    """Join the namespace behind a file descriptor (setns(2)); raises OSError."""
    _check(_libc.setns(fd, kind), f"setns({kind:#x})")


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """mount(2); the error names source, target and file system type."""
    arguments = (_bytes(source), _bytes(target), _bytes(kind), ctypes.c_ulong(flags), _bytes(data))
    _check(_libc.mount(*arguments), f"mount {kind or source or ''} on {target}")


def detach(target: str) -> None:
    """Take a mount away, now for whoever looks, and altogether once nobody uses it (umount2(2), MNT_DETACH); raises OSError."""
    _check(_libc.umount2(_bytes(target), MNT_DETACH), f"umount {target}")


def set_readonly(target: str) -> None:
    """Make a mount and all below it read-only in this mount namespace alone (mount_setattr(2))."""
    attributes = _MountAttr(set=MOUNT_ATTR_RDONLY)
    result = _libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, _bytes(target), AT_RECURSIVE, ctypes.byref(attributes), ctypes.sizeof(attributes))
    _check(result, f"mount_setattr read-only {target}")


def sethostname(name: str) -> None:
    """Name the machine in its own UTS namespace (sethostname(2))."""
    _check(_libc.sethostname(_bytes(name), len(name)), f"sethostname {name}")


def set_process_name(name: str) -> None:
    """Show up as ``name`` (15 characters at most) in ps and /proc/PID/comm."""
    _check(_libc.prctl(PR_SET_NAME, _bytes(name), 0, 0, 0), "prctl(PR_SET_NAME)")


def die_with_parent(signal_number: int = 9) -> None:
    """Ask the kernel for a signal when the parent ends (prctl(2), PR_SET_PDEATHSIG).

    The parent here means the *thread* that forked, and a change of credentials forgets the request:
    call it last, and only below single-threaded parents.
    """
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own has ended (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    _check(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)")


class Inotify:
    """Names that come and go in directories, told as they do (inotify(7)); wait for it as for a file."""

    CREATE, MOVED_TO, DELETE = 0x100, 0x80, 0x200

    def __init__(self) -> None:
        self._fd = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        _check(self._fd, "inotify_init1")

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._fd

    def watch(self, directory: str) -> None:
        """Tell of this directory, too; may be repeated. Raises OSError."""
        kinds = ctypes.c_uint32(self.CREATE | self.MOVED_TO | self.DELETE)
        _check(_libc.inotify_add_watch(self._fd, _bytes(directory), kinds), f"inotify_add_watch {directory}")

    def read(self) -> set[str]:
        """The names that have come or gone since the last call."""
        names: set[str] = set()
        while True:
            try:
                data = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return names
            at = 0
            while at < len(data):
                length = int.from_bytes(data[at + 12 : at + 16], sys.byteorder)
                names.add(os.fsdecode(data[at + 16 : at + 16 + length].rstrip(b"\0")))
                at += 16 + length

    def close(self) -> None:
        """Stop telling. May be repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
