"""Any difference at all in words: for what has no sentence of its own."""

from __future__ import annotations

import dataclasses
from typing import Any

from netkit.network.diff.atoms import MISSING, ORDER, Atom
from netkit.network.model import End
from netkit.network.words import join, plain, tell_end

LABELS = {
    "mac": "MAC address",
    "mtu": "MTU",
    "vxlan": "VXLAN",
    "vni": "VNI",
    "vlan": "VLAN",
    "stp": "spanning tree",
    "ipv6": "IPv6",
    "vips": "virtual addresses",
    "forwards_packets": "forwarding of packets",
    "resolver": "DNS server",
    "trouble": "what is wrong",
}


def tell_difference(atom: Atom) -> str:
    """A clause on the last steps of a path: "MTU: 1450 (was: 1500)"."""
    names = [label(step) for step in atom.path if isinstance(step, str)]
    if ORDER in atom.path:
        return f"{' '.join(names)}: another order"
    if atom.kind == "changed":
        return f"{' '.join(names)}: {tell_value(atom.after)} (was: {tell_value(atom.before)})"
    item = "" if isinstance(atom.path[-1], str) and tell_value(atom.value) == atom.path[-1] else f" {tell_value(atom.value)}"
    return f"{' '.join(names)}:{item or ' ' + plain(str(atom.path[-1]))} {atom.kind}"


def label(name: str) -> str:
    """A field's name as a reader would call it."""
    return LABELS.get(name, plain(name.replace("_", " ")))


def tell_value(value: Any) -> str:
    """Any value of the model in plain words."""
    if value is None or value is MISSING or value in ((), ""):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, End):
        return tell_end(value)
    if isinstance(value, tuple):
        return join(tell_value(each) for each in value)
    if dataclasses.is_dataclass(value):
        fields = [(field.name, getattr(value, field.name), field.default) for field in dataclasses.fields(value) if field.compare]
        return ", ".join(f"{label(name)} {tell_value(each)}" for name, each, default in fields if each != default)
    return plain(str(value))
