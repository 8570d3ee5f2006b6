"""How long tests wait for what has to come: never a short time, for others use the machine as well.

NETKIT_TEST_PATIENCE times as long on a machine that much slower than usual.
"""

from __future__ import annotations

import os

FACTOR = float(os.environ.get("NETKIT_TEST_PATIENCE", "1"))
LEAST = 120.0  # seconds: waiting costs time only where a test fails


def patiently(seconds: float = LEAST) -> float:
    """So many seconds of a usual machine, on this one; two minutes at least."""
    return max(seconds, LEAST) * FACTOR


def at_most(seconds: float) -> float:
    """An upper limit that tells one behaviour from another, which would wait for a time-out: well above the one, below the other."""
    return seconds * FACTOR
