"""One network namespace in words: bridges with their ports, other interfaces, and what the tables say."""

from __future__ import annotations

from collections.abc import Iterable

from netkit.network.model import HOST, End, Firewall, Interface, Network, NetworkNamespace, Node
from netkit.network.text.telling import Telling, indent
from netkit.network.words import (
    is_chance,
    join,
    plain,
    tell_condition,
    tell_masquerade,
    tell_nature,
    tell_network,
    tell_port,
    tell_route,
)


def calc_end(node: Node, namespace: NetworkNamespace, interface: str) -> End:
    """The place of an interface of this namespace."""
    return End(node=node.name, namespace=namespace.name, interface=interface)


def _is_told_elsewhere(interface: Interface, telling: Telling) -> bool:
    """Whether this is the far end of a bridge's port: told there, with its addresses."""
    peer = telling.picture.at(interface.peer) if interface.peer else None
    return bool(peer and peer.master and not interface.master)


def order_of_bridge(name: str) -> tuple:
    """Where a bridge comes among others: docker0 first, that of a swarm's gateway last."""
    return (name != "docker0", name == "docker_gwbridge", name)


def tell_bridges(node: Node, namespace: NetworkNamespace, telling: Telling) -> list[str]:
    """The bridges of a namespace, each with its ports below it."""
    bridges = [each for each in namespace.interfaces if each.kind == "bridge"]
    bridges.sort(key=lambda each: order_of_bridge(each.name))
    return [line for bridge in bridges for line in _tell_bridge(node, namespace, bridge, telling)]


def _tell_bridge(node: Node, namespace: NetworkNamespace, bridge: Interface, telling: Telling) -> list[str]:
    end = calc_end(node, namespace, bridge.name)
    ports = [each for each in namespace.interfaces if each.master == bridge.name]
    networks = [each for each in node.networks if namespace.kind == HOST and each.bridge == bridge.name]
    words = [telling.addresses(end, bridge) or "no address"]
    words += [tell_network(network) for network in networks]
    if bridge.bridge and bridge.bridge.stp != "off":
        words.append(f"spanning tree by the {plain(bridge.bridge.stp)}")
    if bridge.bridge and bridge.bridge.vlan_filtering:
        words.append("filters VLANs")
    condition = tell_condition(bridge)
    if condition == "down" or (condition and ports):
        words.append(condition)
    if not ports:
        words.append("no port")
    words += telling.extras(end, bridge)
    name = plain(bridge.name) if telling.is_drawn(end) else f"bridge {plain(bridge.name)}"
    lines = [line for network in networks for line in _tell_options(network, telling)]
    lines += [_tell_bridge_port(node, namespace, port, telling) for port in ports]
    return [f"{name}: {', '.join(words)}", *indent(lines)]


def _tell_options(network: Network, telling: Telling) -> list[str]:
    if "options" not in telling.show or not network.options:
        return []
    return [f"options: {', '.join(f'{plain(name)}={plain(value)}' for name, value in network.options)}"]


def _tell_bridge_port(node: Node, namespace: NetworkNamespace, port: Interface, telling: Telling) -> str:
    end = calc_end(node, namespace, port.name)
    words = [tell_nature(port, node.name)]
    if port.vxlan:
        words += _tell_tunnel(namespace, port)
    own = telling.addresses(end, port)
    if own:
        words.append(f"with {own} on the port itself")
    condition = tell_condition(port)
    if condition:
        words.append(condition)
    if port.port:
        if port.port.state not in ("forwarding", "disabled"):
            words.append(plain(port.port.state))
        words += [word for word in ("hairpin", "isolated") if getattr(port.port, word)]
    words += telling.extras(end, port)
    name = "" if telling.is_drawn(end) and port.kind == "veth" else f"{plain(port.name)}, "
    return f"{name}{', '.join(words)}{_tell_far_end(port, telling)}"


def _tell_far_end(port: Interface, telling: Telling) -> str:
    far = telling.picture.at(port.peer) if port.peer else None
    if not far or far.master:
        return ""
    words = [telling.addresses(port.peer, far) or "no address"]
    if tell_condition(far) == "down":
        words.append("down there")
    return ": " + ", ".join(words + telling.extras(port.peer, far))


def _tell_tunnel(namespace: NetworkNamespace, vtep: Interface) -> list[str]:
    """From where to where a VTEP sends."""
    words = [f"from {vtep.vxlan.local}"] if vtep.vxlan.local else []
    targets = {row.destination for row in namespace.forwarding if row.port == vtep.name and row.destination}
    targets |= {vtep.vxlan.group} - {None}
    if targets:
        words.append(f"to {join(sorted(targets, key=lambda each: (each.version, each)))}")
    return words


def tell_others(node: Node, namespace: NetworkNamespace, telling: Telling, skip: Iterable[Interface] = ()) -> list[str]:
    """The interfaces that are told nowhere else: neither bridges nor ports nor far ends of ports."""
    skip = tuple(skip)
    return [
        _tell_interface(node, namespace, each, telling)
        for each in namespace.interfaces
        if each.kind not in ("loopback", "bridge") and not each.master and each not in skip and not _is_told_elsewhere(each, telling)
    ]


def _tell_interface(node: Node, namespace: NetworkNamespace, interface: Interface, telling: Telling) -> str:
    end = calc_end(node, namespace, interface.name)
    words = [telling.addresses(end, interface) or "no address", tell_nature(interface, node.name)]
    if interface.vxlan:
        words += _tell_tunnel(namespace, interface)
    condition = tell_condition(interface)
    return f"{plain(interface.name)}: {', '.join(words + [condition] * bool(condition) + telling.extras(end, interface))}"


def tell_way_out(namespace: NetworkNamespace) -> list[str]:
    """Default gateways and the embedded DNS server, in a few words each."""
    defaults = [each for each in namespace.routes if each.destination.prefixlen == 0 and each.table == 254]
    gateways = [each.gateway for each in defaults if each.gateway and not is_chance(each.gateway)]
    words = [f"default gateway {join(dict.fromkeys(gateways))}"] if gateways else []
    if namespace.resolver:
        words.append(f"DNS server {namespace.resolver}")
    return words


def tell_firewall(node: Node, namespace: NetworkNamespace, telling: Telling) -> list[str]:
    """What the packet filter does to the network, beside what the lines of bridges and containers say."""
    firewall = namespace.firewall or Firewall()
    lines = [f"{tell_masquerade(each)}" for each in firewall.masquerades]
    if len(firewall.isolated) > 1:
        lines.append(f"no packet is forwarded between {join(plain(each) for each in sorted(firewall.isolated, key=order_of_bridge))}")
    known = {each.bridge for each in node.networks if each.internal}
    lines += [f"{plain(each)} is internal: no packet leaves it or enters it" for each in firewall.internal if each not in known]
    lines += [f"the ports of {plain(each)} may not talk to each other" for each in firewall.silent]
    asked = {(port.protocol, port.port) for container in node.containers for port in container.ports}
    for each in firewall.forwards:
        if namespace.kind != HOST or (each.protocol, each.port) not in asked:
            where = tell_port(each.protocol, each.port, each.address)
            target = f"[{each.to_address}]" if each.to_address.version == 6 else each.to_address
            lines.append(f"{where} leads to {target}:{each.to_port}")
    return lines


def tell_tables(namespace: NetworkNamespace, telling: Telling) -> list[str]:
    """Routes, neighbours, forwarding tables and rules, as far as they were asked for."""
    lines = []
    if "routes" in telling.show:
        wanted = (each for each in namespace.routes if "macs" in telling.show or not is_chance(each.destination))
        lines += [tell_route(each) for each in wanted]
        lines += ["forwards packets"] * namespace.forwards_packets
    if "neighbours" in telling.show:
        lines += [
            f"neighbour {each.address} on {plain(each.interface)}: {_tell_mac(each.mac, telling) if each.mac else 'nobody answered'}"
            for each in namespace.neighbours
        ]
    if "fdb" in telling.show:
        lines += [_tell_entry(each, telling) for each in namespace.forwarding if each.kind != "permanent" or each.destination]
    if "rules" in telling.show and namespace.firewall:
        lines += _tell_rules(namespace.firewall)
    return lines


def _tell_mac(mac: str, telling: Telling) -> str:
    return f"{plain(mac)}" + (f" ({telling.owners[mac]})" if mac in telling.owners else "")


def _tell_entry(each, telling: Telling) -> str:
    words = f"{plain(each.owner)} sends frames for {_tell_mac(each.mac, telling)} to "
    words += f"the VTEP {each.destination}" if each.destination else plain(each.port)
    return words + (f", VLAN {each.vlan}" if each.vlan is not None else "") + f" ({plain(each.kind)})"


def _tell_rules(firewall: Firewall) -> list[str]:
    policies = [f"{plain(p.table)} {plain(p.chain)} {plain(p.verdict)} (IPv{p.family})" for p in firewall.policies]
    lines = [f"policies: {', '.join(policies)}"] if policies else []
    return [*lines, f"rules by {plain(firewall.backend) or 'nothing'}:", *indent(plain(rule) for rule in firewall.rules)]
