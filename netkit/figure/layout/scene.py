"""From a topology to plans of its nodes: which boxes, wires and tags a figure has, and what they say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from netkit.figure.layout.border import calc_extras, calc_notes, calc_tags, calc_uplinks
from netkit.figure.layout.facts import (
    Context,
    calc_interface_lines,
    calc_port_name,
    calc_routes,
    calc_stack_fact,
    calc_title,
    calc_words,
)
from netkit.figure.layout.nets import calc_nets, find_net, find_network
from netkit.figure.layout.plan import Item, NodePlan, Port, Words
from netkit.figure.layout.words import calc_clean, natural
from netkit.network.model import HOST, Container, End, Interface, NetworkNamespace, Node

CAPTIONS = {"named": "netns", "process": "process", "load-balancer": "load balancer", "ingress": "routing mesh"}
HIDDEN = ("host", "overlay")  # drawn as the node itself, and as a band


def calc_plan(node: Node, context: Context) -> NodePlan:
    """What is to be drawn of one node."""
    found = _Found(node, context)
    return NodePlan(
        name=calc_clean(node.name),
        about=node.name,
        caption=_calc_caption(node),
        trouble=_calc_trouble(node),
        off=node.state != "up",
        plain=node.engine is None,
        nets=found.nets,
        items=tuple(found.items()),
        uplinks=tuple(calc_uplinks(node, context)),
        guests=tuple(found.guests()),
        extras=tuple(calc_extras(node, context, found.nets)),
        tags=tuple(calc_tags(node, context)),
        notes=tuple(calc_notes(node, context)),
        highlight=context.highlights.get(node.name, ""),
    )


def _calc_caption(node: Node) -> str:
    parts = []
    if node.engine and node.state == "up" and node.engine.version:
        parts.append(f"Docker {calc_clean(node.engine.version)}")
    if node.swarm:
        parts.append(node.swarm.role)
        parts += [word for word, usual in ((node.swarm.state, "ready"), (node.swarm.availability, "active")) if word != usual]
    return " · ".join(parts)


def _calc_trouble(node: Node) -> str:
    if node.state == "idle":
        return "idle: it starts when it is first used"
    if node.state != "up":
        return f"{node.state}: {calc_clean(node.trouble) or 'nothing is known of it'}"
    if node.engine and node.engine.state != "up":
        return f"engine down: {calc_clean(node.engine.trouble) or 'it does not answer'}"
    return ""


@dataclass
class _Found:
    """The stacks of one node, and who lives in them."""

    node: Node
    context: Context
    nets: dict = field(init=False)
    tenants: dict[str, list[Container]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.nets = calc_nets(self.node, self.context)
        for container in self.node.containers:
            if container.sandbox:
                self.tenants.setdefault(container.sandbox.namespace, []).append(container)

    def guests(self) -> Iterable[Item]:
        """The containers in the node's own stack."""
        for container in sorted(self.tenants.get(HOST, ()), key=lambda each: natural(each.name)):
            yield Item(
                kind="guest",
                about=self._about(container),
                titles=(self._title(container, self._mark(container)),),
                highlight=self._mark(container),
            )

    def items(self) -> Iterable[Item]:
        """Everything else that is a box, in no order yet."""
        known = {namespace.name for namespace in self.node.namespaces}
        yield from (self._item(namespace) for namespace in self.node.namespaces if namespace.kind not in HIDDEN)
        for container in self.node.containers:
            if container.sandbox is None or container.sandbox.namespace not in known:
                yield self._stopped(container)

    def _stopped(self, container: Container) -> Item:
        title, about = self._title(container, self._mark(container)), self._about(container)
        return Item(kind="stopped", about=about, titles=(title,), caption=calc_clean(container.state), highlight=self._mark(container))

    def _item(self, namespace: NetworkNamespace) -> Item:
        tenants = sorted(self.tenants.get(namespace.name, ()), key=lambda each: (each.name != namespace.title, natural(each.name)))
        about = f"{self.node.name}/{namespace.name}"
        highlight = self.context.highlights.get(about, "")
        titles = tuple(self._title(each, highlight) for each in tenants)
        titles = titles or (calc_words(calc_clean(namespace.title), about, self.context, highlight),)
        inner = [each for each in namespace.interfaces if each.kind != "loopback"]
        ports = [self._port(namespace, each) for each in inner]
        facts = [] if inner else [calc_stack_fact(about, each, self.context, highlight) for each in namespace.interfaces]
        routes = [Words(text=text) for text in calc_routes(namespace, self.context)]
        return Item(
            kind="container" if namespace.kind == "container" else "namespace",
            about=about,
            titles=titles,
            caption=self._caption(namespace, tenants, bool(inner)),
            facts=(*facts, *routes),
            ports=tuple(ports),
            highlight=highlight,
        )

    def _port(self, namespace: NetworkNamespace, interface) -> Port:
        here = End(node=self.node.name, namespace=namespace.name, interface=interface.name)
        net, far = find_net(here, interface, self.node, self.nets)
        stack = self.context.highlights.get(f"{self.node.name}/{namespace.name}", "")
        return Port(
            name=calc_words(self._name(here, interface), str(here), self.context, stack),
            lines=calc_interface_lines(interface, self.context),
            net=net,
            up=bool(net) and self.nets[net].kind == "overlay",
            far=calc_words(calc_clean(far.interface), str(far), self.context, stack) if far else Words(text=""),
        )

    def _caption(self, namespace: NetworkNamespace, tenants: list[Container], wired: bool) -> str:
        caption = _calc_item_caption(namespace, tenants, wired)
        if namespace.kind != "container" or "terms" not in self.context.show:
            return caption
        return f"sandbox: {caption}" if caption else "sandbox"

    def _name(self, here: End, interface: Interface) -> str:
        name = calc_port_name(interface)
        return self.context.term("endpoint", name) if find_network(here, self.node) else name

    def _about(self, container: Container) -> str:
        return f"{self.node.name}/container {container.name}"

    def _mark(self, container: Container) -> str:
        return self.context.highlights.get(self._about(container), "")

    def _title(self, container: Container, bigger: str) -> Words:
        return calc_words(self.context.term("container", calc_title(container)), self._about(container), self.context, bigger)


def _calc_item_caption(namespace: NetworkNamespace, tenants: list[Container], wired: bool) -> str:
    if namespace.kind == "process" and tenants:
        return "its owner has left"
    if namespace.kind != "container":
        return CAPTIONS.get(namespace.kind, namespace.kind)
    if len(tenants) > 1:
        return "one stack, shared"
    if tenants and tenants[0].state != "running":
        return calc_clean(tenants[0].state)
    return "" if wired else "no network"
