"""Which lab is meant: the one this process lives in, one that is open, the one a person picks, or a new one.

Nothing else knows every kind of lab, of namespaces and of real machines. There is no register to get out of date: a lab of
namespaces is its first process, which carries a name and shows its facts through /proc/PID/root to those who may look
(proc(5), ptrace(2) access mode).
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import functools
import os
import sys
import time

from netkit.errors import LabError
from netkit.laboratory.inside import limits
from netkit.laboratory.inside.mounts import is_inside
from netkit.laboratory.lab import Lab, OpenLab, open_lab
from netkit.laboratory.spec import INVENTORY, MACHINES_LAB

NAME = "netkit-lab"
ENTRANCE = "netkit-entry"


class FoundLab(Lab):
    """A lab another process opened; ``pid`` is its first process."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"/proc/{pid}/root")
        self.pid = pid


def is_in_lab() -> bool:
    """Whether this process lives in a lab, be it of namespaces or of real machines."""
    return bool(os.environ.get(MACHINES_LAB)) or is_inside()


@functools.cache
def current_lab() -> Lab:
    """The lab this process lives in; raises LabError outside of one.

    With real machines (``NETKIT_MACHINES``) and none of their labs around it, the process opens one, which
    ends with it.
    """
    if not os.environ.get(MACHINES_LAB) and not os.environ.get(INVENTORY):
        return Lab()
    from netkit.operator.machines import MachinesLab, open_machines  # ssh and inventories: only for those who use them

    if os.environ.get(MACHINES_LAB):
        return MachinesLab(os.environ[MACHINES_LAB])
    lab = open_machines(os.environ[INVENTORY], label="python")
    atexit.register(lab.close_and_tell)
    return lab


def open_wanted_lab(nodes: int, *, mode: str | None = None, engine: str | None = None, label: str = "") -> OpenLab:
    """A new lab: of the real machines if ``NETKIT_MACHINES`` names them, else as :func:`open_lab` makes it.

    Raises LabError, also for wishes that real machines cannot fulfil.
    """
    if not os.environ.get(INVENTORY):
        return open_lab(nodes, mode=mode, engine=engine, label=label)
    from netkit.operator.machines import open_machines

    if mode or engine:
        raise LabError(f"{INVENTORY} is set, and real machines come as they are: leave out --mode and --engine, or unset it")
    return open_machines(os.environ[INVENTORY], label)


def seconds_open(lab: Lab) -> float:
    """How long a lab has been open, in seconds."""
    return time.time() - os.stat(f"{lab.shared}/lab.json").st_mtime


def find_labs() -> list[FoundLab]:
    """The labs of namespaces that the caller may reach, oldest first; root reaches everybody's."""
    labs = []
    for pid in _pids():
        with contextlib.suppress(OSError, LabError):
            name, parent = _read_stat(pid)
            # a host's process, too, bears the lab's name for a moment; but not below the entrance
            if name == NAME and _read_stat(parent)[0] == ENTRANCE and os.geteuid() in (0, os.stat(f"/proc/{pid}").st_uid):
                labs.append(FoundLab(pid))
    return labs


def find_machines_labs() -> list[Lab]:
    """The labs of real machines that the caller has open, oldest first."""
    from netkit.operator.machines import MachinesLab, find_places

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
        labs = [lab for lab in (*find_labs(), *find_machines_labs()) if _read_stat(lab.facts["opener"])[1] == server]
        launchers = {pid for pid in _pids() if _read_stat(pid)[1] == server and b"netkit.kernel" in _read(pid, "cmdline").split(b"\0")}
        if launchers <= {lab.facts["opener"] for lab in labs} or time.monotonic() > deadline:
            return labs
        time.sleep(0.05)


def _pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())


def _read(pid: int, name: str) -> bytes:
    """A file of /proc/PID; empty for a process that has gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()
    return b""


def _read_stat(pid: int) -> tuple[str, int]:
    """A process's name and its parent (proc_pid_stat(5)); ("", 0) for one that has gone."""
    name, _, rest = _read(pid, "stat").decode(errors="replace").partition("(")[2].rpartition(")")
    return name, int(rest.split()[1]) if rest else 0


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
            pid = lab.pid if isinstance(lab, FoundLab) else facts["opener"] if facts["mode"] == "real" else 0
            rows.append({**facts, "pid": pid, "seconds": round(seconds_open(lab)), "hosts": lab.states()})
    return rows


def enter_shell(options: argparse.Namespace) -> int:
    """``netkit shell``: a terminal on a host of the lab that is meant; returns its exit status, raises LabError."""
    if not os.isatty(0):
        raise LabError("a shell needs a terminal: to run one command, use `netkit run -- COMMAND` or `netkit on NODE -- COMMAND`")
    lab = _choose(options.lab, options.of_server)
    if lab is not None:
        return lab[options.node].shell()
    what = "real machines" if os.environ.get(INVENTORY) else f"{options.nodes} nodes"
    print(f"no lab is open: this one, of {what}, ends with the shell", file=sys.stderr)
    with open_wanted_lab(options.nodes, mode=options.mode, engine=options.engine, label="shell") as opened:
        return opened[options.node].shell()


def _choose(wanted: str | None, of_server: bool) -> Lab | None:
    """The lab this process is in, the one asked for, the only one open, or the one a person picks."""
    if wanted is None and is_in_lab():
        return current_lab()
    labs = find_own_labs() if of_server else [*find_labs(), *find_machines_labs()]
    if wanted is not None:
        found = [lab for lab in labs if lab.id.startswith(wanted)]
        if len(found) != 1:
            raise LabError(f"there is no lab {wanted!r}: `netkit ps` lists those that are open")
        return found[0]
    if len(labs) < 2:
        return labs[0] if labs else None
    print("Several labs are open. Which one?")
    for number, lab in enumerate(labs, 1):
        print(f"  {number}  {lab.facts['label'] or 'lab'}  ({lab.id}, open for {seconds_open(lab):.0f} s)")
    while True:
        try:
            answer = input(f"number [1-{len(labs)}]: ").strip()
        except EOFError:
            raise LabError("no lab was chosen") from None
        if answer.isdecimal() and 1 <= int(answer) <= len(labs):
            return labs[int(answer) - 1]
