"""How long tests wait for what has to come: NETKIT_TEST_PATIENCE times as long on a machine that much slower than usual."""

from __future__ import annotations

import os

FACTOR = float(os.environ.get("NETKIT_TEST_PATIENCE", "1"))


def patiently(seconds: float) -> float:
    """So many seconds of a usual machine, on this one."""
    return seconds * FACTOR
