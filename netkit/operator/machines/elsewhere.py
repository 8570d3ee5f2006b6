"""For a kernel that is not on node1: what would run on the wrong machine says so instead."""

from __future__ import annotations

from IPython.core.error import UsageError

WHY = "this kernel does not run on node1, which is reached by ssh: `%%on node1` at the top of a cell runs its commands there"


def refuse(*_: object) -> None:
    """Raises UsageError, which a notebook shows as one line."""
    raise UsageError(WHY)


def load_ipython_extension(ipython) -> None:
    """Called by IPython: ``!``, ``%%bash`` and ``%%sh`` refuse."""
    ipython.system = ipython.system_raw = ipython.system_piped = ipython.getoutput = refuse
    for name in ("bash", "sh", "script", "system", "sx", "!"):
        ipython.register_magic_function(refuse, "cell", name)
    for name in ("system", "sx"):
        ipython.register_magic_function(refuse, "line", name)
