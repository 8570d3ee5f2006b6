"""From sights and reports to flows: the same packet everywhere, what was done to it, and who answers whom. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from netkit.network.model import End, Topology
from netkit.tracing.model import Addresses, Flow, Hop, Packet, Question, Rule
from netkit.tracing.reports import Section
from netkit.tracing.sights import OTHERS, PROTOCOLS, Asking, Sight

CHATTER = {7946, 2377, 5353, 5355, 67, 68, 546, 547, 1900}  # gossip and raft of swarms, mDNS, LLMNR, DHCP, SSDP
NEIGHBOURS = {"ICMP type 133", "ICMP type 134", "ICMP type 135", "ICMP type 136", "ICMP type 137", "ICMP type 130", "ICMP type 131"}
NEIGHBOURS |= {"ICMP type 132", "ICMP type 143"}
APART = 500_000_000  # ns within which reports of a packet arrive
ECHO = {"icmp": 8, "icmpv6": 128}


class _Seen:
    """One packet while it is put together."""

    def __init__(self, sights: list[Sight]) -> None:
        self.sights = sights
        self.sections: list[Section] = []

    @property
    def stamp(self) -> int:
        return self.sights[0].stamp if self.sights else self.sections[0].stamp

    def tuples(self) -> set[Addresses]:
        """Every form of its addresses; of an ICMP error, those of the packet it is about."""
        if any(each.error for each in self.sights):
            return {each.about for each in self.sights if each.about}
        return {each.addresses for each in self.sights} | {each.addresses for each in self.sections}


def calc_flows(sights: Iterable[Sight], sections: Iterable[Section], topology: Topology, begin: int, end: int) -> tuple[Flow, ...]:
    """The flows that began between two moments (ns since 1970), oldest first."""
    seen = [_Seen(group) for group in _calc_groups(sights, topology)]
    seen += _attach(sections, seen)
    seen.sort(key=lambda each: each.stamp)
    flows = (_calc_flow(group, begin) for group in _calc_conversations(seen) if _belongs(group, begin, end))
    return tuple(flow for flow in flows if flow.packets)


def _calc_groups(sights: Iterable[Sight], topology: Topology) -> list[list[Sight]]:
    """The sights of each packet; one seen twice at one place, the same way, is two packets."""
    groups: list[list[Sight]] = []
    current: dict[tuple, list[Sight]] = {}
    for sight in sorted(sights, key=lambda each: (each.stamp, each.order)):
        if sight.interface == "lo" and sight.direction == "out":
            continue  # the same moment as its way in
        group = current.get(sight.key)
        place = (sight.node, sight.namespace, sight.interface, sight.direction)
        if group is None or any((each.node, each.namespace, each.interface, each.direction) == place for each in group):
            group = current[sight.key] = []
            groups.append(group)
        group.append(sight)
    return [kept for group in groups if (kept := _prune(group, topology))]


def _prune(group: list[Sight], topology: Topology) -> list[Sight]:
    """Without the copies a bridge sends to all its ports while it does not know which one is right."""
    stray = set()
    for sight in group:
        end = End(node=sight.node, namespace=sight.namespace, interface=sight.interface)
        interface = topology.at(end)
        if interface is None or int(sight.destination_mac[:2] or "0", 16) & 1:
            continue
        if sight.direction == "in" and sight.kind == OTHERS and not interface.master:
            stray |= {end, interface.peer}
        elif sight.direction == "out" and interface.peer and (peer := topology.at(interface.peer)) and not peer.master:
            # the other end may be in a host whose frames are counted, yet not be seen: judge by its address
            if peer.mac and peer.mac != sight.destination_mac:
                stray |= {end, interface.peer}
        elif sight.direction == "out" and interface.vxlan and not any(each.tunnel for each in group):
            stray.add(end)
    return [each for each in group if End(node=each.node, namespace=each.namespace, interface=each.interface) not in stray]


def _attach(sections: Iterable[Section], seen: Sequence[_Seen]) -> list[_Seen]:
    """Give each section to the packet it is about; returns packets that were never seen, only reported."""
    index: dict[tuple, list[_Seen]] = defaultdict(list)
    for each in seen:
        for weak in {sight.weak for sight in each.sights}:
            index[weak].append(each)
    unseen: list[_Seen] = []
    for section in sections:
        candidates = [each for each in index[section.weak] if abs(each.stamp - section.stamp) < APART]
        best = min(candidates, key=lambda each: _calc_distance(each, section), default=None)
        if best is None:
            best = _Seen([])
            index[section.weak].append(best)
            unseen.append(best)
        best.sections.append(section)
    return unseen


def _calc_distance(seen: _Seen, section: Section) -> tuple:
    forms = {each.addresses for each in seen.sights} | {each.addresses for each in seen.sections}
    ends = {(form.source, form.source_port) for form in forms} | {(form.destination, form.destination_port) for form in forms}
    mine = {(section.addresses.source, section.addresses.source_port), (section.addresses.destination, section.addresses.destination_port)}
    here = any((each.node, each.namespace) == (section.node, section.namespace) for each in seen.sights)
    return (section.addresses not in forms, not mine & ends, not here, abs(seen.stamp - section.stamp))


def _normal(form: Addresses, protocol: str) -> tuple:
    ends = sorted([(str(form.source), form.source_port or 0), (str(form.destination), form.destination_port or 0)])
    return (protocol, form.identifier, *ends)


def _protocol(seen: _Seen) -> str:
    if seen.sights:
        sight = seen.sights[0]
        if sight.error and sight.about:  # an error goes with what it is about
            ports, version = sight.about.source_port is not None, sight.about.source.version
            quoted = sight.key[-1][1] if isinstance(sight.key[-1], tuple) and len(sight.key[-1]) > 1 else 0
            return PROTOCOLS.get(quoted, "udp" if ports else "icmp" if version == 4 else "icmpv6")
        return sight.protocol
    return PROTOCOLS.get(seen.sections[0].protocol, str(seen.sections[0].protocol))


def _calc_conversations(seen: Iterable[_Seen]) -> list[list[_Seen]]:
    """Packets that share any form of their addresses, to and fro."""
    owner: dict[tuple, list[_Seen]] = {}
    groups: list[list[_Seen]] = []
    for each in seen:
        forms = {_normal(form, _protocol(each)) for form in each.tuples()}
        found = []
        for form in forms:
            group = owner.get(form)
            if group is not None and not any(group is other for other in found):
                found.append(group)
        group = found[0] if found else []
        if not found:
            groups.append(group)
        for other in found[1:]:
            group += other
            groups = [kept for kept in groups if kept is not other]
            for form, value in owner.items():
                if value is other:
                    owner[form] = group
        group.append(each)
        for form in forms:
            owner[form] = group
    for group in groups:
        group.sort(key=lambda each: each.stamp)
    return sorted(groups, key=lambda group: group[0].stamp)


def _belongs(group: list[_Seen], begin: int, end: int) -> bool:
    """Whether the command may have caused it: it began while that ran, and is no chatter of machines."""
    first = group[0]
    if first.stamp < begin or first.stamp > end:
        return False
    form = next(iter(first.tuples()), None)
    if form is None or {form.source_port, form.destination_port} & CHATTER or form.destination.is_multicast:
        return False
    protocol = _protocol(first)
    if protocol not in ("tcp", "udp", "icmp", "icmpv6"):
        return protocol.isdecimal() and int(protocol) not in (0, 2, 50)
    if not first.sights:
        return first.sections[-1].dropped is not None
    sight = first.sights[0]
    if sight.what in NEIGHBOURS:
        return False
    if protocol == "tcp":
        return sight.what == "TCP SYN"
    if sight.what in ("echo request", "echo reply"):
        return sight.what == "echo request" and int.from_bytes(sight.weak[4], "big") <= 1
    return not sight.error or len(group) > 1 or _protocol(first) == "udp"


def _calc_flow(group: list[_Seen], begin: int) -> Flow:
    first = group[0]
    sources = {(form.source, form.source_port) for form in first.tuples()}
    packets = tuple(_calc_packet(each, sources, begin, each is first) for each in group)
    return Flow(protocol=_protocol(first), addresses=packets[0].addresses, packets=packets)


def _calc_packet(seen: _Seen, sources: set, begin: int, is_first: bool) -> Packet:
    hops = [_calc_hop(each, begin) for each in seen.sights]
    sections = sorted(seen.sections, key=lambda each: each.stamp)
    origin = _find_origin(hops, sections)
    hops = _calc_changes(hops, origin)
    rules: list[list[Rule]] = [[] for _ in range(len(hops) + 1)]
    for section in sections:
        rules[_find_slot(hops, section)] += section.rules
    hops = [replace(hop, rules=tuple(met)) for hop, met in zip(hops, rules, strict=False)]
    sight = seen.sights[0] if seen.sights else None
    addresses = origin or (hops[0].addresses if hops else sections[0].addresses)
    forms = {(form.source, form.source_port) for form in seen.tuples()}
    error = sight.error if sight else ""
    return Packet(
        protocol=sight.protocol if sight else PROTOCOLS.get(sections[0].protocol, str(sections[0].protocol)),
        what=sight.what if sight else _tell_unseen(sections[0]),
        reply=not is_first and (bool(error) or not (forms & sources)),
        addresses=addresses,
        hops=tuple(hops),
        dropped=next((section.dropped for section in sections if section.dropped), None),
        last=tuple(rules[-1]),
        error=error,
        mtu=sight.mtu if sight else None,
    )


def _tell_unseen(section: Section) -> str:
    protocol = PROTOCOLS.get(section.protocol, "")
    if protocol in ECHO:
        return "echo request" if section.weak[3][0] == ECHO[protocol] else "ICMP packet"
    if protocol == "tcp":
        return "TCP SYN" if section.weak[4] == 2 else "TCP packet"
    return {"udp": "UDP datagram"}.get(protocol, "packet")


def _calc_hop(sight: Sight, begin: int) -> Hop:
    return Hop(
        node=sight.node,
        namespace=sight.namespace,
        interface=sight.interface,
        direction=sight.direction,
        time=(sight.stamp - begin) / 1000,
        addresses=sight.addresses,
        ttl=sight.ttl,
        tunnel=sight.tunnel,
        length=len(sight.frame),
        frame=sight.frame,
        stamp=sight.stamp,
    )


def _find_origin(hops: list[Hop], sections: list[Section]) -> Addresses | None:
    """The addresses a packet was given by its program, where NAT changed them before the first interface."""
    first = sections[0] if sections else None
    if first is None or first.inward:
        return None
    return first.addresses if not hops or (first.node, first.namespace) == (hops[0].node, hops[0].namespace) else None


def _calc_changes(hops: list[Hop], origin: Addresses | None) -> list[Hop]:
    changed, previous, sent = [], origin, False
    for hop in hops:
        # what was sent one way and comes in another was changed by somebody who was not seen
        differs = previous is not None and hop.addresses != previous and not (sent and hop.direction == "in")
        changed.append(replace(hop, before=previous) if differs else hop)
        previous, sent = hop.addresses, hop.direction == "out"
    return changed


def _find_slot(hops: list[Hop], section: Section) -> int:
    """Before which hop the packet met these rules; after the last one if it went no further."""
    here = [number for number, hop in enumerate(hops) if (hop.node, hop.namespace) == (section.node, section.namespace)]
    if section.outward:
        for number in here:
            if hops[number].interface == section.outward and (hops[number].direction == "out" or section.outward == "lo"):
                return number
        # rewritten addresses may have led it elsewhere than it was bound for
        start = [number for number in here if hops[number].direction == "out" and not section.inward]
        return start[0] if start and start[0] == 0 else len(hops)
    after = [number for number in here if hops[number].interface == section.inward and hops[number].direction == "in"]
    after = after or [number for number in here if hops[number].direction == "in"]
    return after[-1] + 1 if after else len(hops)


def calc_questions(asked: Iterable[Asking], begin: int) -> tuple[Question, ...]:
    """Who was asked for by ARP and never answered, where the question began."""
    asked = sorted((each for each in asked if each.stamp >= begin), key=lambda each: each.stamp)
    answered = {each.source for each in asked if each.operation == 2}
    found = {}
    for each in asked:
        if each.operation == 1 and each.direction == "out" and each.target not in answered and each.source != each.target:
            found.setdefault(each.target, Question(node=each.node, namespace=each.namespace, interface=each.interface, target=each.target))
    return tuple(found.values())
