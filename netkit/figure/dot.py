"""A topology for Graphviz: nodes and namespaces as clusters, interfaces as boxes, what joins them as edges."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from netkit.network.model import HOST, End, Interface, Lan, NetworkNamespace, Node, Topology
from netkit.network.select import calc_selection
from netkit.network.words import plain, tell_addresses, tell_condition, tell_stack

HEAD = (
    "graph [newrank=true, rankdir=LR, fontname=sans]",
    "node [shape=box, fontname=sans, fontsize=10]",
    "edge [fontname=sans, fontsize=9]",
)
LAN_ID = "LAN"


def to_dot(topology: Topology, *, node: str | None = None, focus: Collection[str] = ()) -> str:
    """The network in the DOT language, always the same for the same network, without a newline at the end.

    ``node`` and ``focus`` choose a part of it as in ``to_text``. Edges are veth pairs, ports of bridges,
    parents of macvlan, ipvlan, vlan and VXLAN devices, tunnels between VTEPs, and cables to the LAN.
    Raises NetkitError for the name of a node, container or namespace that is not there.
    """
    picture = calc_selection(topology, node, focus)
    lines = list(HEAD)
    if picture.lan:
        lines.append(_box(LAN_ID, [plain(picture.lan.name), str(picture.lan.subnet)], shape="ellipse"))
    for each in picture.nodes:
        lines += _draw_node(each)
    lines += [*_join_pairs(picture), *_join_ports(picture), *_join_parents(picture), *_join_tunnels(picture), *_join_lan(picture)]
    return "\n".join(["graph topology {", *indent(lines), "}"])


def indent(lines: Iterable[str]) -> list[str]:
    """The lines, one step further in."""
    return [f"  {line}" for line in lines]


def quote(text: str) -> str:
    """A text as a quoted DOT string, shown as it is: no escape sequence, no HTML, no end of the string in it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _label(lines: Collection[str]) -> str:
    """Several lines as one label; the line breaks are the only escape sequences in it."""
    # "&lt;" would be shown as "<": Graphviz reads the entities of HTML even in labels that are none
    return '"' + "\\n".join(quote(line.replace("&", "&amp;"))[1:-1] for line in lines) + '"'


def _box(name: str, lines: Collection[str], **attributes: str) -> str:
    told = "".join(f", {key}={value}" for key, value in attributes.items())
    return f"{quote(name)} [label={_label(lines)}{told}]"


def _edge(one: str, other: str, **attributes: str) -> str:
    told = ", ".join(f"{key}={value}" for key, value in attributes.items())
    return f"{quote(one)} -- {quote(other)}" + (f" [{told}]" if told else "")


def _cluster(name: str, label: str, lines: Collection[str]) -> list[str]:
    return [f"subgraph {quote('cluster ' + name)} {{", *indent([f"label={_label([label])}", *lines]), "}"]


def _id(end: End) -> str:
    return plain(str(end))


def _draw_node(node: Node) -> list[str]:
    label = plain(node.name) + (f" {node.address}" if node.address else "")
    if node.state != "up":
        label += f", {plain(node.trouble or node.state)}"
    lines = [line for namespace in node.namespaces for line in _draw_namespace(node, namespace)]
    if not node.namespaces:  # Graphviz leaves out clusters with nothing in them
        lines = [_box(f"{plain(node.name)}/", [plain(node.state)], style="dashed")]
    return _cluster(plain(node.name), label, lines)


def _draw_namespace(node: Node, namespace: NetworkNamespace) -> list[str]:
    sharing = [each.name for each in node.containers if each.sandbox and each.sandbox.namespace == namespace.name]
    others = [plain(name) for name in sharing if namespace.name != f"container {name}"]
    label = tell_stack(namespace.name, node.name) + (f", also of {', '.join(others)}" if others else "")
    boxes = [_draw_interface(node, namespace, each) for each in namespace.interfaces]
    if not boxes:
        boxes = [_box(f"{plain(node.name)}/{plain(namespace.name)}/", ["no interface"], style="dashed")]
    return _cluster(f"{plain(node.name)}/{plain(namespace.name)}", label, boxes)


def _draw_interface(node: Node, namespace: NetworkNamespace, interface: Interface) -> str:
    end = End(node=node.name, namespace=namespace.name, interface=interface.name)
    condition = tell_condition(interface)
    lines = [plain(interface.name), tell_addresses(interface).replace(" and ", ", "), condition]
    networks = [plain(each.name) for each in node.networks if namespace.name == HOST and each.bridge == interface.name]
    if networks:
        lines.append(f"network {', '.join(networks)}")
    if interface.vxlan:
        lines.append(f"VNI {interface.vxlan.vni}, UDP port {interface.vxlan.port}")
    shape = {"bridge": "component", "loopback": "oval"}.get(interface.kind, "box")
    style = {"style": "dashed"} if condition else {}
    return _box(_id(end), [line for line in lines if line], shape=shape, **style)


def _join_pairs(picture: Topology) -> Iterator[str]:
    for end, interface in picture.ends():
        peer = interface.peer
        far = picture.at(peer) if peer else None
        # each pair is found from both ends: it is drawn from the one that is a bridge's port
        if far and (far.peer != end or (not interface.master, _id(end)) < (not far.master, _id(peer))):
            yield _edge(_id(end), _id(peer), label=_label(["veth pair"]), style="bold")


def _join_ports(picture: Topology) -> Iterator[str]:
    for end, interface in picture.ends():
        bridge = End(node=end.node, namespace=end.namespace, interface=interface.master) if interface.master else None
        if bridge and picture.at(bridge):
            yield _edge(_id(bridge), _id(end), label=_label(["port"]))


def _join_parents(picture: Topology) -> Iterator[str]:
    for end, interface in picture.ends():
        if interface.parent and picture.at(interface.parent):
            mode = f" in mode {interface.macvlan_mode}" if interface.macvlan_mode else ""
            yield _edge(_id(interface.parent), _id(end), label=_label([plain(interface.kind + mode)]), style="dashed")


def _join_tunnels(picture: Topology) -> Iterator[str]:
    """VTEPs of one VNI on different nodes that send to one another."""
    vteps = [(end, each) for end, each in picture.ends() if each.vxlan]
    for end, interface in vteps:
        for other, far in vteps:
            if end.node == other.node or far.vxlan.vni != interface.vxlan.vni:
                continue
            there, back = _sends(picture, end, other), _sends(picture, other, end)
            if there and not (back and _id(other) < _id(end)):
                yield _edge(_id(end), _id(other), label=_label([f"VXLAN {interface.vxlan.vni}"]), style="dotted")


def _sends(picture: Topology, vtep: End, other: End) -> bool:
    """Whether a VTEP has an entry that leads to the node of the other."""
    stack, target = picture.node(vtep.node).namespace(vtep.namespace), picture.node(other.node).address
    return target is not None and any((row.port, row.destination) == (vtep.interface, target) for row in stack.forwarding)


def _join_lan(picture: Topology) -> Iterator[str]:
    lan: Lan | None = picture.lan
    for end, interface in picture.ends() if lan else ():
        on_lan = any(address.ip in lan.subnet for address in interface.addresses)
        if end.namespace == HOST and on_lan and interface.kind in ("veth", "physical") and not interface.peer:
            yield _edge(LAN_ID, _id(end))
