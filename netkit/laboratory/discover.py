"""Find the labs that are open on this machine.

There is no register to get out of date: a lab is its first process, which carries a name and shows
its facts through /proc/PID/root to those who may look (proc(5), ptrace(2) access mode).
"""

from __future__ import annotations

import contextlib
import os
import time

from netkit.errors import LabError
from netkit.laboratory.current import MACHINES_LAB, current_lab
from netkit.laboratory.inside import limits
from netkit.laboratory.inside.mounts import is_inside
from netkit.laboratory.lab import Lab

NAME = "netkit-lab"
ENTRANCE = "netkit-entry"


class FoundLab(Lab):
    """A lab another process opened; ``pid`` is its first process, ``opener`` who opened it."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"/proc/{pid}/root")
        self.pid = pid
        self.opener: int = self.facts["opener"]


def seconds_open(lab: Lab) -> float:
    """How long a lab has been open, in seconds."""
    return time.time() - os.stat(f"{lab.shared}/lab.json").st_mtime


def find_labs() -> list[FoundLab]:
    """The labs the caller may reach, oldest first; root reaches everybody's."""
    labs = []
    for entry in sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()):
        with contextlib.suppress(OSError, LabError):
            # a host's process, too, bears the lab's name for a moment; but not below the entrance
            if (_name(entry), _name(_parent(entry))) != (NAME, ENTRANCE):
                continue
            if os.geteuid() in (0, os.stat(f"/proc/{entry}").st_uid):
                labs.append(FoundLab(entry))
    return labs


def _name(pid: int) -> str:
    with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
        return file.read().strip()


def describe_labs() -> list[dict]:
    """Each reachable lab as a dictionary; inside a lab, that one alone (of namespaces, no other can be seen).

    Keys: id, mode, engine, label, opener and pid (as the machine numbers them; pid is 0 inside, and the
    opener's for real machines),
    seconds (since it was opened), hosts (name → state).
    """
    rows = []
    limits.sweep_cgroups()
    for lab in [current_lab()] if is_in_lab() else [*find_labs(), *find_machines_labs()]:
        with contextlib.suppress(OSError, LabError):  # a lab that closes just now
            facts = {key: lab.facts[key] for key in ("id", "mode", "engine", "label", "opener")}
            age = seconds_open(lab)
            rows.append({**facts, "pid": _find_pid(lab), "seconds": round(age), "hosts": lab.states()})
    return rows


def _find_pid(lab: Lab) -> int:
    if isinstance(lab, FoundLab):
        return lab.pid
    return lab.facts["opener"] if lab.facts["mode"] == "real" else 0


def is_in_lab() -> bool:
    """Whether this process lives in a lab, be it of namespaces or of real machines."""
    return bool(os.environ.get(MACHINES_LAB)) or is_inside()


def find_machines_labs() -> list[Lab]:
    """The labs of real machines that the caller has open, oldest first."""
    from netkit.operator.machines import MachinesLab, find_places  # ssh and inventories: only for those who use them

    labs = []
    for place in find_places():
        with contextlib.suppress(LabError):  # it closes just now
            labs.append(MachinesLab(place))
    return sorted(labs, key=lambda lab: -seconds_open(lab))


def find_own_labs(patience: float = 20.0) -> list[Lab]:
    """The labs of those notebooks that belong to the server whose terminal this process is.

    A JupyterLab terminal and a kernel's launcher are both children of their server; whatever else its own parents have
    open is not meant. A launcher whose lab is not there yet is waited for, up to ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    server = os.getppid()
    while True:
        labs = [lab for lab in (*find_labs(), *find_machines_labs()) if _parent(lab.facts["opener"]) == server]
        opening = _launchers(server) - {lab.facts["opener"] for lab in labs}
        if not opening or time.monotonic() > deadline:
            return labs
        time.sleep(0.05)


def _launchers(server: int) -> set[int]:
    """The kernels' launchers among the children of a process."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{server}/task"):
            with open(f"/proc/{server}/task/{thread}/children", encoding="ascii") as file:
                found |= {int(child) for child in file.read().split()}
    return {pid for pid in found if b"netkit.kernel" in _command_line(pid)}


def _command_line(pid: int) -> list[bytes]:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().split(b"\0")
    return []


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0
