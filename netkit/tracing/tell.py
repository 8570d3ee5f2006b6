"""A trace in words, the same on every run: what things are called, what was changed, and what became of the packets. Pure."""

from __future__ import annotations

import re

from netkit.network.model import DRAWN_BRIDGE, DRAWN_VETH, HOST, Ip, NetworkNamespace, calc_container_names, calc_names
from netkit.network.words import join, plain, tell_namespace
from netkit.tracing.values import Addresses, Flow, Hop, Packet, Question, Rule, TraceData

EPHEMERAL = 32768  # net.ipv4.ip_local_port_range begins here
RESOLVER = "127.0.0.11"
ENGINE = re.compile(r"DOCKER(?!-USER)|docker|br-|veth")  # in rules that are an engine's own
AUTHORS = {"source": ("MASQUERADE", "SNAT"), "destination": ("DNAT", "REDIRECT")}
ERRORS = {
    "port unreachable": "Nothing listens: {who} refused port {port}",
    "fragmentation needed": "Too big: {who} could not send it on, as the next link takes {mtu} bytes at most",
    "network unreachable": "No route: {who} has none to {target}",
    "host unreachable": "{who} reported so",
    "prohibited": "Rejected: {who} forbids it",
    "time exceeded": "Its time to live ended at {who}",
    "unreachable": "{who} could not deliver it",
}
ERRORS["packet too big"] = ERRORS["fragmentation needed"]  # as IPv6 says it


class Names:
    """What the network namespaces, interfaces and rules of one trace are called, and what is where."""

    def __init__(self, trace: TraceData) -> None:
        self.trace, self.topology = trace, trace.topology
        self._several = len({hop.node for packet in trace.told_packets for hop in packet.hops if hop.namespace != HOST}) > 1
        self._namespaces = {(node.name, each.name): each for node, each in self.topology.namespaces()}
        self._interfaces = {(node.name, each.name): calc_names(node, each) for node, each in self.topology.namespaces()}
        self._containers = {node.name: calc_container_names(node) for node in self.topology.nodes}

    def namespace(self, at: Hop | Rule | Question) -> str:
        """ "node1", "container web", or "container c2 on node2" where several nodes are told of."""
        kind, _, title = at.namespace.partition(" ")
        name = f"container {self._containers.get(at.node, {}).get(title, title)}" if kind == "container" else at.namespace
        return tell_namespace(name, at.node) + (f" on {plain(at.node)}" if self._several and name != HOST else "")

    def interface(self, at: Hop | Rule | Question, name: str) -> str:
        """An interface there, by what it is if its name is random."""
        known = self._interfaces.get((at.node, at.namespace), {})
        if name in known:
            return plain(known[name])
        gone = "veth" if at.namespace == HOST and DRAWN_VETH.fullmatch(name) else "bridge" if DRAWN_BRIDGE.fullmatch(name) else ""
        return f"a {gone} that is gone" if gone else plain(name) or "an interface that is gone"

    def hop(self, hop: Hop) -> tuple[str, str, str]:
        """Where, on which interface, which way."""
        return self.namespace(hop), self.interface(hop, hop.interface), hop.direction

    def rule(self, rule: Rule) -> str:
        """The rule as the machine has it, interfaces by telling names."""
        known = self._interfaces.get((rule.node, rule.namespace), {})
        text = re.sub(r"(127\.0\.0\.11:|--sport )\d+", r"\1…", rule.text) if RESOLVER in rule.text else rule.text
        return re.sub(r"\b(?:veth|br-)[0-9a-f]+\b", lambda match: known.get(match[0], match[0]), text)

    def find(self, at: Hop | Rule) -> NetworkNamespace | None:
        """The network namespace there, or None if the topology does not have it."""
        return self._namespaces.get((at.node, at.namespace))

    def has(self, at: Hop | Rule, address: Ip) -> bool:
        """Whether an address is one of the network namespace's own."""
        found = self.find(at)
        return address.is_loopback or any(each.ip == address for one in (found.interfaces if found else ()) for each in one.addresses)

    def is_goal(self, hop: Hop) -> bool:
        """Whether a hop is the end of the way: the packet came in where its destination is."""
        return hop.direction == "in" and self.has(hop, hop.addresses.destination)

    def is_from_afar(self, hop: Hop) -> bool:
        """Whether a packet's first hop is not its beginning: it came in there, from an address of somebody else."""
        return hop.direction == "in" and not self.has(hop, hop.addresses.source)


def tell_end(address: Ip, port: int | None) -> str:
    """ "172.17.0.2", "172.17.0.2:80", "172.17.0.2:…" for a random port."""
    if port is None:
        return str(address)
    where = f"[{address}]" if address.version == 6 else str(address)
    return f"{where}:{'…' if port >= EPHEMERAL else port}"


def tell_way(addresses: Addresses) -> str:
    """ "172.17.0.2 → 172.17.0.3"."""
    return " → ".join(tell_end(*end) for end in addresses.ends)


def tell_wrapping(hop: Hop) -> str:
    """The tunnel that a packet is in, or how long it may live."""
    return f"in VXLAN {hop.tunnel.vni}, {hop.tunnel.source} → {hop.tunnel.destination}" if hop.tunnel else f"TTL {hop.ttl}"


def calc_rewrites(hop: Hop, reply: bool) -> list[tuple[str, str, str, str]]:
    """What a machine rewrote of a packet's addresses on the way to this hop: which of them, from what, to what, and by whose order."""
    old, new = hop.before or hop.addresses, hop.addresses
    found = []
    for (what, targets), was, now in zip(AUTHORS.items(), old.ends, new.ends, strict=True):
        if was != now:
            told = (tell_end(*was), tell_end(*now))
            if told[0] == told[1]:
                told = (str(was[0]), f"{now[0]} with another port")
            # the target that did it, if a rule of this packet was one; else the connection, which remembers
            rules = ((each, rule.text) for rule in hop.rules for each in targets)
            by = next(
                (each for each, text in rules if f"-j {each}" in text or each.lower() in text.split()), "NAT undone" if reply else "NAT"
            )
            found.append((what, *told, by.replace("MASQUERADE", "masquerade")))
    if not found and old.identifier != new.identifier:
        found.append(("identifier", "one", "another", "connection tracking"))
    return found


def tell_rewrites(hop: Hop, reply: bool) -> list[str]:
    """What a machine rewrote on the way to this hop: "source 172.17.0.2 → 192.168.59.1 (masquerade)"."""
    return [f"{what} {was} → {now} ({by})" for what, was, now, by in calc_rewrites(hop, reply)]


def tell_verdict(trace: TraceData) -> str:
    """A sentence for each thing that matters: where the packets got, who changed them, why there is no answer."""
    names, flows = Names(trace), trace.main_flows
    sentences = [sentence for flow in flows for sentence in (*_tell_rewrites(flow.first, names), _tell_outcome(flow, names))]
    if not flows:
        lines = (trace.output.stderr or trace.output.stdout).strip().splitlines()
        said = f'; it said "{plain(lines[-1].strip())}"' if lines and trace.output.status else ""
        silence = f"No packet of the command was seen{said}." if trace.missing else f"The command sent no packet{said}."
        sentences = [_tell_question(question, names) for question in trace.questions] or [silence]
    return " ".join(dict.fromkeys([*sentences, *tell_losses(trace)]))


def tell_losses(trace: TraceData) -> list[str]:
    """A sentence for each thing that was not seen, or is to be known of what was."""
    lost = [f"The capture is incomplete: {trace.lost} packet{'s were' if trace.lost > 1 else ' was'} lost."] if trace.lost else []
    ended = ["The capture is incomplete: it ended before the command did."] if trace.truncated else []
    return [*lost, *ended, *(f"{note if note.startswith(trace.missing) else note[0].upper() + note[1:]}." for note in trace.notes)]


def _tell_question(question: Question, names: Names) -> str:
    where, interface = names.namespace(question), names.interface(question, question.interface)
    return f"No neighbour: {where} asked on {interface} who has {question.target} (ARP), and nobody answered."


def _tell_rewrites(packet: Packet, names: Names) -> list[str]:
    found = [(names.namespace(hop), rewrite) for hop in packet.hops for rewrite in calc_rewrites(hop, packet.reply)]
    return [f"{where} changed the {what} from {was} to {now} ({by})." for where, (what, was, now, by) in found]


def _tell_outcome(flow: Flow, names: Names) -> str:
    """What ended a flow, or how far its first packet and the answer got."""
    if dropped := next((packet for packet in flow.packets if packet.dropped), None):
        return f"The {dropped.what} was {tell_drop(dropped, names)}."
    if error := next((packet for packet in flow.packets if packet.error), None):
        return _tell_error(error, flow, names)
    if flow.answer and flow.answer.what.startswith("TCP RST"):
        return f"Nothing listens: {_tell_source(flow.answer, names)} refused port {flow.addresses.destination_port} (TCP RST)."
    return _tell_ending(flow, names) if flow.first.hops else f"The {flow.first.what} never reached an interface."


def tell_drop(packet: Packet, names: Names) -> str:
    """Who dropped a packet, in words that hold whichever rule an engine uses for it."""
    rule = packet.dropped
    inward, outward = (end and names.interface(rule, end) for end in (rule.inward, _find_way_out(packet, rule, names)))
    way = f"in by {inward}" if inward else f"out by {outward}" if outward else "out"
    way = f"from {inward} to {outward}" if inward and outward else way
    told = f" ({names.rule(rule)})" if _is_own(rule) else ""
    return f"dropped by the packet filter of {names.namespace(rule)} on its way {way}{told}"


def _is_own(rule: Rule) -> bool:
    """Whether somebody else than the engine has made it."""
    if rule.chain == "DOCKER-USER":
        return rule.verdict != "return"
    return rule.number > 0 and rule.chain != "DOCKER" and not rule.chain.startswith("DOCKER-") and not ENGINE.search(rule.text)


def _find_way_out(packet: Packet, rule: Rule, names: Names) -> str:
    """The interface a packet was about to leave by: as the rule saw it, or else where its route leads to."""
    destination = (packet.hops[-1] if packet.hops else packet).addresses.destination
    namespace = names.find(rule)
    if rule.outward or not rule.inward or not namespace or names.has(rule, destination):
        return rule.outward
    routes = [each for each in namespace.routes if each.table == 254 and destination in each.destination]
    best = max(routes, key=lambda each: (each.destination.prefixlen, -each.metric), default=None)
    return best.interface or "" if best else ""


def _tell_source(packet: Packet, names: Names) -> str:
    """Where a packet began, by its address if that place was not seen."""
    if not packet.hops or names.is_from_afar(packet.hops[0]):
        return str(packet.addresses.source)
    return names.namespace(packet.hops[0])


def _tell_error(packet: Packet, flow: Flow, names: Names) -> str:
    address, source = str(packet.addresses.source), _tell_source(packet, names)
    who = address if source == address else f"{source} ({address})"
    asked = [_tell_question(each, names) for each in names.trace.questions if packet.error == "host unreachable"]
    target, port = flow.addresses.ends[1]
    told = ERRORS[packet.error].format(who=who, target=target, port=port, mtu=packet.mtu)
    return " ".join([*asked, f"{told} ({packet.what})."])


def _tell_ending(flow: Flow, names: Names) -> str:
    begin, goal, missing = flow.first.hops[0], flow.first.hops[-1], names.trace.missing
    arrived, (where, interface, _) = names.is_goal(goal), names.hop(goal)
    way = f"The {flow.first.what} arrived at {where} ({tell_end(*goal.addresses.ends[1])})"
    if not arrived and (missing or not flow.answer):
        way = f"The {flow.first.what} was last seen at {interface} of {where}"
    if not flow.answer:
        asked = [_tell_question(each, names) for each in names.trace.questions if each.target == goal.addresses.destination]
        rest = "whether it arrived is not known" if missing else "did not arrive anywhere in this lab"
        return f"{way}, and there was no answer." if arrived else asked[0] if asked else f"{way}, and {rest}."
    if missing and names.is_from_afar(begin):
        return f"{way}, and was answered; whether the answer came back is not known."
    last = flow.answer.hops[-1] if flow.answer.hops else None
    if last and (last.node, last.namespace) == (begin.node, begin.namespace):
        return f"{way}, and the answer came back."
    return f"{way}; the answer did not come back" + (f": it was last seen at {join(names.hop(last)[1::-1], 'of')}." if last else ".")
