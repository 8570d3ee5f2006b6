"""What a machine changed of a packet's addresses, and by whose order. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from netkit.tracing.model import Addresses, Hop
from netkit.tracing.names import tell_end

REWRITERS = ("MASQUERADE", "SNAT", "DNAT", "REDIRECT", "masquerade", "snat", "dnat", "redirect")


@dataclass(frozen=True, slots=True)
class Rewrite:
    """``what`` is source or destination, ``was`` and ``now`` its address and port, ``by`` what did it."""

    what: str
    was: str
    now: str
    by: str

    def __str__(self) -> str:
        return f"{self.what} {self.was} → {self.now} ({self.by})"


def calc_rewrites(hop: Hop, reply: bool) -> tuple[Rewrite, ...]:
    """What was rewritten on the way to this hop."""
    old, new = hop.before, hop.addresses
    if old is None:
        return ()
    found = []
    for what in ("source", "destination"):
        was, now = _end(old, what), _end(new, what)
        if was != now:
            told = (tell_end(*was), tell_end(*now))
            if told[0] == told[1]:
                told = (str(was[0]), f"{now[0]} with another port")
            found.append(Rewrite(what, *told, _find_author(hop, what, reply)))
    if not found and old.identifier != new.identifier:
        found.append(Rewrite("identifier", "one", "another", "connection tracking"))
    return tuple(found)


def _end(addresses: Addresses, what: str) -> tuple:
    return (getattr(addresses, what), getattr(addresses, f"{what}_port"))


def _find_author(hop: Hop, what: str, reply: bool) -> str:
    """The target that did it, if a rule of this packet was one; else the connection, which remembers."""
    wanted = ("MASQUERADE", "SNAT") if what == "source" else ("DNAT", "REDIRECT")
    for rule in hop.rules:
        for word in wanted:
            if f"-j {word}" in rule.text or f"{word.lower()}" in rule.text.split():
                return "masquerade" if word == "MASQUERADE" else word
    return "NAT undone" if reply else "NAT"
