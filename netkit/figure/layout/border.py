"""What is written at a node's border and in its own stack: cables, NAT, published ports, rules, routes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netkit.figure.layout.facts import MARKS, Context, calc_interface_lines, calc_port_name, calc_routes, calc_title, calc_words
from netkit.figure.layout.nets import NAMES, is_uplink
from netkit.figure.layout.plan import IN, OUT, Item, Net, Note, Tag, Words
from netkit.figure.layout.words import calc_clean
from netkit.network.model import HOST, Firewall, Ip, Node, PortForward

RULES = 12  # lines of a node's box of rules
TAGS = 9  # tags at a node's border


def calc_uplinks(node: Node, context: Context) -> Iterable[Item]:
    """The interfaces by which a node reaches the LAN."""
    host = node.namespace(HOST)
    found = [each for each in host.interfaces if is_uplink(each)] if host else []
    for interface in found:
        about = f"{node.name}/{HOST}/{interface.name}"
        lines = calc_interface_lines(interface, context)
        name = calc_words(calc_port_name(interface), about, context)
        facts = tuple(Words(text=line, about=about, highlight=name.highlight) for line in lines)
        yield Item(kind="uplink", about=interface.name, titles=(name,), facts=facts)
    if not found and node.address and "addresses" in context.show:
        yield Item(kind="uplink", about="", titles=(Words(text=str(node.address), about=node.name),))


def calc_extras(node: Node, context: Context, nets: dict[str, Net]) -> Iterable[Words]:
    """The interfaces of a node's own stack that no wire, bar or cable shows."""
    host = node.namespace(HOST)
    for interface in host.interfaces if host else ():
        told = interface.kind in ("bridge", "loopback") or is_uplink(interface) or interface.master or f"chip {interface.name}" in nets
        inner = interface.peer and interface.peer.namespace != HOST and node.namespace(interface.peer.namespace)
        if not told and not inner:
            about = f"{node.name}/{HOST}/{interface.name}"
            text = " ".join((calc_port_name(interface), *calc_interface_lines(interface, context)))
            yield calc_words(text, about, context)


def calc_tags(node: Node, context: Context) -> list[Tag]:
    """NAT and published ports, each at most once; the last one tells how many there is no room for."""
    host = node.namespace(HOST)
    firewall = host.firewall if host and host.firewall else Firewall()
    bridges = {net.bridge: net.name for net in node.networks if net.bridge}
    about = f"{node.name}/{HOST}"
    out, tags = [], []
    for each in firewall.masquerades:
        by_subnet = (net.name for net in node.networks if each.source in net.subnets)
        leaving = each.not_leaving or ""
        network = bridges.get(leaving) or next(by_subnet, NAMES.get(leaving, leaving))
        what = str(each.source) if "addresses" in context.show else calc_clean(network or "other addresses")
        out.append(
            _mark(Tag(direction=OUT, text=f"masquerade {what}", network=network, about=f"{about}/masquerade {each.source}"), context)
        )
    homes = _calc_homes(node)
    owners = {(port.protocol, port.port): f"{node.name}/container {each.name}" for each in node.containers for port in each.ports}
    told = set()
    for each in firewall.forwards:
        told.add((each.protocol, each.port))
        tags.append(_mark(_forward(each, homes, owners.get((each.protocol, each.port), about)), context))
    for container in node.containers:
        for port in container.ports:
            if (port.protocol, port.port) not in told and port.port:
                text = f"{_calc_source(port.protocol, port.port, port.address)} → {calc_title(container)}:{port.target}"
                tags.append(_mark(Tag(direction=IN, text=text, about=f"{node.name}/container {container.name}"), context))
    unique = list({tag.text: tag for tag in (*tags, *out)}.values())
    if len(unique) > TAGS:
        unique = [*unique[: TAGS - 1], Tag(direction=IN, text=f"… {len(unique) - TAGS + 1} more", about=about)]
    return unique


def _mark(tag: Tag, context: Context) -> Tag:
    """The tag as it is marked in a diff, if what it is about came or went; that something changed about its owner is no news of it."""
    node = tag.about.partition("/")[0]
    # with a node that was switched off, its whole stack went
    highlight = "gone" if context.highlights.get(f"{node}/{HOST}") == "gone" else context.highlights.get(tag.about, "")
    return replace(tag, text=MARKS[highlight] + tag.text, highlight=highlight) if highlight in ("new", "gone") else tag


def _calc_homes(node: Node) -> dict[Ip, tuple[str, str]]:
    """Who has an address of this node's stacks: {address: (name, network)}."""
    titles = {
        each.sandbox.namespace: calc_title(each) for each in node.containers if each.sandbox and not each.mode.startswith("container:")
    }
    subnets = [(subnet, net.name) for net in node.networks for subnet in net.subnets]
    homes = {}
    for namespace in node.namespaces:
        if namespace.kind != HOST:
            for address in (address for each in namespace.interfaces if each.kind != "loopback" for address in each.addresses):
                network = next((name for subnet, name in subnets if address.ip in subnet), "")
                homes[address.ip] = (titles.get(namespace.name, calc_clean(namespace.title)), network)
    return homes


def _forward(each: PortForward, homes: dict[Ip, tuple[str, str]], about: str) -> Tag:
    name, network = homes.get(each.to_address, (str(each.to_address), ""))
    text = f"{_calc_source(each.protocol, each.port, each.address)} → {name}:{each.to_port or each.port}"
    return Tag(direction=IN, text=text, network=network, about=about)


def _calc_source(protocol: str, port: int, address: Ip | None) -> str:
    shown = "" if address is None or address.is_unspecified else f"[{address}]" if address.version == 6 else str(address)
    return f"{shown}:{port}" + (f"/{calc_clean(protocol)}" if protocol not in ("tcp", "") else "")


def calc_notes(node: Node, context: Context) -> Iterable[Note]:
    """A node's own routes and rules, as far as they are to be shown."""
    host = node.namespace(HOST)
    if host is None:
        return
    routes = calc_routes(host, context, most=8)
    if "routes" in context.show:
        word = "forwards packets" if host.forwards_packets else "forwards no packets"
        yield Note(title=f"routes: {word} (ip_forward = {int(host.forwards_packets)})", lines=tuple(routes or ["none"]))
    if "rules" in context.show:
        names = {net.bridge: calc_clean(net.name) for net in node.networks if net.bridge}
        count = len(host.firewall.rules) if host.firewall else 0
        title = f"packet filter: {count} rules ({host.firewall.backend or 'iptables'})" if host.firewall and count else "packet filter"
        yield Note(title=title, lines=tuple(_calc_rules(host.firewall, names)))


def _calc_rules(firewall: Firewall | None, names: dict[str, str]) -> list[str]:
    if firewall is None:
        return ["no rules"]

    def call(bridges: Iterable[str]) -> str:
        return ", ".join(sorted(names.get(each, calc_clean(each)) for each in bridges))

    lines = [f"policy {each.chain} {each.verdict}" for each in firewall.policies if each.table == "filter" and each.family == 4]
    for word, bridges in (
        ("nothing passes between", firewall.isolated if len(firewall.isolated) > 1 else ()),
        ("nothing leaves", firewall.internal),
        ("no talk within", firewall.silent),
    ):
        lines += [f"{word}: {call(bridges)}"] if bridges else []
    lines += [calc_clean(rule.partition(" ")[2]) for rule in firewall.rules if rule.startswith("4 ")]
    return lines if len(lines) <= RULES else [*lines[: RULES - 1], f"… {len(lines) - RULES + 1} more rules"]
