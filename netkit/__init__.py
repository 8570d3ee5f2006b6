"""netkit: a Docker networking workshop whose notebooks run inside real machines.

Nothing happens on import; names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
import os
import sys

__version__ = "0.1.0"

_WHERE = {
    "lab": "netkit.labs:current_lab",
    "capture": "netkit.network.capture:capture",
    "trace": "netkit.tracing.run:trace",
    "live": "netkit.liveview.widget:live",
    "check": "netkit.exercises.check:check",
    "progress": "netkit.exercises.progress:progress",
    "read_packet": "netkit.packets.packet:read_packet",
    "read_measurements": "netkit.measurements:read_measurements",
    "open_lab": "netkit.laboratory.lab:open_lab",
    "Topology": "netkit.network.capture:Topology",
    **dict.fromkeys(("NetkitError", "LabError", "EngineError", "CommandError"), "netkit.errors:"),
}

__all__ = ["__version__", *sorted(_WHERE)]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'netkit' has no attribute {name!r}")
    module, _, function = _WHERE[name].partition(":")
    value = globals()[name] = getattr(importlib.import_module(module), function or name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})


def put_workplace_last() -> None:
    """Let the working directory be the last place that modules are looked for in, here and in programs started from here.

    It comes first by ``python -m`` without ``-P``, and by a PYTHONPATH with an empty entry, as ``$PYTHONPATH:/x`` often is.
    Does nothing in a working directory that has been deleted. It is here because nothing that a learner's ``json.py`` could
    stand for may be imported before it is called.
    """
    if named := os.environ.get("PYTHONPATH"):
        os.environ["PYTHONPATH"] = ":".join(path for path in named.split(":") if path not in ("", "."))
    try:
        here = os.getcwd()
    except FileNotFoundError:
        return
    # a learner's own "" follows os.chdir; sorting keeps the order of the others
    sys.path.sort(key=lambda path: path == "" or os.path.realpath(path) == here)
