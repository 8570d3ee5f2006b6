"""A bound on the number of a lab's processes, where the machine offers one.

An ordinary user's lab is bounded by RLIMIT_NPROC (setrlimit(2)), which counts per user and
namespace; root is exempt from that, so root's lab gets a control group with a pids limit
(kernel Documentation/admin-guide/cgroup-v2.rst, "PID"; cgroup-v1/pids.rst).
"""

from __future__ import annotations

import os

MAX_PROCESSES = 8192  # an engine with a few containers has about 100 threads
HIERARCHIES = ("/sys/fs/cgroup/pids", "/sys/fs/cgroup")  # version 1's own, version 2's only one


def make_cgroup(lab_id: str) -> str | None:
    """Make a control group with a pids limit for a lab; None where this machine offers none."""
    for hierarchy in HIERARCHIES:
        path = f"{hierarchy}/netkit-{lab_id}"
        try:
            os.mkdir(path)
        except OSError:
            continue
        try:
            with open(f"{path}/pids.max", "w", encoding="ascii") as file:
                file.write(str(MAX_PROCESSES))
            return path
        except OSError:  # no pids controller in this hierarchy
            os.rmdir(path)
    return None
