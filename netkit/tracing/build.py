"""From what the hosts captured to a trace. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from netkit.network.model import HOST, Topology
from netkit.tracing.clocks import calc_offsets
from netkit.tracing.model import Output, Trace
from netkit.tracing.recognise import calc_flows, calc_questions
from netkit.tracing.reports import Section, calc_sections
from netkit.tracing.sights import Asking, Sight, calc_sight

GONE = "a namespace that is gone"


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
    names = {(each.name, stack.inode): stack.name for each, stack in topology.stacks()}
    sights, sections, notes = [], [], []
    lost, unheard, late = 0, 0, False
    for host, answer in answers.items():
        if answer.get("blind"):
            notes.append(f"namespaces made on {host} meanwhile could not be heard of (see fs.inotify.max_user_instances)")
        for number, place in enumerate(answer["places"]):
            name = names.get((host, place["inode"]), HOST if number == 0 else GONE)
            records = [calc_sight(host, name, order, record) for order, record in enumerate(place["frames"])]
            sights += [each for each in records if each]
            sections += calc_sections(host, name, place)
            lost, unheard = lost + place["drops"], unheard + place["unheard"]
            if place["trouble"]:
                notes.append(f"rules of {name} on {host} could not be traced: {place['trouble']}")
            if place.get("late"):
                late = True
                notes.append(f"{name} on {host} was made by the command, and captured in only after its interfaces were there")
    if unheard:
        notes.append("not every report of the packet filter was heard: rules of later packets may be missing")
    asked = {host: answer.get("clock", (0, 0)) for host, answer in answers.items()}
    packets = [each for each in sights if isinstance(each, Sight)]
    askings = [each for each in sights if isinstance(each, Asking)]
    offsets = calc_offsets(packets, asked, topology)
    packets, askings, sections = ([_set_clock(each, offsets) for each in seen] for seen in (packets, askings, sections))
    return Trace(
        command=command,
        node=node,
        output=output,
        topology=topology,
        flows=calc_flows(packets, sorted(sections, key=lambda each: each.stamp), topology, begin, end),
        lost=lost,
        truncated=any(answer["truncated"] for answer in answers.values()),
        late=late,
        questions=tuple(each for each in calc_questions(askings, begin) if (each.node, each.namespace, each.target) not in waiting),
        notes=(*notes, *(missing or {}).values()),
        missing=tuple(missing or ()),
    )


def _set_clock(seen: Sight | Asking | Section, offsets: dict[str, int]) -> Sight | Asking | Section:
    """What was seen on a host, by the clock of whoever asked."""
    return replace(seen, stamp=seen.stamp - offsets[seen.node]) if offsets[seen.node] else seen
