"""The Jupyter kernel of a lab of real machines: an ordinary process of its user.

It runs on the machine its client is on. Where the inventory says that this is node1 (``ssh = "local"``), cells are
commands on node1, as in any lab. Where node1 is reached by ssh, a cell's ``!`` and ``%%bash`` would run on the wrong
machine, perhaps somebody's laptop; they say so instead, and ``%%on node1`` is the way there.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Sequence

from netkit.errors import said_at_the_end
from netkit.laboratory.inside import syscalls as sc
from netkit.laboratory.spec import INVENTORY
from netkit.operator.machines.lab import OpenMachines, open_machines
from netkit.operator.machines.ssh import is_scrubbed

NODE = "node1"
ELSEWHERE = "netkit.operator.machines.elsewhere"


def serve(arguments: Sequence[str], client: Sequence[int]) -> int:
    """Open the machines, run a kernel, and end both together; returns the kernel's exit status.

    ``arguments`` are ipykernel's, ``client`` descriptors that become readable when the client ends. Raises LabError.
    """
    importing = threading.Thread(target=__import__, args=("netkit.kernel_app",))
    importing.start()  # ipykernel takes as long to import as machines to answer
    try:
        lab = open_machines(os.environ[INVENTORY], os.path.basename(os.environ.get("JPY_SESSION_NAME", "")))
    finally:
        importing.join()
    child = os.fork()
    if child == 0:
        _serve(lab, arguments)
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(0))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # interrupts come as messages, and to the kernel
        ended = os.pidfd_open(child)
        if ended in select.select([ended, *client], [], [])[0]:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF
        return 1
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # clearing up is not to be cut short
        signal.pidfd_send_signal(ended, signal.SIGKILL) if _runs(ended) else None
        lab.close_and_tell()


def _runs(process: int) -> bool:
    return not select.select([process], [], [], 0)[0]


def _serve(lab: OpenMachines, arguments: Sequence[str]) -> None:
    """In the forked child: be the kernel."""
    status = 1
    try:
        os.setsid()  # an interrupt reaches the kernel's whole process group, and nothing else
        sc.die_with_parent()
        facts = lab.facts["machines"][NODE]
        lab.disown()
        settings = {"NETKIT_MACHINES_LAB": lab.shared} | (facts["settings"] if not facts["ssh"] else {})
        _set_environment(settings)
        from netkit import kernel_app

        with said_at_the_end("the kernel"):
            extensions = [ELSEWHERE] if facts["ssh"] else []
            kernel_app.run_kernel(arguments, lambda: None, lambda: True, lambda: _set_environment(settings), extensions)
        status = 0
    finally:
        sys.stdout.flush()
        os._exit(status)


def _set_environment(settings: dict[str, str]) -> None:
    """Leave nothing in this process's environment that leads docker elsewhere than ``settings`` say (idempotent)."""
    for name in [name for name in os.environ if is_scrubbed(name) or name.startswith("JPY_")]:
        del os.environ[name]
    os.environ |= settings
