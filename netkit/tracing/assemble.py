"""From what the hosts captured to a trace: by one clock, the same packet everywhere, what was done to it, and who answers whom. Pure.

Hosts of a lab are one machine, and have one clock. Real machines have a clock each, which agree to some milliseconds
at best, and a packet is across within microseconds. Two things are known of a clock: when it was asked for the
time, its answer was given between the question and the answer's arrival; and whatever was sent by one host and
received by another was sent before it was received. The second is as fine as the network is fast, once packets
go both ways: the same four stamps as in NTP (RFC 5905, section 8).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from netkit.laboratory.remote import Result
from netkit.network.model import HOST, Topology
from netkit.tracing.sights import OTHERS, PROTOCOLS, Asking, Section, Sight, calc_sections, calc_sight
from netkit.tracing.values import Addresses, Flow, Hop, Packet, Question, Rule
from netkit.tracing.view import Trace

GONE = "a namespace that is gone"
CHATTER = {7946, 2377, 5353, 5355, 67, 68, 546, 547, 1900}  # gossip and raft of swarms, mDNS, LLMNR, DHCP, SSDP
NEIGHBOURS = {f"ICMP type {number}" for number in (*range(130, 138), 143)}  # listeners, routers and neighbours of IPv6
APART = 500_000_000  # ns within which reports of a packet arrive
Places = list[tuple[str, str, dict]]  # host, name of a namespace, what was captured in it


def build_trace(
    output: Result,
    answers: Mapping[str, dict],
    topology: Topology,
    begin: int,
    end: int,
    waiting: Collection[tuple] = (),
    missing: Mapping[str, str] | None = None,
) -> Trace:
    """The trace of a command that came to ``output`` from ``begin`` to ``end`` (ns since 1970); ``answers`` by host.

    ``waiting`` are those (node, namespace, address) that were being asked for already when it began; ``missing``
    says, by host, why what that one saw is not known.
    """
    missing = missing or {}
    names = {(node.name, each.inode): each.name for node, each in topology.namespaces()}
    found = ((host, number, place) for host, answer in answers.items() for number, place in enumerate(answer["places"]))
    places = [(host, names.get((host, place["inode"]), GONE if number else HOST), place) for host, number, place in found]
    seen = _read(places, {})
    offsets = calc_offsets(seen, {host: answer.get("clock", (0, 0)) for host, answer in answers.items()}, topology)
    seen = _read(places, offsets) if any(offsets.values()) else seen
    sections = [each for host, name, place in places for each in calc_sections(host, name, place, offsets[host])]
    sections.sort(key=lambda each: each.stamp)
    return Trace(
        command=output.command,
        node=output.node,
        output=output,
        topology=topology,
        flows=_calc_flows(seen, sections, topology, begin, end),
        lost=sum(place["drops"] for _, _, place in places),
        truncated=any(answer["truncated"] for answer in answers.values()),
        late=any(place.get("late") for _, _, place in places),
        questions=tuple(each for each in _calc_questions(seen, begin) if (each.node, each.namespace, each.target) not in waiting),
        notes=(*_find_notes(places), *missing.values()),
        missing=tuple(missing),
    )


def _read(places: Places, offsets: Mapping[str, int]) -> list[Sight | Asking]:
    """What was captured, by the clock of whoever asked, in the order of time."""
    read = (calc_sight(host, name, record, offsets.get(host, 0)) for host, name, place in places for record in place["frames"])
    return sorted((each for each in read if each), key=lambda each: each.stamp)


def _find_notes(places: Places) -> Iterator[str]:
    """What a reader has to know of how it was captured."""
    for host, name, place in places:
        if place["trouble"]:
            yield f"rules of {name} on {host} could not be traced: {place['trouble']}"
        if place.get("late"):
            yield f"{name} on {host} was made by the command, and captured in only after its interfaces were there"
    if any(place["unheard"] for _, _, place in places):
        yield "not every report of the packet filter was heard: rules of later packets may be missing"


def _calc_questions(seen: Iterable[Sight | Asking], begin: int) -> tuple[Question, ...]:
    """Who was asked for by ARP and never answered, where the question began."""
    asked = [each for each in seen if isinstance(each, Asking) and each.stamp >= begin]
    answered = {each.arp.source for each in asked if each.arp.operation == 2}
    found: dict[object, Question] = {}
    for each in asked:
        if each.arp.operation == 1 and each.direction == "out" and each.arp.target not in (each.arp.source, *answered):
            found.setdefault(each.arp.target, each.question)
    return tuple(found.values())


def calc_offsets(seen: Iterable[Sight | Asking], asked: Mapping[str, tuple[int, int]], topology: Topology) -> dict[str, int]:
    """By how much each host's clock is ahead of that of whoever asked, in ns; 0 wherever nothing proves otherwise.

    ``asked`` are the bounds by asking each host, both included, one number twice where it is known; a host whose clock is known
    best is taken first, and packets from and to it narrow down the others.
    """
    offsets = {host: low for host, (low, high) in asked.items() if low == high}
    unknown = sorted(asked.keys() - offsets, key=lambda name: (asked[name][1] - asked[name][0], name))
    crossings = list(_find_crossings(seen, topology)) if unknown else []
    for host in unknown:
        most = [received - sent + offsets[sender] for sender, sent, to, received in crossings if to == host and sender in offsets]
        least = [sent - received + offsets[to] for sender, sent, to, received in crossings if sender == host and to in offsets]
        # what packets allow, if a clock was set between asking and sending; else what both allow
        low, high = max(least, default=asked[host][0]), min(most, default=asked[host][1])
        if max(low, asked[host][0]) <= min(high, asked[host][1]):
            low, high = max(low, asked[host][0]), min(high, asked[host][1])
        offsets[host] = 0 if low <= 0 <= high else (low + high) // 2
    return offsets


def _find_crossings(seen: Iterable[Sight | Asking], topology: Topology) -> Iterator[tuple[str, int, str, int]]:
    """Sender, its stamp, receiver, its stamp, for whatever went from one host's card to another's."""
    hosts = {node.name: node.address for node in topology.nodes}
    cards = {end for end, each in topology.ends() if end.namespace == HOST and hosts[end.node] in [row.ip for row in each.addresses]}
    hops: dict[tuple, dict[str, list[Hop]]] = defaultdict(lambda: {"out": [], "in": []})
    for each in seen:
        if isinstance(each, Sight) and each.hop.end in cards:
            hops[each.key, each.hop.tunnel][each.hop.direction].append(each.hop)
    for found in hops.values():
        if len(found["out"]) == 1:  # of two that look the same, nobody knows which one arrived
            sent = found["out"][0]
            yield from ((sent.node, sent.stamp, each.node, each.stamp) for each in found["in"] if each.node != sent.node)


class _Seen:
    """One packet while it is put together."""

    def __init__(self, sights: Sequence[Sight], *sections: Section) -> None:
        self.sights, self.sections = sights, list(sections)

    @property
    def first(self) -> Sight | Section:
        """The first that is known of it."""
        return (self.sights or self.sections)[0]

    @property
    def forms(self) -> set[Addresses]:
        """Every form of its addresses that was seen."""
        return {each.addresses for each in (*self.sights, *self.sections)}

    @property
    def ties(self) -> set[Addresses]:
        """What ties it to others of its flow: those, but of an ICMP error the forms of what it is about."""
        return {each.about for each in self.sights if each.about} if self.first.error else self.forms


def _calc_flows(seen: Iterable[Sight | Asking], sections: Iterable[Section], topology: Topology, begin: int, end: int) -> tuple[Flow, ...]:
    """The flows that began between two moments (ns since 1970), oldest first."""
    packets = [_Seen(group) for group in _calc_groups(seen, topology)]
    packets = sorted([*packets, *_attach(sections, packets)], key=lambda each: each.first.stamp)
    return tuple(_calc_flow(group, begin) for group in _calc_conversations(packets) if _belongs(group, begin, end))


def _calc_groups(seen: Iterable[Sight | Asking], topology: Topology) -> list[list[Sight]]:
    """The sights of each packet; one seen twice at one place, the same way, is two packets."""
    groups: list[list[Sight]] = []
    current: dict[tuple, list[Sight]] = {}
    for sight in seen:
        # what the loopback sends comes in at the same moment
        if isinstance(sight, Asking) or (sight.hop.interface, sight.hop.direction) == ("lo", "out"):
            continue
        group = current.get(sight.key)
        if group is None or any((each.hop.end, each.hop.direction) == (sight.hop.end, sight.hop.direction) for each in group):
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
        # the other end may be in a host whose frames are counted, yet not be seen: judge by its address
        peer = topology.at(interface.peer) if is_out and interface.peer else None
        is_others = peer and peer.mac and not peer.master and peer.mac != sight.destination_mac
        if is_others or (not is_out and sight.kind == OTHERS and not interface.master):
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
        near = [each for each in index[section.weak] if abs(each.first.stamp - section.stamp) < APART]
        if near:
            min(near, key=lambda each: _calc_distance(each, section)).sections.append(section)
        else:
            unseen.append(_Seen((), section))
            index[section.weak].append(unseen[-1])
    return unseen


def _calc_distance(seen: _Seen, section: Section) -> tuple:
    forms, mine = seen.forms, section.addresses
    is_strange = {end for form in forms for end in form.ends}.isdisjoint(mine.ends)
    is_here = any(_is_within(each.hop, section) for each in seen.sights)
    return (mine not in forms, is_strange, not is_here, abs(seen.first.stamp - section.stamp))


def _is_within(hop: Hop, section: Section) -> bool:
    return (hop.node, hop.namespace) == (section.node, section.namespace)


def _calc_conversations(seen: Iterable[_Seen]) -> list[list[_Seen]]:
    """Packets that share any form of their addresses, to and fro, the oldest first: those with a chain of forms between them."""
    nearer: dict[tuple, tuple] = {}

    def find(form: tuple) -> tuple:
        while (other := nearer.setdefault(form, form)) != form:
            form = other
        return form

    ties = []
    for each in seen:
        forms = [(each.first.flow, form.identifier, frozenset(form.ends)) for form in each.ties]
        nearer |= {find(form): find(forms[0]) for form in forms}
        ties += [(each, forms[0])] if forms else []
    groups: dict[tuple, list[_Seen]] = defaultdict(list)
    for each, form in ties:
        groups[find(form)].append(each)
    return list(groups.values())


def _belongs(group: list[_Seen], begin: int, end: int) -> bool:
    """Whether the command may have caused it: it began while that ran, and is no chatter of machines."""
    first, known = group[0].first, group[0]
    form = next(iter(known.ties))
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
    began = {form.ends[0] for form in group[0].ties}
    packets = [_calc_packet(group[0], begin, False)]
    for each in group[1:]:
        packets.append(_calc_packet(each, begin, bool(each.first.error) or began.isdisjoint(form.ends[0] for form in each.ties)))
    return Flow(protocol=group[0].first.flow, addresses=packets[0].addresses, packets=tuple(packets))


def _calc_packet(seen: _Seen, begin: int, is_reply: bool) -> Packet:
    hops = [each.hop for each in seen.sights]
    # its program gave it other addresses where NAT changed them before the first interface
    begun = seen.sections and not seen.sections[0].inward and (not hops or _is_within(hops[0], seen.sections[0]))
    origin = seen.sections[0].addresses if begun else None
    rules: list[list[Rule]] = [[] for _ in range(len(hops) + 1)]
    for section in seen.sections:
        rules[_find_slot(hops, section)] += section.rules
    previous, sent = origin, False
    for number, hop in enumerate(hops):
        # what was sent one way and comes in another was changed by somebody who was not seen
        differs = previous is not None and hop.addresses != previous and not (sent and hop.direction == "in")
        time, before = (hop.stamp - begin) / 1000, previous if differs else None
        hops[number] = replace(hop, time=time, rules=tuple(rules[number]), before=before)
        previous, sent = hop.addresses, hop.direction == "out"
    first, dropped = seen.first, next((section.dropped for section in seen.sections if section.dropped), None)
    told = {"protocol": first.protocol, "what": first.what, "error": first.error, "mtu": first.mtu, "addresses": origin or first.addresses}
    return Packet(**told, reply=is_reply, hops=tuple(hops), dropped=dropped, last=tuple(rules[-1]))


def _find_slot(hops: Sequence[Hop], section: Section) -> int:
    """Before which hop the packet met these rules; after the last one if it went no further."""
    here = [number for number, hop in enumerate(hops) if _is_within(hop, section)]
    if section.outward:
        ways = ("in", "out") if section.outward == "lo" else ("out",)
        bound = [number for number in here if hops[number].interface == section.outward and hops[number].direction in ways]
        # rewritten addresses may have led it elsewhere than it was bound for
        is_first = here[:1] == [0] and hops[0].direction == "out" and not section.inward
        return [*bound, 0 if is_first else len(hops)][0]
    came = [number for number in here if hops[number].direction == "in"]
    after = [number for number in came if hops[number].interface == section.inward] or came
    return after[-1] + 1 if after else len(hops)
