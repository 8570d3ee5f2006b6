"""The lab this process lives in, and the one to be opened where there is none."""

from __future__ import annotations

import atexit
import functools
import os

from netkit.errors import LabError
from netkit.laboratory.lab import Lab, OpenLab, open_lab

INVENTORY = "NETKIT_MACHINES"  # names an inventory file: labs are made of those real machines
MACHINES_LAB = "NETKIT_MACHINES_LAB"  # set for what runs in such a lab: its private directory


@functools.cache
def current_lab() -> Lab:
    """The lab this process lives in; raises LabError outside of one.

    With real machines (``NETKIT_MACHINES``) and none of their labs around it, the process opens one, which
    ends with it.
    """
    if os.environ.get(MACHINES_LAB):
        from netkit.operator.machines import MachinesLab

        return MachinesLab(os.environ[MACHINES_LAB])
    if os.environ.get(INVENTORY):
        from netkit.operator.machines import open_machines

        lab = open_machines(os.environ[INVENTORY], label="python")
        atexit.register(lab.close_and_tell)
        return lab
    return Lab()


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
