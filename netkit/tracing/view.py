"""A trace as learners have it: its values, told as tables and a verdict, drawn, and written for Wireshark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netkit.network.words import plain
from netkit.tracing.draw import draw
from netkit.tracing.pcapng import write_pcapng
from netkit.tracing.steps import Step, calc_steps
from netkit.tracing.values import Hop, Packet, Rule, TraceData
from netkit.tracing.verdict import tell_drop, tell_verdict
from netkit.tracing.words import Names, calc_rewrites, calc_told, calc_told_flows, calc_told_hops, tell_way, tell_wrapping

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from netkit.figure.layout import Picture

INDENT = "      "


class Trace(TraceData):
    """What a command sent, and what became of it; see :class:`netkit.tracing.values.TraceData` for what it consists of."""

    __slots__ = ()

    @property
    def verdict(self) -> str:
        """What became of it, in a sentence or a few."""
        return tell_verdict(self)

    def rules(self) -> tuple[Rule, ...]:
        """The rules that the told packets met, in order, each once."""
        return tuple(dict.fromkeys(rule for packet in calc_told(self) for rule in packet.rules))

    def text(self, *, times: bool = False, rules: bool = False) -> str:
        """The hops as tables, and the verdict, without a newline at the end; the same for the same network on every run and engine.

        ``times`` adds µs since the command began, ``rules`` each rule as the machine has it.
        """
        # where rules are told, which differ from engine to engine anyway, so are all hops
        told = [(packet, packet.hops if rules else calc_told_hops(packet, self.topology)) for packet in calc_told(self)]
        table = _Table(Names(self), [hop for _, hops in told for hop in hops], times, rules)
        lines = [f"{self.node}: {plain(self.command)}"]
        for packet, hops in told:
            lines += ["", *table.tell(packet, hops)]
        more = len(self.flows) - len(calc_told_flows(self))
        if more > 0:
            lines += ["", f"and {more} more like these" if more > 1 else "and one more like these"]
        return "\n".join([*lines, "", self.verdict])

    __str__ = text

    def __repr__(self) -> str:
        return self.text()

    def draw(self, **options) -> Figure:
        """The way on the topology's figure; ``options`` as for ``Topology.draw``."""
        return draw(self, **options)

    def steps(self, picture: Picture) -> tuple[Step, ...]:
        """The hops as steps on a :class:`netkit.figure.layout.Picture` of :attr:`topology`."""
        return calc_steps(self, picture)

    def pcapng(self, path: str) -> None:
        """Write what was captured for Wireshark: one interface for each one crossed, a comment for each hop."""
        write_pcapng(self, path)

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        from netkit.figure.draw import make_bundle

        return make_bundle(self.text(), self.draw())


class _Table:
    """Hops in columns that are as wide for every packet."""

    def __init__(self, names: Names, hops: list[Hop], times: bool, rules: bool) -> None:
        self.names, self.times, self.rules = names, times, rules
        self.widths = [max(map(len, column)) for column in zip(*map(self._tell_cells, hops), strict=True)]

    def tell(self, packet: Packet, hops: tuple[Hop, ...]) -> list[str]:
        """One packet: what it is, and a line for each hop."""
        lines = [f"{'answer: ' if packet.reply else ''}{plain(packet.what)}, {tell_way(packet.addresses)}"]
        for number, hop in enumerate(hops, 1):
            lines += self._tell_rules(hop.rules)
            where = self.names.stack(hop.node, hop.namespace)
            lines += [f"{INDENT}NAT in {where}: {rewrite}" for rewrite in calc_rewrites(hop, packet.reply)]
            row = "  ".join(f"{cell:<{width}}" for cell, width in zip(self._tell_cells(hop), self.widths, strict=True))
            time = f"{hop.time:>9.1f} µs  " if self.times else ""
            lines.append(f"{number:>4}  {time}{row}  {tell_wrapping(hop)}")
        end = [f"{INDENT}✗ {tell_drop(packet, self.names)}"] if packet.dropped else []
        return [*lines, *self._tell_rules(packet.last), *end]

    def _tell_cells(self, hop: Hop) -> tuple[str, ...]:
        return (*self.names.hop(hop), tell_way(hop.addresses))

    def _tell_rules(self, rules: tuple[Rule, ...]) -> list[str]:
        told = [rule for rule in rules if rule.number] if self.rules else []
        return [f"{INDENT}{rule.title}: {self.names.rule(rule) or '(not listed)'}" for rule in told]
