"""The lines on what the kernel has: a network namespace's interfaces and tables."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from netkit.network.kernel_model import by_address, is_link_local
from netkit.network.model import HOST, End, Firewall, ForwardingEntry, Interface, NetworkNamespace, Node, Route, Topology
from netkit.network.words import Clause, Line, join, plain, tell_addresses, tell_end, tell_nature, tell_port, tell_rest, tell_state

# the operational state that goes without saying, by what is told of an interface (RFC 2863)
USUAL = {"": "up", "down": "down", "no carrier": "down", "no port": "down"}
# fields of an interface that have words of their own in each of its lines
TOLD = ("name", "kind", "mac", "mtu", "up", "state", "addresses")
FLAGS = ("internal", "attachable", "ingress")  # of a network
MAIN = 254  # the routing table that is meant if none is named (rt_tables)


def order_of_bridge(name: str) -> tuple:
    """Where a bridge comes among others: docker0 first, that of a swarm's gateway last."""
    return (name != "docker0", name == "docker_gwbridge", name)


@dataclass(frozen=True)
class Scene:
    """What is described. ``raw`` has interfaces as they were captured, by their place; ``compared`` tells whose a MAC
    address is instead of its digits, which are random."""

    topology: Topology
    raw: Mapping[End, Interface]
    compared: bool

    @functools.cached_property
    def owners(self) -> dict[str, str]:
        """Whose each MAC address is: {"02:42:ac:11:00:02": "eth0 of container web"}; ambiguous ones are left out."""
        owners: dict[str, set[str]] = {}
        for end, interface in self.topology.ends():
            owners.setdefault(interface.mac, set()).add(tell_end(end, end.node if len(self.topology.nodes) == 1 else ""))
        return {mac: min(names) for mac, names in owners.items() if mac and len(names) == 1}

    def mac(self, mac: str) -> str:
        """A MAC address in words."""
        owner = self.owners.get(mac)
        return plain(mac) if not owner else owner if self.compared else f"{plain(mac)} ({owner})"


@dataclass(frozen=True)
class NamespaceDescriber:
    """The lines of one network namespace of a node."""

    scene: Scene
    node: Node
    namespace: NetworkNamespace

    @property
    def place(self) -> str:
        """What the namespace is, as a line's ``about`` has it."""
        return f"{self.node.name}/{self.namespace.name}"

    @property
    def is_lonely(self) -> bool:
        """Whether there is nothing but a loopback."""
        return {each.kind for each in self.namespace.interfaces} <= {"loopback"}

    def lines(self, more: Iterable[Line] = (), cable: Interface | None = None) -> list[Line]:
        """Everything in the namespace, and after the interfaces ``more``; the interface ``cable`` is told elsewhere."""
        return [*self.interfaces(cable), *more, *self.filters(), *self.tables()]

    # -- interfaces --

    def interfaces(self, cable: Interface | None) -> list[Line]:
        """Bridges with their ports, then the others; hidden ones are loopbacks, far ends of ports, and the cable to the LAN."""
        bridges = sorted((each for each in self.namespace.interfaces if each.kind == "bridge"), key=lambda each: order_of_bridge(each.name))
        names = {bridge.name for bridge in bridges}
        others = [each for each in self.namespace.interfaces if each.kind != "bridge" and each.master not in names]
        return [*map(self.bridge, bridges), *(self.interface(each, cable) for each in others)]

    def bridge(self, each: Interface) -> Line:
        """A bridge, with its ports inside."""
        ports = [port for port in self.namespace.interfaces if port.master == each.name and port.kind != "bridge"]
        networks = [network for network in self.node.networks if self.namespace.kind == HOST and network.bridge == each.name]
        stp = each.bridge.stp if each.bridge else "off"
        told = ([f"{plain(name)}={plain(text)}" for name, text in network.options] for network in networks)
        options = [Line.of("options", *words, level="options derived") for words in told if words]
        return Line.of(
            plain(each.name) if " " in each.name else f"bridge {plain(each.name)}",
            tell_addresses(each) or "no address",
            *(", ".join((f"network {plain(net.name)}", *(word for word in FLAGS if getattr(net, word)))) for net in networks),
            "" if stp == "off" else f"spanning tree by the {plain(stp)}",
            "filters VLANs" if each.bridge and each.bridge.vlan_filtering else "",
            Clause("" if each.bridge else "no settings of a bridge", "hidden"),
            *self.condition(each, is_lonely=not ports),
            *self.extras(each),
            *tell_rest(each, *TOLD, "bridge"),
            inner=[*options, *map(self.port, ports)],
            about=f"{self.place}/{each.name}",
        )

    def port(self, each: Interface) -> Line:
        """A port of a bridge: what it is, then after a colon what its other end is like."""
        far = self.scene.topology.at(each.peer) if each.peer else None
        nature, own = tell_nature(each, self.node.name), tell_addresses(each)
        is_random = " " in each.name and each.kind == "veth"
        address = Clause(f"with {own} on the port itself" if own else "no address", "" if own else "hidden")
        clauses = (*map(Clause, ("" if is_random else nature, *self.tunnel(each))), address, *self.settings(each))
        told = [replace(clause, glue=", ") for clause in clauses]
        if far and not far.master:
            seen = [tell_addresses(far) or "no address", "down there" if tell_state(far) == "down" else ""]
            told += [Clause(words, "derived") for words in seen]
            told += [replace(clause, level=f"{clause.level} derived") for clause in self.extras(far, each.peer)]
        return Line.of(nature if is_random else plain(each.name), *told, about=f"{self.place}/{each.name}")

    def interface(self, each: Interface, cable: Interface | None) -> Line:
        """An interface that is neither a bridge nor a bridge's port."""
        peer = self.scene.topology.at(each.peer) if each.peer else None
        is_far_end = bool(peer and peer.master and not each.master)
        return Line.of(
            plain(each.name),
            tell_addresses(each) or "no address",
            tell_nature(each, self.node.name),
            *self.tunnel(each),
            *self.settings(each),
            about=f"{self.place}/{each.name}",
            level="hidden" if each.kind == "loopback" or each is cable or each.master else "",
            follows=str(each.peer) if is_far_end else "",
        )

    def settings(self, each: Interface) -> list[Clause]:
        """How an interface is set that is no bridge, and whatever :func:`tell_nature` has no words for."""
        told = [*self.condition(each), *self.port_state(each), *self.extras(each)]
        told += tell_rest(each, *TOLD, "port", *(("peer",) if each.kind == "veth" else ("vxlan", "parent", "macvlan_mode", "vlan")))
        if each.vxlan and each.kind != "veth":
            told += [*tell_rest(each.vxlan, "vni", "port", "local"), Clause("" if each.kind == "vxlan" else plain(each.kind), "hidden")]
        return told

    def condition(self, each: Interface, is_lonely: bool = False) -> list[Clause]:
        """What is wrong with an interface, or that nothing is, which goes without saying; ``is_lonely`` is a bridge without a port."""
        lonely, words = "no port" if is_lonely else "", tell_state(each)
        words = "" if lonely and words != "down" else words  # that it has no carrier follows
        state = "" if each.state == USUAL.get(words or lonely, each.state) else f"state {plain(each.state)}"
        return [Clause(words), Clause(lonely), Clause("" if words or lonely else "up", "hidden"), Clause(state, "hidden")]

    def port_state(self, each: Interface) -> list[Clause]:
        """How its bridge treats a port."""
        if not each.port:
            return [Clause("no state of a port", "hidden")] if each.master else []
        is_usual = each.port.state == ("disabled" if tell_state(each) else "forwarding")
        state = Clause("" if is_usual else plain(each.port.state), "hidden" if each.port.state in ("forwarding", "disabled") else "")
        return [state, *(Clause(word) for word in ("hairpin", "isolated") if getattr(each.port, word))]

    def tunnel(self, each: Interface) -> list[str]:
        """From where to where a VTEP sends."""
        if not each.vxlan:
            return []
        targets = {row.destination for row in self.namespace.forwarding if row.port == each.name} | {each.vxlan.group}
        others = join(sorted(targets - {None}, key=by_address))
        return [f"from {each.vxlan.local}" if each.vxlan.local else "", f"to {others}" if others else ""]

    def extras(self, each: Interface, end: End | None = None) -> list[Clause]:
        """What is told on request, of an interface that may be elsewhere: MAC address, link-local addresses, MTU."""
        end = end or End(node=self.node.name, namespace=self.namespace.name, interface=each.name)
        raw = self.scene.raw.get(end, each)
        told = join(filter(is_link_local, raw.addresses)), raw.mac and f"MAC {plain(raw.mac)}"
        return [*(Clause(words, "macs") for words in told), Clause(f"MTU {each.mtu}" if each.mtu else "", "options")]

    # -- tables --

    def way_out(self) -> list[Clause]:
        """Default gateways and the embedded DNS server."""
        defaults = (each.gateway for each in self.namespace.routes if each.destination.prefixlen == 0 and each.table == MAIN)
        gateways, server = join(dict.fromkeys(each for each in defaults if each and not is_link_local(each))), self.namespace.resolver
        return [Clause(f"default gateway {gateways}" if gateways else "", "derived"), Clause(f"DNS server {server}" if server else "")]

    def filters(self) -> Iterator[Line]:
        """What the packet filter does to the network, beside what the lines of bridges and containers say."""
        place, firewall = self.place, self.namespace.firewall or Firewall()
        for each in firewall.masquerades:
            by, when = each.leaving or each.not_leaving, "when" if each.leaving else "unless"
            way = f" {when} they leave by {plain(by)}" if by else ""
            yield Line.of(f"packets from {each.source} are masqueraded{way}", about=f"{place}/masquerade {each.source}")
        names = [plain(each) for each in sorted(firewall.isolated, key=order_of_bridge)]
        if len(names) > 1:
            yield Line.of("no packet is forwarded between", Clause(join(names), glue=" "), about=f"{place}/isolated")
        elif names:  # one alone is kept apart from nothing yet
            about = f"{place}/isolated {firewall.isolated[0]}"
            yield Line.of(f"{names[0]} is kept apart", about=about, follows=f"{place}/isolated")
        known = {network.bridge: f"{self.node.name}/network {network.name}" for network in self.node.networks if network.internal}
        for each in firewall.internal:
            about, words = f"{place}/internal {each}", "no packet leaves it or enters it"
            yield Line.of(f"{plain(each)} is internal", words, about=about, follows=known.get(each, ""))
        for each in firewall.silent:
            yield Line.of(f"the ports of {plain(each)} may not talk to each other", about=f"{place}/silent {each}")
        yield from self.forwards(firewall)

    def forwards(self, firewall: Firewall) -> Iterator[Line]:
        """Translated ports; those that a container publishes are told with it."""
        containers = reversed(self.node.containers) if self.namespace.kind == HOST else ()
        asked = {f"port {port.port}/{port.protocol}": container.name for container in containers for port in container.ports}
        for each in firewall.forwards:
            port = f"port {each.port}/{each.protocol}"
            target = f"[{each.to_address}]" if each.to_address.version == 6 else each.to_address
            yield Line.of(
                tell_port(each.protocol, each.port, each.address),
                Clause(f"leads to {target}:{each.to_port}", glue=" "),
                Clause(f"at {each.address or 'any address'}", "hidden"),
                about=f"{self.place}/{port}",
                follows=f"{self.node.name}/container {asked[port]}/{port}" if port in asked else "",
            )

    def tables(self) -> Iterator[Line]:
        """Routes, neighbours, forwarding tables and rules."""
        yield from map(self.route, self.namespace.routes)
        if self.namespace.forwards_packets:
            yield Line.of("forwards packets", about=f"{self.place}/forwarding", level="routes")
        for each in self.namespace.neighbours:
            about, answer = f"{self.place}/neighbour {each.address} on {each.interface}", self.scene.mac(each.mac) or "nobody answered"
            yield Line.of(f"neighbour {each.address} on {plain(each.interface)}", answer, about=about, level="neighbours")
        yield from map(self.entry, self.namespace.forwarding)
        if self.namespace.firewall:
            yield from self.rules(self.namespace.firewall)

    def route(self, each: Route) -> Line:
        """A route, much as ip-route(8) would say it; one that the kernel adds with an address (proto kernel) comes with its interface."""
        is_default, is_plain = each.destination.prefixlen == 0, each.kind == "unicast"
        words = [
            "IPv6" if is_default and each.destination.version == 6 else "",
            "default" if is_default else "",
            "" if is_plain else plain(each.kind),
            "route" if is_default else f"route to {each.destination}",
            f"by {each.gateway}" if each.gateway else "",
            f"on {plain(each.interface)}" if each.interface else "on no interface" if is_plain else "",
            f"from {each.source}" if each.source else "",
        ]
        further = [f"metric {each.metric}" if each.metric else "", "" if each.table == MAIN else f"table {each.table}"]
        is_connected = not each.gateway and is_plain and each.table == MAIN and not is_default
        return Line.of(
            ", ".join(filter(None, (" ".join(filter(None, words)), *further))),
            *tell_rest(each, "destination", "interface", "gateway", "source", "kind", "metric", "table"),
            about=f"{self.place}/route {each.destination}",
            level="routes macs" if is_link_local(each.destination) else "routes",
            follows=f"{self.place}/{each.interface}" if is_connected else "",
        )

    def entry(self, each: ForwardingEntry) -> Line:
        """A row of a forwarding table; rows that a bridge has by itself are permanent and name no destination."""
        who, target = self.scene.mac(each.mac), f"the VTEP {each.destination}" if each.destination else plain(each.port)
        level = "fdb" if each.kind == "learned" else "tunnels" if each.destination or each.kind != "permanent" else "filled"
        return Line.of(
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
            yield Line.of("policies", *told, about=f"{self.place}/policies", level="rules")
        rules = [Line.of(plain(rule), level="rules") for rule in firewall.rules]
        yield Line.of(f"rules by {plain(firewall.backend) or 'nothing'}", inner=rules, about=f"{self.place}/rules", level="rules")
