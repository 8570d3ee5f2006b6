"""The lab this process lives in."""

from __future__ import annotations

import functools

from netkit.lab.lab import Lab


@functools.cache
def current_lab() -> Lab:
    """The lab this process lives in; raises LabError outside of one."""
    return Lab()
