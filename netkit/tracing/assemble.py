"""From what the hosts captured to a trace, by one clock. Pure.

Hosts of a lab are one machine, and have one clock. Real machines have a clock each, which agree to some milliseconds
at best, and a packet is across within microseconds. Two things are known of a clock: when it was asked for the
time, its answer was given between the question and the answer's arrival; and whatever was sent by one host and
received by another was sent before it was received. The second is as fine as the network is fast, once packets
go both ways: the same four stamps as in NTP (RFC 5905, section 8).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from netkit.network.model import HOST, Topology
from netkit.tracing.recognise import calc_flows, calc_questions
from netkit.tracing.sights import Asking, Section, Sight, calc_sections, calc_sight
from netkit.tracing.values import Output
from netkit.tracing.view import Trace

GONE = "a namespace that is gone"
Interval = tuple[int, int]  # ns, both ends included
Places = list[tuple[str, str, dict]]  # host, name of a namespace, what was captured in it


def build_trace(
    command: str,
    node: str,
    output: Output,
    answers: dict[str, dict],
    topology: Topology,
    begin: int,
    end: int,
    waiting: Collection[tuple] = (),
    missing: Mapping[str, str] | None = None,
) -> Trace:
    """The trace of a command that ran on ``node`` from ``begin`` to ``end`` (ns since 1970); ``answers`` by host.

    ``waiting`` are those (node, namespace, address) that were being asked for already when it began; ``missing``
    says, by host, why what that one saw is not known.
    """
    missing = missing or {}
    names = {(each.name, stack.inode): stack.name for each, stack in topology.stacks()}
    places = [
        (host, names.get((host, place["inode"]), GONE if number else HOST), place)
        for host, answer in answers.items()
        for number, place in enumerate(answer["places"])
    ]
    sights, askings, sections = _read(places, {})
    asked = {host: answer.get("clock", (0, 0)) for host, answer in answers.items()}
    offsets = calc_offsets(sights, asked, topology)
    if any(offsets.values()):
        sights, askings, sections = _read(places, offsets)
    questions = calc_questions(askings, begin)
    return Trace(
        command=command,
        node=node,
        output=output,
        topology=topology,
        flows=calc_flows(sights, sections, topology, begin, end),
        lost=sum(place["drops"] for _, _, place in places),
        truncated=any(answer["truncated"] for answer in answers.values()),
        late=any(place.get("late") for _, _, place in places),
        questions=tuple(each for each in questions if (each.node, each.namespace, each.target) not in waiting),
        notes=(*_find_notes(places, answers), *missing.values()),
        missing=tuple(missing),
    )


def _read(places: Places, offsets: Mapping[str, int]) -> tuple[list[Sight], list[Asking], list[Section]]:
    """What was captured, by the clock of whoever asked."""
    seen, sections = [], []
    for host, name, place in places:
        ahead = offsets.get(host, 0)
        seen += [calc_sight(host, name, order, record, ahead) for order, record in enumerate(place["frames"])]
        sections += calc_sections(host, name, place, ahead)
    sights, askings = ([each for each in seen if isinstance(each, kind)] for kind in (Sight, Asking))
    return sights, askings, sorted(sections, key=lambda each: each.stamp)


def _find_notes(places: Places, answers: Mapping[str, dict]) -> Iterator[str]:
    """What a reader has to know of how it was captured."""
    for host, answer in answers.items():
        if answer.get("blind"):
            yield f"namespaces made on {host} meanwhile could not be heard of (see fs.inotify.max_user_instances)"
        for _, name, place in (each for each in places if each[0] == host):
            if place["trouble"]:
                yield f"rules of {name} on {host} could not be traced: {place['trouble']}"
            if place.get("late"):
                yield f"{name} on {host} was made by the command, and captured in only after its interfaces were there"
    if any(place["unheard"] for _, _, place in places):
        yield "not every report of the packet filter was heard: rules of later packets may be missing"


def calc_offsets(sights: Iterable[Sight], asked: Mapping[str, Interval], topology: Topology) -> dict[str, int]:
    """By how much each host's clock is ahead of that of whoever asked, in ns; 0 wherever nothing proves otherwise.

    ``asked`` are the bounds by asking each host, one number twice where it is known; a host whose clock is known
    best is taken first, and packets from and to it narrow down the others.
    """
    offsets = {host: low for host, (low, high) in asked.items() if low == high}
    unknown = sorted(asked.keys() - offsets, key=lambda name: (asked[name][1] - asked[name][0], name))
    crossings = list(_find_crossings(sights, topology)) if unknown else []
    for host in unknown:
        most = [received - sent + offsets[sender] for sender, sent, to, received in crossings if to == host and sender in offsets]
        least = [sent - received + offsets[to] for sender, sent, to, received in crossings if sender == host and to in offsets]
        # what packets allow, if a clock was set between asking and sending; else what both allow
        low, high = max(least, default=asked[host][0]), min(most, default=asked[host][1])
        if max(low, asked[host][0]) <= min(high, asked[host][1]):
            low, high = max(low, asked[host][0]), min(high, asked[host][1])
        offsets[host] = 0 if low <= 0 <= high else (low + high) // 2
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
    seen: dict[tuple, dict[str, list]] = defaultdict(lambda: {"out": [], "in": []})
    for sight in sights:
        if sight.hop.namespace == HOST and (sight.hop.node, sight.hop.interface) in cards:
            seen[sight.key, sight.hop.tunnel][sight.hop.direction].append(sight.hop)
    for hops in seen.values():
        if len(hops["out"]) == 1:  # of two that look the same, nobody knows which one arrived
            sent = hops["out"][0]
            yield from ((sent.node, sent.stamp, each.node, each.stamp) for each in hops["in"] if each.node != sent.node)
