"""netkit: a Docker networking workshop whose notebooks run inside real machines.

Nothing happens on import; names are loaded when they are first used.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_WHERE = {
    "capture": "netkit.topology.capture",
    "check": "netkit.exercises.check",
    "progress": "netkit.exercises.overview",
    "read_packet": "netkit.packets.pcap",
    "read_measurements": "netkit.measurements",
    "Topology": "netkit.topology.model",
    "open_lab": "netkit.lab.lab",
    "NetkitError": "netkit.errors",
    "LabError": "netkit.errors",
    "EngineError": "netkit.errors",
    "CommandError": "netkit.errors",
}

_CALLABLE = ("lab", "live", "trace")  # packages that can be called

__all__ = ["__version__", *_CALLABLE, *sorted(_WHERE)]


def __getattr__(name: str) -> object:
    if name in _CALLABLE:
        return importlib.import_module(f"netkit.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module 'netkit' has no attribute {name!r}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_CALLABLE, *_WHERE})
