"""A bound on the number of a lab's processes, where the machine offers one.

An ordinary user's lab is bounded by RLIMIT_NPROC (setrlimit(2)), which counts per user and
namespace; root is exempt from that, so root's lab gets a control group with a pids limit
(kernel Documentation/admin-guide/cgroup-v2.rst, "PID"; cgroup-v1/pids.rst).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import time

MAX_PROCESSES = 8192  # an engine with a few containers has about 100 threads
TRIES = 200  # of removing a control group, a hundredth of a second apart
PREFIX = "netkit-"  # of the names of control groups
HIERARCHIES = ("/sys/fs/cgroup/pids", "/sys/fs/cgroup")  # version 1's own, version 2's only one


def bound_processes(lab_id: str, most: int) -> str | None:
    """Bound the processes of a lab whose holder the calling process is: root's by a control group with a pids limit.

    Returns the group's path; None where this machine offers none, and for an ordinary user. The calling process keeps the group
    locked as long as it lives (flock(2)): a group that nobody has locked is left over.
    """
    if os.geteuid() != 0:
        bounds = [value for value in (*resource.getrlimit(resource.RLIMIT_NPROC), most) if value != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_NPROC, (min(bounds), min(bounds)))
        return None
    for hierarchy in HIERARCHIES:
        path = f"{hierarchy}/{PREFIX}{lab_id}"
        with contextlib.suppress(OSError):
            os.mkdir(path)
            try:
                fcntl.flock(os.open(path, os.O_RDONLY | os.O_CLOEXEC), fcntl.LOCK_EX)
                with open(f"{path}/pids.max", "w", encoding="ascii") as file:
                    file.write(str(most))
                return path
            except OSError:  # no pids controller in this hierarchy, or swept away in the moment before it was locked
                os.rmdir(path)
    return None


def sweep_cgroups() -> None:
    """Remove the control groups of labs that have ended with everybody who would have removed them."""
    for hierarchy in HIERARCHIES:
        with contextlib.suppress(OSError):
            for name in os.listdir(hierarchy):
                if name.startswith(PREFIX):
                    _sweep(f"{hierarchy}/{name}")


def _sweep(path: str) -> None:
    with contextlib.suppress(OSError):  # it is locked, has processes, or is another user's
        group = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(group, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rmdir(path)
        finally:
            os.close(group)


def remove_cgroup(lab_id: str) -> None:
    """Remove a lab's control group, if it has one, once its processes are gone (idempotent)."""
    for path in (f"{hierarchy}/{PREFIX}{lab_id}" for hierarchy in HIERARCHIES):
        for _ in range(TRIES):
            try:
                os.rmdir(path)
                break
            except FileNotFoundError:
                break
            except OSError:  # a process of it has ended but is not yet gone
                time.sleep(0.01)


def join_cgroup(path: str) -> None:
    """Move the calling process, and so its children to come, into a control group; raises OSError."""
    with open(f"{path}/cgroup.procs", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
