"""What of a trace is told: of each flow the first packet, the answer to it, and what went wrong later. Pure."""

from __future__ import annotations

from netkit.network.model import End, Topology
from netkit.tracing.model import Flow, Hop, Packet, Trace

MOST = 6  # flows told hop by hop


def calc_told_hops(packet: Packet, topology: Topology) -> tuple[Hop, ...]:
    """The hops that are the same on every engine.

    Where bridges ask the packet filter (br_netfilter), one engine's rules drop a packet before its bridge hands it to the host,
    another's right after: that last hop is left out.
    """
    if packet.dropped and len(packet.hops) > 1:
        port, last = packet.hops[-2:]
        place = End(node=last.node, namespace=last.namespace, interface=last.interface)
        interface = topology.at(place)
        if interface and interface.kind == "bridge" and (port.namespace, port.direction, last.direction) == (last.namespace, "in", "in"):
            return packet.hops[:-1]
    return packet.hops


def calc_told_flows(trace: Trace) -> tuple[Flow, ...]:
    """The flows that are told; a flow that another one repeats (the same packets the same way) is told once."""
    kept: dict[tuple, Flow] = {}
    for flow in trace.flows:
        kept.setdefault(_calc_shape(flow), flow)
    return tuple(kept.values())[:MOST]


def _calc_shape(flow: Flow) -> tuple:
    """What makes two flows the same to a reader: the kinds of their first packets, and their ways."""
    return tuple(
        (packet.what, tuple((hop.place, hop.direction) for hop in packet.hops), packet.dropped) for packet in calc_told_packets(flow)
    )


def calc_told_packets(flow: Flow) -> tuple[Packet, ...]:
    """The first packet each way, and a later one only if it was dropped or is an error."""
    first, answer = flow.first, _find_answer(flow)
    told = [first] if answer is None else [first, answer]
    kinds = {(packet.what, packet.reply) for packet in told}
    for packet in flow.packets:
        if packet not in told and (packet.dropped or packet.error) and (packet.what, packet.reply) not in kinds:
            told.append(packet)
            kinds.add((packet.what, packet.reply))
    return tuple(told)


def _find_answer(flow: Flow) -> Packet | None:
    """The first packet the other way; that to the first question where a program asks for A and AAAA at once."""
    asked = flow.first.what.removeprefix("DNS query ")
    same = (
        packet for packet in flow.packets if packet.reply and packet.what.startswith("DNS answer") and packet.what.endswith(f" {asked}")
    )
    return next(same, flow.answer)


def calc_told(trace: Trace) -> tuple[Packet, ...]:
    """The told packets of all told flows."""
    return tuple(packet for flow in calc_told_flows(trace) for packet in calc_told_packets(flow))
