"""From sights and sections to flows: the same packet everywhere, what was done to it, and who answers whom. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from netkit.network.model import Topology
from netkit.tracing.sights import OTHERS, PROTOCOLS, Asking, Section, Sight
from netkit.tracing.values import Addresses, Flow, Hop, Packet, Question, Rule

CHATTER = {7946, 2377, 5353, 5355, 67, 68, 546, 547, 1900}  # gossip and raft of swarms, mDNS, LLMNR, DHCP, SSDP
NEIGHBOURS = {f"ICMP type {number}" for number in (*range(130, 138), 143)}  # listeners, routers and neighbours of IPv6
APART = 500_000_000  # ns within which reports of a packet arrive


class _Seen:
    """One packet while it is put together."""

    def __init__(self, sights: Sequence[Sight] = ()) -> None:
        self.sights = sights
        self.sections: list[Section] = []

    @property
    def first(self) -> Sight | Section:
        """The first that is known of it."""
        return (self.sights or self.sections)[0]

    @property
    def forms(self) -> set[Addresses]:
        """Every form of its addresses that was seen."""
        return {each.addresses for each in (*self.sights, *self.sections)}

    def calc_ties(self) -> set[Addresses]:
        """What ties it to others of its flow: those, but of an ICMP error the forms of what it is about."""
        if any(each.error for each in self.sights):
            return {each.about for each in self.sights if each.about}
        return self.forms


def calc_flows(sights: Iterable[Sight], sections: Iterable[Section], topology: Topology, begin: int, end: int) -> tuple[Flow, ...]:
    """The flows that began between two moments (ns since 1970), oldest first."""
    seen = [_Seen(group) for group in _calc_groups(sights, topology)]
    seen = sorted([*seen, *_attach(sections, seen)], key=lambda each: each.first.stamp)
    return tuple(_calc_flow(group, begin) for group in _calc_conversations(seen) if _belongs(group, begin, end))


def _calc_groups(sights: Iterable[Sight], topology: Topology) -> list[list[Sight]]:
    """The sights of each packet; one seen twice at one place, the same way, is two packets."""
    groups: list[list[Sight]] = []
    current: dict[tuple, list[Sight]] = {}
    for sight in sorted(sights, key=lambda each: (each.stamp, each.order)):
        hop = sight.hop
        if (hop.interface, hop.direction) == ("lo", "out"):
            continue  # the same moment as its way in
        group = current.get(sight.key)
        if group is None or any((each.hop.end, each.hop.direction) == (hop.end, hop.direction) for each in group):
            group = current[sight.key] = []
            groups.append(group)
        group.append(sight)
    return [kept for group in groups if (kept := _prune(group, topology))]


def _prune(group: list[Sight], topology: Topology) -> list[Sight]:
    """Without the copies a bridge sends to all its ports while it does not know which one is right."""
    stray = set()
    for sight in group:
        interface, is_out = topology.at(sight.hop.end), sight.hop.direction == "out"
        if interface is None or int(sight.destination_mac[:2] or "0", 16) & 1:
            continue
        if not is_out and sight.kind == OTHERS and not interface.master:
            stray |= {sight.hop.end, interface.peer}
        elif is_out and interface.peer and (peer := topology.at(interface.peer)) and not peer.master:
            # the other end may be in a host whose frames are counted, yet not be seen: judge by its address
            if peer.mac and peer.mac != sight.destination_mac:
                stray |= {sight.hop.end, interface.peer}
        elif is_out and interface.vxlan and not any(each.hop.tunnel for each in group):
            stray.add(sight.hop.end)
    return [each for each in group if each.hop.end not in stray]


def _attach(sections: Iterable[Section], seen: Sequence[_Seen]) -> list[_Seen]:
    """Give each section to the packet it is about; returns packets that were never seen, only reported."""
    index: dict[tuple, list[_Seen]] = defaultdict(list)
    for each in seen:
        for weak in {sight.weak for sight in each.sights}:
            index[weak].append(each)
    unseen: list[_Seen] = []
    for section in sections:
        candidates = [each for each in index[section.weak] if abs(each.first.stamp - section.stamp) < APART]
        best = min(candidates, key=lambda each: _calc_distance(each, section), default=None)
        if best is None:
            best = _Seen()
            index[section.weak].append(best)
            unseen.append(best)
        best.sections.append(section)
    return unseen


def _calc_distance(seen: _Seen, section: Section) -> tuple:
    forms, mine = seen.forms, section.addresses
    is_strange = {end for form in forms for end in _calc_ends(form)}.isdisjoint(_calc_ends(mine))
    is_here = any((each.hop.node, each.hop.namespace) == (section.node, section.namespace) for each in seen.sights)
    return (mine not in forms, is_strange, not is_here, abs(seen.first.stamp - section.stamp))


def _calc_ends(form: Addresses) -> tuple[tuple, tuple]:
    return (form.source, form.source_port), (form.destination, form.destination_port)


def _calc_conversations(seen: Iterable[_Seen]) -> list[list[_Seen]]:
    """Packets that share any form of their addresses, to and fro, the oldest first: those with a chain of forms between them."""
    nearer: dict[tuple, tuple] = {}

    def find(form: tuple) -> tuple:
        while (other := nearer.setdefault(form, form)) != form:
            form = other
        return form

    ties = []
    for each in seen:
        forms = [(each.first.flow, form.identifier, frozenset(_calc_ends(form))) for form in each.calc_ties()]
        nearer |= {find(form): find(forms[0]) for form in forms}
        ties += [(each, forms[0])] if forms else []
    groups: dict[tuple, list[_Seen]] = defaultdict(list)
    for each, form in ties:
        groups[find(form)].append(each)
    return list(groups.values())


def _belongs(group: list[_Seen], begin: int, end: int) -> bool:
    """Whether the command may have caused it: it began while that ran, and is no chatter of machines."""
    first, known = group[0].first, group[0]
    form = next(iter(known.calc_ties()))
    if not begin <= first.stamp <= end or {form.source_port, form.destination_port} & CHATTER or form.destination.is_multicast:
        return False
    if first.flow not in PROTOCOLS.values():
        return int(first.flow) not in (0, 2, 50)
    if not known.sights:
        return known.sections[-1].dropped is not None
    if first.what in NEIGHBOURS:
        return False
    if first.flow == "tcp":
        return first.what == "TCP SYN"
    if first.what in ("echo request", "echo reply"):
        return first.what == "echo request" and int.from_bytes(first.weak[4], "big") <= 1
    return not first.error or len(group) > 1 or first.flow == "udp"


def _calc_flow(group: list[_Seen], begin: int) -> Flow:
    sources = [{(form.source, form.source_port) for form in each.calc_ties()} for each in group]
    packets = [
        _calc_packet(each, begin, number > 0 and (bool(each.first.error) or sources[0].isdisjoint(sources[number])))
        for number, each in enumerate(group)
    ]
    return Flow(protocol=group[0].first.flow, addresses=packets[0].addresses, packets=tuple(packets))


def _calc_packet(seen: _Seen, begin: int, is_reply: bool) -> Packet:
    hops = [replace(each.hop, time=(each.stamp - begin) / 1000) for each in seen.sights]
    sections = sorted(seen.sections, key=lambda each: each.stamp)
    origin = _find_origin(hops, sections)
    rules: list[list[Rule]] = [[] for _ in range(len(hops) + 1)]
    for section in sections:
        rules[_find_slot(hops, section)] += section.rules
    previous, sent = origin, False
    for number, hop in enumerate(hops):
        # what was sent one way and comes in another was changed by somebody who was not seen
        differs = previous is not None and hop.addresses != previous and not (sent and hop.direction == "in")
        hops[number] = replace(hop, rules=tuple(rules[number]), before=previous if differs else None)
        previous, sent = hop.addresses, hop.direction == "out"
    first, dropped = seen.first, next((section.dropped for section in sections if section.dropped), None)
    told = {"protocol": first.protocol, "what": first.what, "error": first.error, "mtu": first.mtu, "addresses": origin or first.addresses}
    return Packet(**told, reply=is_reply, hops=tuple(hops), dropped=dropped, last=tuple(rules[-1]))


def _find_origin(hops: Sequence[Hop], sections: Sequence[Section]) -> Addresses | None:
    """The addresses a packet was given by its program, where NAT changed them before the first interface."""
    first = sections[0] if sections else None
    if first is None or first.inward:
        return None
    return first.addresses if not hops or (first.node, first.namespace) == (hops[0].node, hops[0].namespace) else None


def _find_slot(hops: Sequence[Hop], section: Section) -> int:
    """Before which hop the packet met these rules; after the last one if it went no further."""
    here = [number for number, hop in enumerate(hops) if (hop.node, hop.namespace) == (section.node, section.namespace)]
    if section.outward:
        for number in here:
            if hops[number].interface == section.outward and (hops[number].direction == "out" or section.outward == "lo"):
                return number
        # rewritten addresses may have led it elsewhere than it was bound for
        start = [number for number in here if hops[number].direction == "out" and not section.inward]
        return start[0] if start and start[0] == 0 else len(hops)
    came = [number for number in here if hops[number].direction == "in"]
    after = [number for number in came if hops[number].interface == section.inward] or came
    return after[-1] + 1 if after else len(hops)


def calc_questions(asked: Iterable[Asking], begin: int) -> tuple[Question, ...]:
    """Who was asked for by ARP and never answered, where the question began."""
    asked = sorted((each for each in asked if each.stamp >= begin), key=lambda each: each.stamp)
    answered = {each.source for each in asked if each.operation == 2}
    found: dict[object, Question] = {}
    for each in asked:
        target = each.question.target
        if each.operation == 1 and each.direction == "out" and target not in answered and each.source != target:
            found.setdefault(target, each.question)
    return tuple(found.values())
