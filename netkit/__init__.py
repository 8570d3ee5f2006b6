"""netkit: a Docker networking workshop whose notebooks run inside real machines.

Nothing happens on import; names are loaded when they are first used.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_WHERE = {
    "lab": "netkit.laboratory.current:current_lab",
    "capture": "netkit.network.capture:capture",
    "trace": "netkit.tracing.run:trace",
    "live": "netkit.liveview.show:live",
    "check": "netkit.exercises.check:check",
    "progress": "netkit.exercises.progress:progress",
    "read_packet": "netkit.packets.pcap:read_packet",
    "read_measurements": "netkit.measurements:read_measurements",
    "open_lab": "netkit.laboratory.lab:open_lab",
    "Topology": "netkit.network.model:Topology",
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
