"""From one node of a topology to its plan: which boxes, wires, tags and notes it has, and what they say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from netkit.figure.nets import NAMES, calc_nets, find_net, find_network, is_uplink
from netkit.figure.picture import ADDRESS, CAPTION, DETAIL, HEADING, NAME, NOTE, NOTHING, PORT, TAG, Words, calc_clean, natural
from netkit.figure.plan import MARKS, Context, Item, Label, Net, NodePlan, Port, shorten, tell_port
from netkit.network.model import HOST, Container, End, Firewall, Interface, Ip, NetworkNamespace, Node, PortForward, PublishedPort

CAPTIONS = {"named": "netns", "process": "process", "load-balancer": "load balancer", "ingress": "routing mesh"}
HIDDEN = (HOST, "overlay")  # drawn as the node itself, and as a band
OWN = "host network namespace"
RULES, ROUTES = 12, 8  # lines of a node's boxes of rules and routes
TAGS = 9  # at a node's border


def calc_plan(node: Node, context: Context) -> NodePlan:
    """What is to be drawn of one node."""
    tenants: dict[str, list[Container]] = {}
    for container in sorted(node.containers, key=lambda each: natural(each.name)):
        if container.sandbox:
            tenants.setdefault(container.sandbox.namespace, []).append(container)
    known = {namespace.name for namespace in node.namespaces}
    nets = calc_nets(node, context)
    items = [
        *(_make_item(node, each, tenants.get(each.name, []), context) for each in node.namespaces if each.kind not in HIDDEN),
        *(_make_stopped(node, each, context) for each in node.containers if not each.sandbox or each.sandbox.namespace not in known),
    ]
    titles = [_call(node, each, context) for each in tenants.get(HOST, ())]
    guests = [replace(Label.of("guest", title, NAME), highlight=context.mark(title.about)) for title in titles]
    host = node.namespace(HOST)
    extras = [Label.of("extra", words, DETAIL) for words in _tell_extras(node, host, nets, context)]
    own = Label.of("", Words(OWN + (", shared by" if guests else "")), CAPTION)
    return NodePlan(
        name=calc_clean(node.name),
        about=node.name,
        caption=_calc_caption(node),
        trouble=_calc_trouble(node),
        off=node.state != "up",
        plain=node.engine is None,
        nets=nets,
        items=tuple(items),
        inside=(own, *guests, *extras) if nets or guests or extras or items else (),
        notes=tuple(_calc_notes(node, host, context)) if host else (),
        uplinks=tuple(_calc_uplinks(node, host, context)),
        tags=tuple(_calc_tags(node, host, context)),
        highlight=context.mark(node.name),
    )


def _calc_caption(node: Node) -> str:
    parts = [f"Docker {calc_clean(node.engine.version)}"] if node.engine and node.state == "up" and node.engine.version else []
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


def tell_container(container: Container) -> str:
    """A container's name; a task's without its random part."""
    return calc_clean(container.task if container.service and container.task else container.name)


def _call(node: Node, container: Container, context: Context, bigger: str | None = None) -> Words:
    """A container's title; what is highlighted as a whole (unless it stands in something ``bigger``) needs no mark."""
    about = f"{node.name}/container {container.name}"
    title = context.term("container", tell_container(container))
    return context.words(title, about, context.mark(about) if bigger is None else bigger)


def _make_stopped(node: Node, container: Container, context: Context) -> Item:
    title = _call(node, container, context)
    lines = ((Words(calc_clean(container.state), title.about), CAPTION),)
    return Item(kind="stopped", about=title.about, titles=(title,), lines=lines, highlight=context.mark(title.about))


def _make_item(node: Node, namespace: NetworkNamespace, tenants: list[Container], context: Context) -> Item:
    tenants = sorted(tenants, key=lambda each: each.name != namespace.title)
    about = f"{node.name}/{namespace.name}"
    highlight = context.mark(about)
    titles = tuple(_call(node, each, context, highlight) for each in tenants)
    inner = [each for each in namespace.interfaces if each.kind != "loopback"]
    facts = [] if inner else [context.fact(about, each, highlight) for each in namespace.interfaces]
    facts += map(Words, context.routes(namespace))
    caption = _calc_item_caption(namespace, tenants, bool(inner), context)
    return Item(
        kind="container" if namespace.kind == "container" else "namespace",
        about=about,
        titles=titles or (context.words(calc_clean(namespace.title), about, highlight),),
        lines=(*([(Words(caption, about), CAPTION)] if caption else []), *((each, DETAIL) for each in facts)),
        ports=tuple(_make_port(node, namespace, each, context) for each in inner),
        highlight=highlight,
    )


def _calc_item_caption(namespace: NetworkNamespace, tenants: list[Container], wired: bool, context: Context) -> str:
    if namespace.kind == "process" and tenants:
        return "its owner has left"
    if namespace.kind != "container":
        return CAPTIONS.get(namespace.kind, namespace.kind)
    if len(tenants) > 1:
        caption = "one stack, shared"
    elif tenants and tenants[0].state != "running":
        caption = calc_clean(tenants[0].state)
    else:
        caption = "" if wired else "no network"
    return ": ".join(filter(None, (context.term("sandbox", ""), caption)))


def _make_port(node: Node, namespace: NetworkNamespace, interface: Interface, context: Context) -> Port:
    here = End(node=node.name, namespace=namespace.name, interface=interface.name)
    key, far = find_net(here, interface, node)
    cable = node.namespace(far.namespace).interface(far.interface) if far else None
    bigger = context.mark(f"{node.name}/{namespace.name}")
    name = tell_port(interface)
    return Port(
        name=context.words(context.term("endpoint", name) if find_network(here, node) else name, str(here), bigger),
        lines=context.lines(interface),
        net=key,
        up=key.startswith("overlay "),
        far=context.words(calc_clean(cable.kernel_name or cable.name), str(far), bigger) if cable else NOTHING,
    )


def _calc_uplinks(node: Node, host: NetworkNamespace | None, context: Context) -> Iterable[Label]:
    """The interfaces by which a node reaches the LAN, named after themselves."""
    found = [each for each in host.interfaces if is_uplink(each)] if host else []
    for interface in found:
        about = f"{node.name}/{HOST}/{interface.name}"
        name = context.words(tell_port(interface), about)
        facts = ((Words(line, about, name.highlight), ADDRESS) for line in context.lines(interface))
        yield Label(role="uplink", about=about, lines=(((name, PORT), *facts),))
    if not found and node.address and "addresses" in context.show:
        yield Label.of("uplink", Words(str(node.address), node.name), PORT)


def _tell_extras(node: Node, host: NetworkNamespace | None, nets: dict[str, Net], context: Context) -> Iterator[Words]:
    """The interfaces of a node's own namespace that no wire, bar or cable shows."""
    for interface in host.interfaces if host else ():
        told = interface.kind in ("bridge", "loopback") or is_uplink(interface) or interface.master or f"chip {interface.name}" in nets
        inner = interface.peer and interface.peer.namespace != HOST and node.namespace(interface.peer.namespace)
        if not told and not inner:
            yield context.fact(f"{node.name}/{HOST}", interface)


def _calc_tags(node: Node, host: NetworkNamespace | None, context: Context) -> list[Label]:
    """NAT and published ports, each at most once; the last one tells how many there is no room for."""
    firewall = host.firewall if host and host.firewall else Firewall()
    about = f"{node.name}/{HOST}"
    bridges = {net.bridge: net.name for net in node.networks if net.bridge}
    homes = _calc_homes(context.topology.node(node.name) or node)
    published = [(container, port) for container in node.containers for port in container.ports]
    owners = {(port.protocol, port.port): f"{node.name}/container {container.name}" for container, port in published}
    tags: list[Label] = []
    for each in firewall.forwards:
        name, network = homes.get(each.to_address, (str(each.to_address), ""))
        text = f"{_tell_port(each)} → {name}:{each.to_port or each.port}"
        tags.append(_make_tag("in", text, network, owners.get((each.protocol, each.port), about), context))
    forwarded = {(each.protocol, each.port) for each in firewall.forwards}
    for container, port in published:
        if (port.protocol, port.port) not in forwarded and port.port:
            text = f"{_tell_port(port)} → {tell_container(container)}:{port.target}"
            tags.append(_make_tag("in", text, "", f"{node.name}/container {container.name}", context))
    for each in firewall.masquerades:
        leaving = each.not_leaving or ""
        by_subnet = (net.name for net in node.networks if each.source in net.subnets)
        network = bridges.get(leaving) or next(by_subnet, NAMES.get(leaving, leaving))
        what = str(each.source) if "addresses" in context.show else calc_clean(network or "other addresses")
        tags.append(_make_tag("out", f"masquerade {what}", network, f"{about}/masquerade {each.source}", context))
    unique = list({tag.lines[0][0][0].text: tag for tag in tags}.values())
    if len(unique) > TAGS:
        unique[TAGS - 1 :] = [_make_tag("in", f"… {len(unique) - TAGS + 1} more", "", about, context)]
    return unique


def _make_tag(direction: str, text: str, network: str, about: str, context: Context) -> Label:
    """A tag, marked in a diff if what it is about came or went; that something changed about its owner is no news of it."""
    # with a node that was switched off, its whole namespace went
    whole = context.mark(f"{about.partition('/')[0]}/{HOST}")
    highlight = "gone" if whole == "gone" else context.mark(about)
    highlight = highlight if highlight in ("new", "gone") else ""
    return Label.of("tag", Words(MARKS.get(highlight, "") + text, about, highlight), TAG, mark=direction, network=network)


def _calc_homes(node: Node) -> dict[Ip, tuple[str, str]]:
    """Who has an address of this node's namespaces: {address: (name, network)}."""
    titles = {
        each.sandbox.namespace: tell_container(each) for each in node.containers if each.sandbox and not each.mode.startswith("container:")
    }
    subnets = [(subnet, net.name) for net in node.networks for subnet in net.subnets]
    homes = {}
    for namespace in node.namespaces:
        for interface in namespace.interfaces if namespace.kind != HOST else ():
            for address in interface.addresses if interface.kind != "loopback" else ():
                network = next((name for subnet, name in subnets if address.ip in subnet), "")
                homes[address.ip] = (titles.get(namespace.name, calc_clean(namespace.title)), network)
    return homes


def _tell_port(each: PortForward | PublishedPort) -> str:
    address = each.address
    shown = "" if address is None or address.is_unspecified else f"[{address}]" if address.version == 6 else str(address)
    return f"{shown}:{each.port}" + (f"/{calc_clean(each.protocol)}" if each.protocol not in ("tcp", "") else "")


def _calc_notes(node: Node, host: NetworkNamespace, context: Context) -> Iterable[Label]:
    """A node's own routes and rules, as far as they are to be shown."""
    about, firewall = f"{node.name}/{HOST}", host.firewall
    if "routes" in context.show:
        word = "forwards packets" if host.forwards_packets else "forwards no packets"
        title = f"routes: {word} (ip_forward = {int(host.forwards_packets)})"
        yield _make_note(title, context.routes(host, ROUTES) or ["none"], about)
    if "rules" in context.show:
        title = f"packet filter: {len(firewall.rules)} rules ({firewall.backend or 'iptables'})" if firewall and firewall.rules else ""
        yield _make_note(title or "packet filter", _tell_rules(node, firewall) if firewall else ["no rules"], about)


def _make_note(title: str, lines: list[str], about: str) -> Label:
    return Label(role="notes", about=about, lines=(((Words(title), HEADING),), *(((Words(line), NOTE),) for line in lines)))


def _tell_rules(node: Node, firewall: Firewall) -> list[str]:
    names = {net.bridge: calc_clean(net.name) for net in node.networks if net.bridge}
    lines = [f"policy {each.chain} {each.verdict}" for each in firewall.policies if each.table == "filter" and each.family == 4]
    for word, bridges in (
        ("nothing passes between", firewall.isolated if len(firewall.isolated) > 1 else ()),
        ("nothing leaves", firewall.internal),
        ("no talk within", firewall.silent),
    ):
        lines += [f"{word}: {', '.join(sorted(names.get(each, calc_clean(each)) for each in bridges))}"] if bridges else []
    lines += [calc_clean(rule.partition(" ")[2]) for rule in firewall.rules if rule.startswith("4 ")]
    return shorten(lines, RULES, "more rules")
