"""A trace in words: the hops as tables, and the verdict. Pure."""

from __future__ import annotations

from netkit.network.words import plain
from netkit.tracing.changes import calc_rewrites
from netkit.tracing.model import Hop, Packet, Rule, Trace
from netkit.tracing.names import Names, tell_way
from netkit.tracing.path import calc_told_flows, calc_told_hops, calc_told_packets
from netkit.tracing.verdict import tell_drop, tell_verdict

INDENT = "      "


def to_text(trace: Trace, *, times: bool = False, rules: bool = False) -> str:
    """The tables, without a newline at the end; see :meth:`netkit.tracing.model.Trace.text`."""
    names = Names(trace)
    lines = [f"{trace.node}: {plain(trace.command)}"]
    flows = calc_told_flows(trace)
    packets = [(number, packet) for number, flow in enumerate(flows, 1) for packet in calc_told_packets(flow)]
    table = _Table(trace, names, times, rules)
    for _, packet in packets:
        lines += ["", *table.tell(packet)]
    more = len(trace.flows) - len(flows)
    if more > 0:
        lines += ["", f"and {more} more like these" if more > 1 else "and one more like these"]
    return "\n".join([*lines, "", tell_verdict(trace)])


class _Table:
    """Hops in columns that are as wide for every packet."""

    def __init__(self, trace: Trace, names: Names, times: bool, rules: bool) -> None:
        self.names, self.times, self.rules, self.topology = names, times, rules, trace.topology
        hops = [hop for flow in calc_told_flows(trace) for packet in calc_told_packets(flow) for hop in self._hops(packet)]
        cells = [(*names.hop(hop), tell_way(hop.addresses)) for hop in hops]
        self.widths = [max((len(row[column]) for row in cells), default=0) for column in range(4)]

    def _hops(self, packet: Packet) -> tuple[Hop, ...]:
        """All of them where rules are told, which differ from engine to engine anyway."""
        return packet.hops if self.rules else calc_told_hops(packet, self.topology)

    def tell(self, packet: Packet) -> list[str]:
        """One packet: what it is, and a line for each hop."""
        lines = [f"{'answer: ' if packet.reply else ''}{plain(packet.what)}, {tell_way(packet.addresses)}"]
        for number, hop in enumerate(self._hops(packet), 1):
            lines += self._tell_rules(hop.rules)
            where = self.names.stack(hop.node, hop.namespace)
            lines += [f"{INDENT}NAT in {where}: {rewrite}" for rewrite in calc_rewrites(hop, packet.reply)]
            lines.append(self._tell_hop(number, hop))
        lines += self._tell_rules(packet.last)
        if packet.dropped:
            lines.append(f"{INDENT}✗ {tell_drop(packet, self.names)}")
        return lines

    def _tell_rules(self, rules: tuple[Rule, ...]) -> list[str]:
        if not self.rules:
            return []
        return [f"{INDENT}{rule.title}: {self.names.rule(rule) or '(not listed)'}" for rule in rules if rule.number]

    def _tell_hop(self, number: int, hop: Hop) -> str:
        cells = (*self.names.hop(hop), tell_way(hop.addresses))
        row = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, self.widths, strict=True))
        tail = f"in VXLAN {hop.tunnel.vni}, {hop.tunnel.source} → {hop.tunnel.destination}" if hop.tunnel else f"TTL {hop.ttl}"
        time = f"{hop.time:>9.1f} µs  " if self.times else ""
        return f"{number:>4}  {time}{row}  {tail}"
