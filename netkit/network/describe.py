"""A topology as lines that say what there is: its text, its differences and the facts on its objects are made of these.

One line says one thing, what is inside of something is indented below it, and the order is always the same. Random
names, ids, numbers of interfaces, versions and whatever else differs between two labs with the same network are not
told unless asked for, so the text is the same in every lab, on every engine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from netkit.network.describe_kernel import NamespaceDescriber, Scene
from netkit.network.model import HOST, Container, End, Engine, Interface, Network, NetworkNamespace, Node, Service, Topology, find_captured
from netkit.network.select import calc_selection, calc_show
from netkit.network.words import BUILTIN, Clause, Line, join, plain, tell_addresses, tell_end, tell_lines, tell_port, tell_rest, tell_state

KINDS = {
    "load-balancer": "the load balancer of a network",
    "ingress": "the way from published ports to services",
    "overlay": "the hidden namespace of an overlay network",
}


def to_text(topology: Topology, *, show: Collection[str] = ("addresses",), node: str | None = None, focus: Collection[str] = ()) -> str:
    """The network in words, without a newline at the end.

    ``show`` says what is told beside the structure and the addresses:

    - ``macs``: MAC addresses, and the link-local addresses and routes that follow from them
    - ``routes``: every route, and which namespaces forward packets
    - ``neighbours``: the neighbour tables (ARP, NDP)
    - ``fdb``: the forwarding tables, learned rows and those an engine or a learner put there
    - ``rules``: the packet filter's rules and policies
    - ``options``: MTUs, images, engine versions, options of networks
    - ``all``: everything

    With ``node``, only that node is told of; with ``focus``, names of containers or namespaces, only
    these and what they are joined to. Raises NetkitError, saying what there is, for an unknown name.
    """
    wanted = calc_show(show)
    lines = describe(calc_selection(topology, node, focus), find_captured(topology))
    return "\n".join(tell_lines(lines, wanted | ({"tunnels"} if "fdb" in wanted else set()))) or "nothing here"


def describe(topology: Topology, raw: dict[End, Interface] | None = None, *, compared: bool = False) -> tuple[Line, ...]:
    """Everything there is in a topology, as a tree of lines of all levels, by the names that this topology has.

    ``raw`` has interfaces that are to be told with another MAC address, by their place. ``compared`` tells whose a MAC
    address in a table is, instead of its digits.
    """
    scene, lines = Scene(topology, raw or {}, compared), []
    if topology.lan:
        there = (node for node in topology.nodes if node.address and node.address in topology.lan.subnet)
        told = (Clause(f"{plain(node.name)} {node.address}", "derived") for node in there)
        lines.append(Line.of(f"{plain(topology.lan.name)} {topology.lan.subnet}", *told, about="lan"))
    lines += [NodeDescriber(scene, node).describe() for node in topology.nodes]
    return tuple(lines + [_describe_service(service) for service in topology.services])


@dataclass(frozen=True)
class NodeDescriber:
    """The lines of one node: what its kernel has, and what its engine says of it."""

    scene: Scene
    node: Node

    def describe(self) -> Line:
        """The node, with everything in it."""
        node, host = self.node, self.node.namespace(HOST)
        cable = self.find_cable(host)
        owned = {each.namespace: self.is_own(each) for each in node.containers}
        inner = [self.namespace(each) for each in node.namespaces if each.kind == "overlay"]
        inner += [*map(self.network, node.networks), *map(self.container, node.containers)]
        others = [each for each in node.namespaces if each.kind not in (HOST, "overlay") and not owned.get(each.name)]
        inner += [self.namespace(each, is_hidden=each.name in owned) for each in others]
        if host:
            inner = self.inside(host).lines(inner, cable)
        engine = [self.engine(node.engine)] if node.engine else []
        return Line.of(plain(node.name), *self.clauses(host, cable), inner=[*engine, *inner], about=node.name)

    def inside(self, namespace: NetworkNamespace) -> NamespaceDescriber:
        """For the lines of one of the node's namespaces."""
        return NamespaceDescriber(self.scene, self.node, namespace)

    def is_own(self, container: Container) -> bool:
        """Whether the namespace a container is in is its own, and known."""
        return container.namespace == f"container {container.name}" and bool(self.node.namespace(container.namespace))

    # -- the node itself --

    def find_cable(self, host: NetworkNamespace | None) -> Interface | None:
        """The interface that is on the LAN."""
        there = host.interfaces if host and self.scene.topology.lan else ()
        cards = (each for each in there if not each.peer and each.kind in ("veth", "physical"))
        return next((each for each in cards if any(one.ip == self.node.address for one in each.addresses)), None)

    def clauses(self, host: NetworkNamespace | None, cable: Interface | None) -> Iterator[Clause]:
        """What is said of the node itself."""
        node = self.node
        yield Clause(f"address {node.address}" if node.address else "no address", "hidden")
        if node.state != "up":
            words = (plain(node.trouble) or "not started yet",) if node.state == "idle" else (plain(node.state), plain(node.trouble))
            yield Clause(": ".join(filter(None, words)))
            yield from self.swarm("hidden")
            return
        yield Clause("up" if host else "without a network namespace", "hidden")
        yield Clause(f"DNS server {host.resolver}" if host and host.resolver else "", "hidden")
        if cable:
            yield Clause(f"{plain(cable.name)} {tell_addresses(cable)} on the {plain(self.scene.topology.lan.name)}", "derived")
            yield Clause(tell_state(cable), "derived")
            yield from (Clause(each.words, f"{each.level} derived") for each in self.inside(host).extras(cable))
        elif node.address:
            yield Clause(str(node.address), "derived")
        yield Clause("" if node.engine else "no Docker node")
        yield from self.swarm("")
        yield Clause(plain(node.trouble))
        yield Clause(f"engine {plain(node.engine.version)}" if node.engine and node.engine.version else "", "options derived")

    def swarm(self, level: str) -> Iterator[Clause]:
        """The node's part in a swarm."""
        if swarm := self.node.swarm:
            yield Clause(f"swarm {plain(swarm.role)}{' and leader' if swarm.leader else ''}", level)
            states = (swarm.state, "ready"), (swarm.availability, "active")
            yield from (Clause(f"{plain(state)} in the swarm", level) for state, usual in states if state != usual)

    def engine(self, engine: Engine) -> Line:
        """The engine: news only if it is not up."""
        place, version = self.node.name, Clause(f"version {plain(engine.version)}" if engine.version else "", "hidden")
        follows = "" if engine.state != "up" and self.node.state == "up" else f"{place}/{HOST}"
        head = f"the Docker engine is {plain(engine.state)}"
        return Line.of(head, plain(engine.trouble), version, about=f"{place}/engine", follows=follows)

    def namespace(self, each: NetworkNamespace, is_hidden: bool = False) -> Line:
        """A namespace that is no container's: made by hand, an overlay network's, a swarm's, or a process's."""
        inside = self.inside(each)
        clauses = [Clause(KINDS.get(each.kind, ""))]
        if network := self.find_overlay(each):
            clauses = [Clause(f"the hidden namespace of network {plain(network.name)}"), Clause(join(network.subnets) or "no subnet")]
            clauses += [Clause(word) for word in ("internal", "attachable") if getattr(network, word)]
        if each.kind != "overlay":
            clauses += inside.way_out()
        elif each.resolver:
            clauses.append(Clause(f"DNS server {each.resolver}", "hidden"))
        loopback = each.interface("lo")
        if loopback and each.kind in ("named", "process"):
            down = "" if loopback.up else ", which is down" if inside.is_lonely else "its loopback is down"
            clauses.append(Clause(f"nothing but a loopback{down}" if inside.is_lonely else down, "derived"))
        clauses.append(Clause("" if each.kind in KINDS else f"kind {plain(each.kind)}", "hidden"))
        return Line.of(plain(each.name), *clauses, inner=inside.lines(), about=inside.place, level="hidden" if is_hidden else "")

    def find_overlay(self, each: NetworkNamespace) -> Network | None:
        """The overlay network whose hidden namespace this is."""
        named = (network for network in self.node.networks if network.driver == "overlay" and network.name == each.title)
        return next(named, None) if each.kind == "overlay" else None

    # -- what the engine says --

    def network(self, network: Network) -> Line:
        """A network; hidden where a bridge or a namespace of this node stands for it."""
        host, place = self.node.namespace(HOST), self.node.name
        overlay = next((each for each in self.node.namespaces if self.find_overlay(each) is network), None)
        follows = f"{place}/{overlay.name}" if overlay else ""
        if network.driver in BUILTIN:
            follows = f"{place}/{HOST}"
        elif host and network.bridge and host.interface(network.bridge):
            follows = f"{place}/{HOST}/{network.bridge}"
        return Line.of(
            f"network {plain(network.name)}",
            plain(network.driver),
            *(word for word in ("internal", "attachable") if getattr(network, word)),
            join(network.subnets),
            f"gateway {join(network.gateways)}" if network.gateways else "",
            f"on {plain(network.parent)}" if network.parent else "",
            "" if network.vni is None else f"VNI {network.vni}",
            *tell_rest(network, "name", "driver", "internal", "attachable", "subnets", "gateways", "parent", "vni"),
            about=f"{place}/network {network.name}",
            follows=follows,
        )

    def container(self, container: Container) -> Line:
        """A container, with its namespace if it has one of its own."""
        namespace, lines = container.namespace, [*self.ports(container), *self.endpoints(container)]
        where = "its own network namespace" if self.is_own(container) else f"in {plain(namespace)}" if namespace else ""
        state = Clause(plain(container.state), "hidden" if container.state == "running" else "")
        clauses = [state, *self.mode(container, namespace), Clause(where, "hidden")]
        if self.is_own(container):
            inside = self.inside(self.node.namespace(namespace))
            clauses += [*inside.way_out(), Clause("nothing but a loopback" if inside.is_lonely else "", "derived")]
            clauses.append(Clause("" if inside.namespace.kind == "container" else f"kind {plain(inside.namespace.kind)}", "hidden"))
            lines = inside.lines(lines)
        clauses.append(Clause(f"image {plain(container.image)}" if container.image else "", "options"))
        clauses += tell_rest(container, "name", "state", "mode", "image", "sandbox", "endpoints", "ports")
        return Line.of(f"container {plain(container.name)}", *clauses, inner=lines, about=f"{self.node.name}/container {container.name}")

    def mode(self, container: Container, namespace: str) -> Iterator[Clause]:
        """Whose namespace a container is in, and its networks, which its endpoints tell as well."""
        held, mode, networks = self.node.namespace(namespace), container.mode, [each.network for each in container.endpoints]
        if held and held.kind == "process":
            # named after whichever process is in it: its own container has begun anew, or ended
            yield Clause("in a network namespace that its container has left")
        elif mode == HOST:
            yield Clause("mode host, in the node's own network namespace")
        elif mode.startswith("container:") or (namespace and namespace != f"container {container.name}"):
            yield Clause(f"shares the network namespace of {plain(namespace) if namespace else f'container {plain(mode[10:])}'}")
        elif not mode:  # it could not be read
            return
        elif networks and mode != "none":
            yield Clause(("network " if len(networks) == 1 else "networks ") + join(map(plain, networks)), "derived")
        else:
            yield Clause(f"mode {plain(mode)}")
            yield Clause("in no network" if container.state == "running" and mode != "none" else "", "derived")
        follows = "several" if len(networks) > 1 else next((each.driver for each in self.node.networks if each.name in networks), HOST)
        yield Clause("" if mode == follows else f"mode {plain(mode)}", "hidden")

    def ports(self, container: Container) -> Iterator[Line]:
        """Published ports, those of IPv4 and IPv6 being one."""
        told: dict[str, list] = {}
        for each in container.ports:
            words = f"{tell_port(each.protocol, each.port, each.address)} of {plain(self.node.name)} leads to port {each.target}"
            told.setdefault(words, []).append(each)
        for words, ports in told.items():
            addresses = Clause(f"asked of {join(each.address or 'any address' for each in ports)}", "hidden")
            about = f"{self.node.name}/container {container.name}/port {ports[0].port}/{ports[0].protocol}"
            yield Line.of(words, addresses, about=about)

    def endpoints(self, container: Container) -> Iterator[Line]:
        """Endpoints; the text has their names, and addresses that no interface has."""
        here = (self.node.name, container.namespace)
        for each in container.endpoints:
            end, where, names = each.interface, f"in network {plain(each.network)}", join(map(plain, each.names))
            known, addresses = f"known as {names}" if names else "", join(each.addresses)
            if known:
                yield Line.of(f"{known} {where}", level="derived")
            if addresses and not end and each.network not in ("host", "none"):
                yield Line.of(f"{addresses} {where}, but no interface that has it", level="derived")
            yield Line.of(
                f"endpoint {where}",
                "" if not end else plain(end.interface) if (end.node, end.namespace) == here else tell_end(end, self.node.name),
                addresses,
                known,
                Clause(f"MAC {plain(each.mac)}" if each.mac else "", "macs"),
                *tell_rest(each, "network", "interface", "addresses", "names", "mac"),
                about=f"{self.node.name}/container {container.name}/network {each.network}",
                level="hidden",
            )


def _describe_service(service: Service) -> Line:
    """A swarm's service: its virtual addresses, ports and tasks."""
    place = f"service {service.name}"
    count, networks = service.replicas, join(map(plain, service.networks))
    inner = [Line.of(f"virtual address {address} in network {plain(network)}") for network, address in service.vips]
    for port in service.ports:
        where = "every node" if port.mode == "ingress" else "each task's node"
        head = f"{tell_port(port.protocol, port.port, None)} of {where} leads to port {port.target}"
        inner.append(Line.of(head, Clause("" if port.mode in ("ingress", "host") else f"mode {plain(port.mode)}", "hidden")))
    for task in service.tasks:
        on = Clause(f"on {plain(task.node) or 'no node'}", glue=" ")
        inner.append(Line.of(f"task {plain(task.name)}", on, plain(task.state), join(task.addresses), about=f"{place}/task {task.name}"))
    return Line.of(
        f"service {plain(service.name)}",
        plain(service.mode),
        "" if count is None else f"{count} replica{'' if count == 1 else 's'}",
        f"network{'' if len(service.networks) == 1 else 's'} {networks}" if networks else "",
        "" if service.resolution == "vip" else f"found by {plain(service.resolution)}",
        service.trouble,
        inner=inner,
        about=place,
    )
