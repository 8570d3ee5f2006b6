"""What the hosts' clocks differ by, so that a packet is nowhere before it was sent. Pure.

Hosts of a lab are one machine, and have one clock. Real machines have a clock each, which agree to some milliseconds
at best, and a packet is across within microseconds. Two things are known of a clock: when it was asked for the
time, its answer was given between the question and the answer's arrival; and whatever was sent by one host and
received by another was sent before it was received. The second is as fine as the network is fast, once packets
go both ways: the same four stamps as in NTP (RFC 5905, section 8).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from netkit.network.model import HOST, Topology
from netkit.tracing.sights import Sight

Interval = tuple[int, int]  # ns, both ends included


def calc_offsets(sights: Iterable[Sight], asked: Mapping[str, Interval], topology: Topology) -> dict[str, int]:
    """By how much each host's clock is ahead of that of whoever asked, in ns; 0 wherever nothing proves otherwise.

    ``asked`` are the bounds by asking each host, one number twice where it is known; a host whose clock is known
    best is taken first, and packets from and to it narrow down the others.
    """
    known = {host: low for host, (low, high) in asked.items() if low == high}
    if len(known) == len(asked):
        return known
    crossings = list(_find_crossings(sights, topology))
    offsets = dict(known)
    for host in sorted(asked.keys() - known, key=lambda name: (asked[name][1] - asked[name][0], name)):
        offsets[host] = _choose(asked[host], _calc_bounds(host, crossings, offsets))
    return offsets


def _find_crossings(sights: Iterable[Sight], topology: Topology) -> Iterator[tuple[str, int, str, int]]:
    """Sender, its stamp, receiver, its stamp, for whatever went from one host's card to another's."""
    cards = {
        (node.name, interface.name)
        for node, stack in topology.stacks()
        if stack.name == HOST
        for interface in stack.interfaces
        if node.address in [each.ip for each in interface.addresses]
    }
    seen: dict[tuple, tuple[list[Sight], list[Sight]]] = defaultdict(lambda: ([], []))
    for sight in sights:
        if sight.namespace == HOST and (sight.node, sight.interface) in cards:
            seen[sight.key, sight.tunnel][sight.direction == "in"].append(sight)
    for sent, received in seen.values():
        if len(sent) == 1:  # of two that look the same, nobody knows which one arrived
            yield from ((sent[0].node, sent[0].stamp, each.node, each.stamp) for each in received if each.node != sent[0].node)


def _calc_bounds(host: str, crossings: Iterable[tuple[str, int, str, int]], known: Mapping[str, int]) -> tuple[int | None, int | None]:
    """What packets between a host and those whose clocks are known say about its clock: at least, and at most."""
    least, most = [], []
    for sender, sent, receiver, received in crossings:
        if receiver == host and sender in known:
            most.append(received - sent + known[sender])
        elif sender == host and receiver in known:
            least.append(sent - received + known[receiver])
    return max(least, default=None), min(most, default=None)


def _choose(asked: Interval, packets: tuple[int | None, int | None]) -> int:
    """The middle of what both allow; of what packets allow, if a clock was set between asking and sending; but 0 where that will do."""
    low, high = (packet if packet is not None else bound for packet, bound in zip(packets, asked, strict=True))
    if max(low, asked[0]) <= min(high, asked[1]):
        low, high = max(low, asked[0]), min(high, asked[1])
    return 0 if low <= 0 <= high else (low + high) // 2
