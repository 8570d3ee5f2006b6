"""The difference between two topologies as a value, and in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from netkit.network.model import Topology

OPPOSITE = {"appeared": "vanished", "vanished": "appeared", "changed": "changed", "moved": "moved"}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different.

    ``kind`` is appeared, vanished, changed or moved. ``about`` says what it is, by the names of
    :meth:`Topology.canonical`:

    - "LAN", "node1", "service hello", "service hello/task hello.1"
    - "node1/network shop", "node1/container web" (also its namespace), "node1/netns red"
    - "node1/host/docker0", "node1/container web/eth0": an interface in a namespace
    - "node1/container web/network shop": an endpoint; ".../port 8080/tcp": a published port
    - below a namespace: "route DESTINATION", "neighbour ADDRESS", "fdb OWNER MAC", "masquerade SUBNET",
      "port 8080/tcp", "isolated BRIDGE", "internal BRIDGE", "silent BRIDGE", "policy 4 filter FORWARD", "rules"

    ``words`` is the sentence, ``details`` are further ones that follow from the same change. ``was`` is
    the earlier place of what moved. ``also`` are the places of everything else that came or went with
    it: the other end of a veth pair, a network's bridge.

    ``told_with`` is empty for what every reader is told, or the option of :meth:`Diff.text` that tells
    it: "macs" (follows from MAC addresses drawn by lot), "learned" (tables that fill and empty by
    themselves), "rules" (the packet filter's rules, where something else that is told explains them).
    """

    kind: str
    about: str
    words: str
    details: tuple[str, ...] = ()
    was: str = ""
    also: tuple[str, ...] = ()
    told_with: str = ""


@dataclass(frozen=True, slots=True)
class Diff:
    """What happened between two topologies; true if anything did."""

    before: Topology = field(repr=False)
    after: Topology = field(repr=False)
    changes: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __repr__(self) -> str:
        return f"<Diff: {len(self.changes)} change{'' if len(self.changes) == 1 else 's'}>"

    def text(self, *, macs: bool = False, learned: bool = False, rules: bool = False) -> str:
        """The changes in words, node by node, without a newline at the end; "nothing changed" if none is to be told.

        ``macs`` adds what follows from MAC addresses drawn by lot, ``learned`` the rows that forwarding
        and neighbour tables learn and forget by themselves, ``rules`` the packet filter's rules where
        another change explains them. Without these the text is the same each time the same is done.
        """
        told = {"": True, "macs": macs, "learned": learned, "rules": rules}
        lines = []
        for change in self.changes:
            if told[change.told_with]:
                lines.append("\n".join([change.words, *(f"  {line}" for line in change.details)]))
        return "\n".join(dict.fromkeys(lines)) or "nothing changed"

    def marks(self) -> dict[str, str]:
        """What to mark in a figure: the place of everything that is different, with the kind of its change."""
        marks: dict[str, str] = {}
        for change in self.changes:
            if not change.told_with:
                for place in (change.about, *change.also):
                    marks.setdefault(place, change.kind)
        return marks

    def draw(self, **options: Any) -> Any:
        """The figure of what is there now with the changes marked; ``options`` as for Topology.draw."""
        from netkit.figure.draw import draw

        return draw(self.after, diff=self, **options)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        from netkit.figure.draw import make_bundle

        return make_bundle(self.text(), self.draw())
