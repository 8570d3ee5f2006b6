"""What became of a packet, in words a learner can act on. Pure."""

from __future__ import annotations

from netkit.network.model import Ip, Topology
from netkit.network.words import join, plain
from netkit.tracing.values import Flow, Hop, Packet, Question, Rule, TraceData
from netkit.tracing.words import Names, calc_main_flows, calc_rewrites, tell_end

ERRORS = {
    "port unreachable": "Nothing listens: {who} refused port {port}",
    "fragmentation needed": "Too big: {who} could not send it on, as the next link takes {mtu} bytes at most",
    "packet too big": "Too big: {who} could not send it on, as the next link takes {mtu} bytes at most",
    "network unreachable": "No route: {who} has none to {target}",
    "host unreachable": "{who} reported so",
    "prohibited": "Rejected: {who} forbids it",
    "time exceeded": "Its time to live ended at {who}",
    "unreachable": "{who} could not deliver it",
}


def tell_verdict(trace: TraceData) -> str:
    """A sentence for each thing that matters: where the packets got, who changed them, why there is no answer."""
    names = Names(trace)
    flows = calc_main_flows(trace)
    sentences = [sentence for flow in flows for sentence in _tell_flow(flow, trace, names)]
    if not flows:
        lines = (trace.output.stderr or trace.output.stdout).strip().splitlines()
        said = f'; it said "{plain(lines[-1].strip())}"' if lines and trace.output.status else ""
        silence = f"No packet of the command was seen{said}." if trace.missing else f"The command sent no packet{said}."
        sentences = [_tell_question(question, names) for question in trace.questions] or [silence]
    return " ".join(dict.fromkeys([*sentences, *tell_losses(trace)]))


def _tell_question(question: Question, names: Names) -> str:
    where = names.stack(question.node, question.namespace)
    interface = names.interface(question.node, question.namespace, question.interface)
    return f"No neighbour: {where} asked on {interface} who has {question.target} (ARP), and nobody answered."


def tell_losses(trace: TraceData) -> list[str]:
    """A sentence for each thing that was not seen, or is to be known of what was."""
    found = []
    if trace.lost:
        found.append(f"The capture is incomplete: {trace.lost} packet{'s were' if trace.lost > 1 else ' was'} lost.")
    if trace.truncated:
        found.append("The capture is incomplete: it ended before the command did.")
    return [*found, *(f"{note if note.startswith(trace.missing) else note[0].upper() + note[1:]}." for note in trace.notes)]


def _tell_flow(flow: Flow, trace: TraceData, names: Names) -> list[str]:
    sentences = [
        f"{names.stack(hop.node, hop.namespace)} changed the {rewrite.what} from {rewrite.was} to {rewrite.now} ({rewrite.by})."
        for hop in flow.first.hops
        for rewrite in calc_rewrites(hop, flow.first.reply)
    ]
    dropped = next((packet for packet in flow.packets if packet.dropped), None)
    error = next((packet for packet in flow.packets if packet.error), None)
    refused = next((packet for packet in flow.packets if packet.reply and packet.what.startswith("TCP RST")), None)
    if dropped:
        return [*sentences, f"The {dropped.what} was {tell_drop(dropped, names)}."]
    if error:
        return [*sentences, _tell_error(error, flow, trace, names)]
    if refused and flow.answer is refused:
        return [*sentences, f"Nothing listens: {_tell_source(refused, names)} refused port {flow.addresses.destination_port} (TCP RST)."]
    return [*sentences, _tell_ending(flow, trace, names)]


def tell_drop(packet: Packet, names: Names) -> str:
    """Who dropped a packet, in words that hold whichever rule an engine uses for it."""
    rule = packet.dropped
    where = names.stack(rule.node, rule.namespace)
    ends = (rule.inward, _find_way_out(packet, rule, names.topology))
    inward, outward = (name and names.interface(rule.node, rule.namespace, name) for name in ends)
    way = f"in by {inward}" if inward else f"out by {outward}" if outward else "out"
    way = f"from {inward} to {outward}" if inward and outward else way
    return f"dropped by the packet filter of {where} on its way {way}" + (f" ({names.rule(rule)})" if names.is_own(rule) else "")


def _find_way_out(packet: Packet, rule: Rule, topology: Topology) -> str:
    """The interface a packet was about to leave by: as the rule saw it, or else where its route leads to."""
    if rule.outward or not rule.inward:
        return rule.outward
    destination = (packet.hops[-1] if packet.hops else packet).addresses.destination
    node = topology.node(rule.node)
    stack = node and node.namespace(rule.namespace)
    if not stack or _has(topology, rule.node, rule.namespace, destination):
        return ""
    routes = [each for each in stack.routes if each.table == 254 and destination in each.destination]
    best = max(routes, key=lambda each: (each.destination.prefixlen, -each.metric), default=None)
    return best.interface or "" if best else ""


def _tell_source(packet: Packet, names: Names) -> str:
    """Where a packet began, by its address if that place was not seen."""
    hop = packet.hops[0] if packet.hops else None
    if hop is None or _came_from_afar(hop, names.topology):
        return str(packet.addresses.source)
    return names.stack(hop.node, hop.namespace)


def _came_from_afar(hop: Hop, topology: Topology) -> bool:
    """Whether a packet's first hop is not its beginning: it came in there, from an address of somebody else."""
    return hop.direction == "in" and not _has(topology, hop.node, hop.namespace, hop.addresses.source)


def _tell_error(packet: Packet, flow: Flow, trace: TraceData, names: Names) -> str:
    address, source = str(packet.addresses.source), _tell_source(packet, names)
    who = address if source == address else f"{source} ({address})"
    asked = [_tell_question(each, names) for each in trace.questions if packet.error == "host unreachable"]
    target, port = flow.addresses.destination, flow.addresses.destination_port
    told = ERRORS[packet.error].format(who=who, target=target, port=port, mtu=packet.mtu)
    return " ".join([*asked, f"{told} ({packet.what})."])


def _tell_ending(flow: Flow, trace: TraceData, names: Names) -> str:
    first, answer = flow.first, flow.answer
    if not first.hops:
        return f"The {first.what} never reached an interface."
    goal = first.hops[-1]
    arrived = is_there(goal, trace.topology)
    where, interface, _ = names.hop(goal)
    way = f"The {first.what} arrived at {where} ({tell_end(goal.addresses.destination, goal.addresses.destination_port)})"
    if not arrived and (answer is None or trace.missing):
        way = f"The {first.what} was last seen at {interface} of {where}"
    if answer is None and not arrived:
        asked = [_tell_question(each, names) for each in trace.questions if each.target == goal.addresses.destination]
        rest = "whether it arrived is not known" if trace.missing else "did not arrive anywhere in this lab"
        return asked[0] if asked else f"{way}, and {rest}."
    if answer is None:
        return f"{way}, and there was no answer."
    if trace.missing and _came_from_afar(first.hops[0], trace.topology):
        return f"{way}, and was answered; whether the answer came back is not known."
    last = answer.hops[-1] if answer.hops else None
    if last and (last.node, last.namespace) == (first.hops[0].node, first.hops[0].namespace):
        return f"{way}, and the answer came back."
    return f"{way}; the answer did not come back" + (f": it was last seen at {join(names.hop(last)[1::-1], 'of')}." if last else ".")


def is_there(hop: Hop, topology: Topology) -> bool:
    """Whether a hop is the end of the way: the packet came in where its destination is."""
    return hop.direction == "in" and _has(topology, hop.node, hop.namespace, hop.addresses.destination)


def _has(topology: Topology, node: str, namespace: str, address: Ip) -> bool:
    """Whether an address is one of a network namespace's own."""
    found = topology.node(node)
    stack = found and found.namespace(namespace)
    return address.is_loopback or (bool(stack) and any(each.ip == address for one in stack.interfaces for each in one.addresses))
