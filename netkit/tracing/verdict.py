"""What became of a packet, in words a learner can act on. Pure."""

from __future__ import annotations

from netkit.network.model import Topology
from netkit.network.words import join, plain
from netkit.tracing.changes import calc_rewrites
from netkit.tracing.model import Flow, Hop, Ip, Packet, Question, Rule, Trace
from netkit.tracing.names import Names, tell_end
from netkit.tracing.path import calc_told_flows

DNS = 53


def tell_verdict(trace: Trace) -> str:
    """A sentence for each thing that matters: where the packets got, who changed them, why there is no answer."""
    names = Names(trace)
    flows = [flow for flow in calc_told_flows(trace) if DNS not in (flow.addresses.destination_port, flow.addresses.source_port)]
    flows = flows or list(calc_told_flows(trace))
    sentences = [sentence for flow in flows for sentence in _tell_flow(flow, trace, names)]
    if not flows:
        sentences += _tell_silence(trace, names)
    return " ".join(dict.fromkeys([*sentences, *tell_losses(trace)]))


def _tell_silence(trace: Trace, names: Names) -> list[str]:
    asked = [_tell_question(question, names) for question in trace.questions]
    if asked:
        return asked
    lines = (trace.output.stderr or trace.output.stdout).strip().splitlines()
    said = f'; it said "{plain(lines[-1].strip())}"' if lines and trace.output.status else ""
    return [f"No packet of the command was seen{said}." if trace.missing else f"The command sent no packet{said}."]


def _tell_question(question: Question, names: Names) -> str:
    where = names.stack(question.node, question.namespace)
    interface = names.interface(question.node, question.namespace, question.interface)
    return f"No neighbour: {where} asked on {interface} who has {question.target} (ARP), and nobody answered."


def tell_losses(trace: Trace) -> list[str]:
    """A sentence for each thing that was not seen, or is to be known of what was."""
    found = []
    if trace.lost:
        found.append(f"The capture is incomplete: {trace.lost} packet{'s were' if trace.lost > 1 else ' was'} lost.")
    if trace.truncated:
        found.append("The capture is incomplete: it ended before the command did.")
    return [*found, *(f"{note if note.startswith(trace.missing) else note[0].upper() + note[1:]}." for note in trace.notes)]


def _tell_flow(flow: Flow, trace: Trace, names: Names) -> list[str]:
    sentences = [*_tell_rewrites(flow.first, names)]
    dropped = next((packet for packet in flow.packets if packet.dropped), None)
    error = next((packet for packet in flow.packets if packet.error), None)
    refused = next((packet for packet in flow.packets if packet.reply and packet.what.startswith("TCP RST")), None)
    if dropped:
        return [*sentences, *_tell_dropped(dropped, names)]
    if error:
        return [*sentences, _tell_error(error, flow, trace, names)]
    if refused and flow.answer is refused:
        return [*sentences, f"Nothing listens: {_tell_source(refused, names)} refused port {flow.addresses.destination_port} (TCP RST)."]
    return [*sentences, _tell_ending(flow, trace, names)]


def _tell_rewrites(packet: Packet, names: Names) -> list[str]:
    return [
        f"{names.stack(hop.node, hop.namespace)} changed the {rewrite.what} from {rewrite.was} to {rewrite.now} ({rewrite.by})."
        for hop in packet.hops
        for rewrite in calc_rewrites(hop, packet.reply)
    ]


def tell_drop(packet: Packet, names: Names) -> str:
    """Who dropped a packet, in words that hold whichever rule an engine uses for it."""
    rule = packet.dropped
    where = names.stack(rule.node, rule.namespace)
    inward, outward = (
        name and names.interface(rule.node, rule.namespace, name) for name in (rule.inward, find_way_out(packet, rule, names.topology))
    )
    if inward and outward:
        way = f"from {inward} to {outward}"
    elif inward:
        way = f"in by {inward}"
    else:
        way = f"out by {outward}" if outward else "out"
    return f"dropped by the packet filter of {where} on its way {way}" + (f" ({names.rule(rule)})" if names.is_own(rule) else "")


def find_way_out(packet: Packet, rule: Rule, topology: Topology) -> str:
    """The interface a packet was about to leave by: as the rule saw it, or else where its route leads to."""
    if rule.outward or not rule.inward:
        return rule.outward
    destination = packet.hops[-1].addresses.destination if packet.hops else packet.addresses.destination
    node = topology.node(rule.node)
    stack = node and node.namespace(rule.namespace)
    if not stack or any(address.ip == destination for each in stack.interfaces for address in each.addresses):
        return ""
    routes = [
        each
        for each in stack.routes
        if each.table == 254 and each.destination.version == destination.version and destination in each.destination
    ]
    best = max(routes, key=lambda each: (each.destination.prefixlen, -each.metric), default=None)
    return best.interface or "" if best else ""


def _tell_dropped(packet: Packet, names: Names) -> list[str]:
    return [f"The {packet.what} was {tell_drop(packet, names)}."]


def _tell_source(packet: Packet, names: Names) -> str:
    """Where a packet began, by its address if that place was not seen."""
    hop = packet.hops[0] if packet.hops else None
    if hop is None or _came_from_afar(hop, names.topology):
        return str(packet.addresses.source)
    return names.stack(hop.node, hop.namespace)


def _came_from_afar(hop: Hop, topology: Topology) -> bool:
    """Whether a packet's first hop is not its beginning: it came in there, from an address of somebody else."""
    return hop.direction == "in" and not _has(topology, hop.node, hop.namespace, hop.addresses.source)


def _tell_error(packet: Packet, flow: Flow, trace: Trace, names: Names) -> str:
    address, source = str(packet.addresses.source), _tell_source(packet, names)
    who = address if source == address else f"{source} ({address})"
    target = flow.addresses.destination
    match packet.error:
        case "port":
            return f"Nothing listens: {who} refused port {flow.addresses.destination_port} (ICMP port unreachable)."
        case "too-big":
            return f"Too big: {who} could not send it on, as the next link takes {packet.mtu} bytes at most (ICMP fragmentation needed)."
        case "net":
            return f"No route: {who} has none to {target} (ICMP network unreachable)."
        case "host":
            asked = [_tell_question(each, names) for each in trace.questions]
            return " ".join([*asked, f"{who} reported so (ICMP host unreachable)."])
        case "prohibited":
            return f"Rejected: {who} forbids it (ICMP prohibited)."
        case "ttl":
            return f"Its time to live ended at {who} (ICMP time exceeded)."
    return f"{who} could not deliver it (ICMP unreachable)."


def _tell_ending(flow: Flow, trace: Trace, names: Names) -> str:
    first, answer = flow.first, flow.answer
    if not first.hops:
        return f"The {first.what} never reached an interface."
    goal = first.hops[-1]
    arrived = is_there(goal, trace.topology)
    where, interface, _ = names.hop(goal)
    way = f"arrived at {where} ({tell_end(goal.addresses.destination, goal.addresses.destination_port)})"
    if not arrived and (answer is None or trace.missing):
        way = f"was last seen at {interface} of {where}"
    if answer is None and not arrived:
        asked = [each for each in trace.questions if each.target == goal.addresses.destination]
        if asked:
            return _tell_question(asked[0], names)
        rest = "whether it arrived is not known" if trace.missing else "did not arrive anywhere in this lab"
        return f"The {first.what} {way}, and {rest}."
    if answer is None:
        return f"The {first.what} {way}, and there was no answer."
    if trace.missing and _came_from_afar(first.hops[0], trace.topology):
        return f"The {first.what} {way}, and was answered; whether the answer came back is not known."
    if not answer.hops or (answer.hops[-1].node, answer.hops[-1].namespace) != (first.hops[0].node, first.hops[0].namespace):
        return f"The {first.what} {way}; the answer did not come back" + (
            f": it was last seen at {join(names.hop(answer.hops[-1])[1::-1], 'of')}." if answer.hops else "."
        )
    return f"The {first.what} {way}, and the answer came back."


def is_there(hop: Hop, topology: Topology) -> bool:
    """Whether a hop is the end of the way: the packet came in where its destination is."""
    return hop.direction == "in" and _has(topology, hop.node, hop.namespace, hop.addresses.destination)


def _has(topology: Topology, node: str, namespace: str, address: Ip) -> bool:
    found = topology.node(node)
    stack = found and found.namespace(namespace)
    if address.is_loopback:
        return True
    return bool(stack) and any(each.ip == address for interface in stack.interfaces for each in interface.addresses)
