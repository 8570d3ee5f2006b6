"""The lines on what the kernel has: a network namespace's interfaces and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from netkit.network.model import HOST, End, Firewall, ForwardingEntry, Interface, NetworkNamespace, Node, Route, Topology
from netkit.network.words import (
    Clause,
    Line,
    as_clauses,
    is_link_local,
    join,
    make_line,
    order_of_bridge,
    plain,
    tell_addresses,
    tell_condition,
    tell_masquerade,
    tell_nature,
    tell_network,
    tell_port,
    tell_rest,
    tell_route,
)

# the operational state that goes without saying, by what is told of an interface (RFC 2863)
USUAL = {"": "up", "down": "down", "no carrier": "down", "no port": "down"}
# fields of an interface that have words of their own in each of its lines
TOLD = ("name", "kind", "mac", "mtu", "up", "state", "addresses")
MAIN = 254  # the routing table that is meant if none is named (rt_tables)


@dataclass(frozen=True)
class Scene:
    """What is described. ``raw`` has interfaces as they were captured, by their place; ``compared`` tells whose a MAC
    address is instead of its digits, which are random."""

    topology: Topology
    owners: Mapping[str, str]
    raw: Mapping[End, Interface] = field(default_factory=dict)
    compared: bool = False

    def mac(self, mac: str) -> str:
        """A MAC address in words."""
        owner = self.owners.get(mac)
        return plain(mac) if not owner else owner if self.compared else f"{plain(mac)} ({owner})"


@dataclass(frozen=True)
class NamespaceDescriber:
    """The lines of one network namespace of a node."""

    scene: Scene
    node: Node
    stack: NetworkNamespace

    @property
    def place(self) -> str:
        """What the namespace is, as a line's ``about`` has it."""
        return f"{self.node.name}/{self.stack.name}"

    def end(self, interface: Interface) -> End:
        """Where an interface of this namespace is."""
        return End(node=self.node.name, namespace=self.stack.name, interface=interface.name)

    # -- interfaces --

    def interfaces(self, cable: Interface | None = None) -> list[Line]:
        """Bridges with their ports, then the others; hidden ones are loopbacks, far ends of ports, and the cable to the LAN."""
        bridges = sorted((each for each in self.stack.interfaces if each.kind == "bridge"), key=lambda each: order_of_bridge(each.name))
        ports = {each.name for each in self.stack.interfaces if each.master in {bridge.name for bridge in bridges}}
        others = [each for each in self.stack.interfaces if each.kind != "bridge" and each.name not in ports]
        return [*map(self.bridge, bridges), *(self.interface(each, cable) for each in others)]

    def bridge(self, each: Interface) -> Line:
        """A bridge, with its ports inside."""
        ports = [port for port in self.stack.interfaces if port.master == each.name and port.kind != "bridge"]
        networks = [network for network in self.node.networks if self.stack.kind == HOST and network.bridge == each.name]
        stp = each.bridge.stp if each.bridge else "off"
        options = [
            make_line("options", *(f"{plain(name)}={plain(text)}" for name, text in network.options), level="options derived")
            for network in networks
            if network.options
        ]
        return make_line(
            plain(each.name) if " " in each.name else f"bridge {plain(each.name)}",
            tell_addresses(each) or "no address",
            *map(tell_network, networks),
            "" if stp == "off" else f"spanning tree by the {plain(stp)}",
            "filters VLANs" if each.bridge and each.bridge.vlan_filtering else "",
            Clause("" if each.bridge else "no settings of a bridge", "hidden"),
            *self.condition(each, is_lonely=not ports),
            *self.extras(each),
            *tell_rest(each, *TOLD, "bridge"),
            inner=[*options, *map(self.port, ports)],
            about=str(self.end(each)),
        )

    def port(self, each: Interface) -> Line:
        """A port of a bridge: what it is, then after a colon what its other end is like."""
        far = self.scene.topology.at(each.peer) if each.peer else None
        nature, own = tell_nature(each, self.node.name), tell_addresses(each)
        is_random = " " in each.name and each.kind == "veth"
        clauses = as_clauses(
            "" if is_random else nature,
            *self.tunnel(each),
            f"with {own} on the port itself" if own else Clause("no address", "hidden"),
            *self.settings(each),
        )
        told = [replace(clause, glue=", ") for clause in clauses]
        if far and not far.master:
            seen = [tell_addresses(far) or "no address", "down there" if tell_condition(far) == "down" else ""]
            told += [Clause(words, "derived") for words in seen]
            told += [replace(clause, level=f"{clause.level} derived") for clause in self.extras(far, each.peer)]
        return make_line(nature if is_random else plain(each.name), *told, about=str(self.end(each)))

    def interface(self, each: Interface, cable: Interface | None = None) -> Line:
        """An interface that is neither a bridge nor a bridge's port."""
        peer = self.scene.topology.at(each.peer) if each.peer else None
        is_far_end = bool(peer and peer.master and not each.master)
        is_hidden = is_far_end or each.kind == "loopback" or each is cable or bool(each.master)
        return make_line(
            plain(each.name),
            tell_addresses(each) or "no address",
            tell_nature(each, self.node.name),
            *self.tunnel(each),
            *self.settings(each),
            about=str(self.end(each)),
            level="hidden" if is_hidden else "",
            follows=str(each.peer) if is_far_end else "",
        )

    def settings(self, each: Interface) -> list[Clause]:
        """How an interface is set that is no bridge, and whatever :func:`tell_nature` has no words for."""
        told = [*self.condition(each), *self.port_state(each), *self.extras(each)]
        if each.kind == "veth":
            return [*told, *tell_rest(each, *TOLD, "port", "peer")]
        told += tell_rest(each, *TOLD, "port", "vxlan", "parent", "macvlan_mode", "vlan")
        if each.vxlan:
            told += tell_rest(each.vxlan, "vni", "port", "local")
            told.append(Clause("" if each.kind == "vxlan" else plain(each.kind), "hidden"))
        return told

    def condition(self, each: Interface, is_lonely: bool = False) -> list[Clause]:
        """What is wrong with an interface, or that nothing is, which goes without saying; ``is_lonely`` is a bridge without a port."""
        words, lonely = tell_condition(each), "no port" if is_lonely else ""
        if lonely and words != "down":  # that it has no carrier follows
            words = ""
        state = "" if each.state == USUAL.get(words or lonely, each.state) else f"state {plain(each.state)}"
        return [Clause(words), Clause(lonely), Clause("" if words or lonely else "up", "hidden"), Clause(state, "hidden")]

    def port_state(self, each: Interface) -> list[Clause]:
        """How its bridge treats a port."""
        if not each.port:
            return [Clause("no state of a port", "hidden")] if each.master else []
        is_usual = each.port.state == ("disabled" if tell_condition(each) else "forwarding")
        state = Clause("" if is_usual else plain(each.port.state), "hidden" if each.port.state in ("forwarding", "disabled") else "")
        return [state, *(Clause(word) for word in ("hairpin", "isolated") if getattr(each.port, word))]

    def tunnel(self, each: Interface) -> list[str]:
        """From where to where a VTEP sends."""
        if not each.vxlan:
            return []
        targets = {row.destination for row in self.stack.forwarding if row.port == each.name and row.destination}
        targets |= {each.vxlan.group} - {None}
        return [
            f"from {each.vxlan.local}" if each.vxlan.local else "",
            f"to {join(sorted(targets, key=lambda target: (target.version, target)))}" if targets else "",
        ]

    def extras(self, each: Interface, end: End | None = None) -> list[Clause]:
        """What is told on request: MAC address, link-local addresses, MTU."""
        raw = self.scene.raw.get(end or self.end(each), each)
        local = join(address for address in raw.addresses if is_link_local(address))
        told = [Clause(local, "macs"), Clause(raw.mac and f"MAC {plain(raw.mac)}", "macs")]
        return [*told, Clause(f"MTU {each.mtu}" if each.mtu else "", "options")]

    # -- tables --

    def way_out(self) -> list[Clause]:
        """Default gateways and the embedded DNS server."""
        defaults = [each for each in self.stack.routes if each.destination.prefixlen == 0 and each.table == MAIN]
        gateways = [each.gateway for each in defaults if each.gateway and not is_link_local(each.gateway)]
        told = [Clause(f"default gateway {join(dict.fromkeys(gateways))}", "derived")] if gateways else []
        return [*told, Clause(f"DNS server {self.stack.resolver}")] if self.stack.resolver else told

    def filters(self) -> Iterator[Line]:
        """What the packet filter does to the network, beside what the lines of bridges and containers say."""
        place, firewall = self.place, self.stack.firewall or Firewall()
        for each in firewall.masquerades:
            yield make_line(tell_masquerade(each), about=f"{place}/masquerade {each.source}")
        names = [plain(each) for each in sorted(firewall.isolated, key=order_of_bridge)]
        if len(names) > 1:
            between = Clause(join(names), glue=" ")
            yield make_line("no packet is forwarded between", between, about=f"{place}/isolated")
        elif names:  # one alone is kept apart from nothing yet
            about = f"{place}/isolated {firewall.isolated[0]}"
            yield make_line(f"{names[0]} is kept apart", about=about, level="hidden", follows=f"{place}/isolated")
        known = {network.bridge: f"{self.node.name}/network {network.name}" for network in self.node.networks if network.internal}
        for each in firewall.internal:
            level, about = "hidden" if each in known else "", f"{place}/internal {each}"
            words = "no packet leaves it or enters it"
            yield make_line(f"{plain(each)} is internal", words, about=about, level=level, follows=known.get(each, ""))
        for each in firewall.silent:
            yield make_line(f"the ports of {plain(each)} may not talk to each other", about=f"{place}/silent {each}")
        yield from self.forwards(firewall)

    def forwards(self, firewall: Firewall) -> Iterator[Line]:
        """Translated ports; those that a container publishes are told with it."""
        asked: dict[tuple, str] = {}
        for container in self.node.containers if self.stack.kind == HOST else ():
            for port in container.ports:
                about = f"{self.node.name}/container {container.name}/port {port.port}/{port.protocol}"
                asked.setdefault((port.protocol, port.port), about)
        for each in firewall.forwards:
            known = asked.get((each.protocol, each.port))
            target = f"[{each.to_address}]" if each.to_address.version == 6 else each.to_address
            yield make_line(
                tell_port(each.protocol, each.port, each.address),
                Clause(f"leads to {target}:{each.to_port}", glue=" "),
                Clause(f"at {each.address or 'any address'}", "hidden"),
                about=f"{self.place}/port {each.port}/{each.protocol}",
                level="hidden" if known else "",
                follows=known or "",
            )

    def tables(self) -> Iterator[Line]:
        """Routes, neighbours, forwarding tables and rules."""
        yield from map(self.route, self.stack.routes)
        if self.stack.forwards_packets:
            yield make_line("forwards packets", about=f"{self.place}/forwarding", level="routes")
        for each in self.stack.neighbours:
            about = f"{self.place}/neighbour {each.address} on {each.interface}"
            answer = self.scene.mac(each.mac) if each.mac else "nobody answered"
            head = f"neighbour {each.address} on {plain(each.interface)}"
            yield make_line(head, answer, about=about, level="neighbours")
        yield from map(self.entry, self.stack.forwarding)
        if self.stack.firewall:
            yield from self.rules(self.stack.firewall)

    def route(self, each: Route) -> Line:
        """A route; one that the kernel adds with an address (ip-route(8): proto kernel) comes with its interface."""
        is_connected = not each.gateway and each.kind == "unicast" and each.table == MAIN and each.destination.prefixlen > 0
        return make_line(
            tell_route(each),
            *tell_rest(each, "destination", "interface", "gateway", "source", "kind", "metric", "table"),
            about=f"{self.place}/route {each.destination}",
            level="routes macs" if is_link_local(each.destination) else "routes",
            follows=f"{self.place}/{each.interface}" if is_connected else "",
        )

    def entry(self, each: ForwardingEntry) -> Line:
        """A row of a forwarding table; rows that a bridge has by itself are permanent and name no destination."""
        who = self.scene.mac(each.mac)
        target = f"the VTEP {each.destination}" if each.destination else plain(each.port)
        level = "fdb" if each.kind == "learned" else "tunnels" if each.destination or each.kind != "permanent" else "filled"
        return make_line(
            f"{plain(each.owner)} sends frames for {who}",
            Clause(f"to {target}", glue=" "),
            f"VLAN {each.vlan}" if each.vlan is not None else "",
            Clause(f"({plain(each.kind)})", glue=" "),
            Clause(f"by {plain(each.port)}" if each.destination else "", "hidden"),
            about=f"{self.place}/fdb {each.owner} {who}",
            level=level,
            follows=f"{self.place}/{each.port}",
        )

    def rules(self, firewall: Firewall) -> Iterator[Line]:
        """The packet filter's policies and rules, in the order in which they are tried."""
        if firewall.policies:
            told = (f"{plain(each.table)} {plain(each.chain)} {plain(each.verdict)} (IPv{each.family})" for each in firewall.policies)
            yield make_line("policies", *told, about=f"{self.place}/policies", level="rules")
        rules = [make_line(plain(rule), level="rules") for rule in firewall.rules]
        head = f"rules by {plain(firewall.backend) or 'nothing'}"
        yield make_line(head, inner=rules, about=f"{self.place}/rules", level="rules")
