"""The Jupyter kernel of a lab of real machines: an ordinary process of its user.

It runs on the machine its client is on. Where the inventory says that this is node1 (``ssh = "local"``), cells are
commands on node1, as in any lab. Where node1 is reached by ssh, a cell's ``!`` and ``%%bash`` would run on the wrong
machine, perhaps somebody's laptop; they say so instead (this module is IPython's extension for that), and ``%%on node1``
is the way there.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from netkit.errors import said_at_the_end
from netkit.laboratory.inside import syscalls as sc
from netkit.laboratory.spec import INVENTORY
from netkit.operator.machines import OpenMachines, open_machines
from netkit.operator.ssh import is_scrubbed

NODE = "node1"
WHY = "this kernel does not run on node1, which is reached by ssh: `%%on node1` at the top of a cell runs its commands there"


def serve(arguments: Sequence[str], client: Sequence[int]) -> int:
    """Open the machines, run a kernel, and end both together; returns the kernel's exit status.

    ``arguments`` are ipykernel's, ``client`` descriptors that become readable when the client ends. Raises LabError.
    """
    with ThreadPoolExecutor(1) as pool:
        pool.submit(__import__, "netkit.kernel_app")  # ipykernel takes as long to import as machines to answer
        lab = open_machines(os.environ[INVENTORY], os.path.basename(os.environ.get("JPY_SESSION_NAME", "")))
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
        if not select.select([ended], [], [], 0)[0]:
            signal.pidfd_send_signal(ended, signal.SIGKILL)
        lab.close_and_tell()


def _serve(lab: OpenMachines, arguments: Sequence[str]) -> None:
    """In the forked child: be the kernel."""
    status = 1
    try:
        os.setsid()  # an interrupt reaches the kernel's whole process group, and nothing else
        sc.die_with_parent()
        route = lab[NODE].transport
        lab.disown()
        settings = {"NETKIT_MACHINES_LAB": lab.shared} | ({} if route.ssh else route.settings)
        _set_environment(settings)
        from netkit import kernel_app

        with said_at_the_end("the kernel"):
            extensions = [__name__] if route.ssh else []
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


def load_ipython_extension(ipython) -> None:
    """Called by IPython: ``!``, ``%%bash`` and ``%%sh`` raise UsageError, which a notebook shows as one line."""
    from IPython.core.error import UsageError

    def refuse(*_: object) -> None:
        raise UsageError(WHY)

    ipython.system = ipython.system_raw = ipython.system_piped = ipython.getoutput = refuse
    for name in ("bash", "sh", "script", "system", "sx", "!"):
        ipython.register_magic_function(refuse, "cell", name)
    for name in ("system", "sx"):
        ipython.register_magic_function(refuse, "line", name)
