"""What both modes take in turns: root's tests run one half of it, an ordinary user's the other; with ``--full``, each mode runs all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")
MODES = ("user", "root")
MODE = MODES[os.geteuid() == 0]
FULL = "NETKIT_TEST_FULL"  # set by --full, for the processes that share out the tests, too


def share(items: Sequence[Item], mode: str = MODE) -> list[Item]:
    """Every second item, beginning with the first for "user" and with the second for "root"; all of them with ``--full``."""
    return list(items) if os.environ.get(FULL) else list(items[MODES.index(mode) :: 2])
