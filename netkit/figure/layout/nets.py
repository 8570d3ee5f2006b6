"""What the wires of a node end at."""

from __future__ import annotations

from netkit.figure.layout.facts import Context, calc_interface_lines, calc_kind, calc_port_name, calc_words
from netkit.figure.layout.plan import Net, Vtep
from netkit.figure.layout.words import calc_clean
from netkit.network.model import HOST, End, Interface, Network, NetworkNamespace, Node

SUBDEVICES = ("macvlan", "ipvlan")
NAMES = {"docker0": "bridge"}  # also where the engine cannot be asked


def is_uplink(interface: Interface) -> bool:
    """Whether an interface of the node's own stack leads out of the picture: a cable, or a card."""
    if interface.kind == "veth":
        return interface.peer is None and not (interface.master and interface.name.startswith("veth"))
    return interface.kind == "physical"


def calc_nets(node: Node, context: Context) -> dict[str, Net]:
    """Every bridge and overlay of a node, and whatever else its wires end at, by key."""
    found: list[Net] = []
    for namespace in node.namespaces:
        if namespace.kind == HOST:
            found += [_bridge(node, namespace, each, context) for each in namespace.interfaces if each.kind == "bridge"]
        elif namespace.kind == "overlay":
            found.append(_overlay(node, namespace, context))
    known = {net.key: net for net in found}
    for namespace in node.namespaces:
        if namespace.kind not in (HOST, "overlay"):
            for interface in namespace.interfaces:
                here = End(node=node.name, namespace=namespace.name, interface=interface.name)
                net = _calc_further(here, interface, node, context)
                if net:
                    known.setdefault(net.key, net)
    return known


def find_net(here: End, interface: Interface, node: Node, nets: dict[str, Net]) -> tuple[str, End | None]:
    """The key of what an interface is wired to ("" for nothing), and the far end if it has a name of its own there."""
    key, far = _find_key(here, interface, node)
    return (key, far if nets[key].kind in ("bridge", "overlay") else None) if key in nets else ("", None)


def _find_key(here: End, interface: Interface, node: Node) -> tuple[str, End | None]:
    if interface.kind in SUBDEVICES and interface.parent:
        return f"parent {find_network(here, node) or interface.parent.interface}", None
    peer = interface.peer
    other = node.namespace(peer.namespace) if peer and peer.node == node.name else None
    far = other.interface(peer.interface) if other and peer else None
    if peer is None or other is None or far is None:
        return "", None
    if other.kind == "overlay":
        return f"overlay {other.title}", peer
    if other.kind != HOST:
        return "pair " + " ".join(sorted((str(here), str(peer)))), None
    master = other.interface(far.master) if far.master else None
    return (f"bridge {master.name}", peer) if master and master.kind == "bridge" else (f"chip {far.name}", None)


def find_network(here: End, node: Node) -> str | None:
    """The network of the endpoint at an interface."""
    return next((point.network for each in node.containers for point in each.endpoints if point.interface == here), None)


def _calc_further(here: End, interface: Interface, node: Node, context: Context) -> Net | None:
    key, _ = _find_key(here, interface, node)
    word = key.partition(" ")[0]
    if word == "pair":
        return Net(key=key, kind="pair", name="", about=str(here))
    if word == "chip" and interface.peer:
        far = node.namespace(HOST).interface(interface.peer.interface)
        words = calc_words(calc_port_name(far), str(interface.peer), context)
        return Net(
            key=key,
            kind="chip",
            name="",
            about=str(interface.peer),
            title=words.text,
            details=calc_interface_lines(far, context),
        )
    if word == "parent" and interface.parent:
        return _parent(key, here, interface, node, context)
    return None


def _parent(key: str, here: End, interface: Interface, node: Node, context: Context) -> Net:
    network = find_network(here, node)
    found = node.network(network) if network else None
    parent = calc_clean(interface.parent.interface)
    word = f"{interface.kind} {interface.macvlan_mode or ''}".strip()
    lines = [str(net) for net in found.subnets] if found and "addresses" in context.show else []
    return Net(
        key=key,
        kind="macvlan",
        name=network or interface.kind,
        about=f"{node.name}/network {network}" if network else str(here),
        title=context.term("network", calc_clean(network)) if network else interface.kind,
        aside=word if network else "",
        details=(" ".join([*lines, f"on {parent}"]),),
        parent=interface.parent.interface,
        highlight=context.highlights.get(f"{node.name}/network {network}", ""),
    )


def _bridge(node: Node, host: NetworkNamespace, interface: Interface, context: Context) -> Net:
    network = next((each for each in node.networks if each.bridge == interface.name), None)
    ports = [each for each in host.interfaces if each.master == interface.name and each.peer is None]
    uplink = next((each.name for each in ports if is_uplink(each)), "")
    vtep = next((each for each in ports if each.vxlan), None)
    title = calc_clean(network.name if network else interface.name)
    telling = network is not None and interface.name not in (network.name, f"br-{network.id[:12]}") and not _is_drawn(interface.name)
    about = f"{node.name}/{HOST}/{interface.name}"
    names = [f"{node.name}/network {network.name}"] if network else []
    others = [calc_clean(each.name) for each in ports if each is not vtep and each.name != uplink]
    lines = calc_interface_lines(interface, context)
    return Net(
        key=f"bridge {interface.name}",
        kind="bridge",
        name=network.name if network else NAMES.get(interface.name, interface.name),
        about=about,
        title=context.term("network", title) if network else title,
        aside=" ".join([*([calc_clean(interface.name)] if telling else []), *_calc_flags(node, host, interface, network)]),
        spare=calc_clean(interface.name) if network and title != calc_clean(interface.name) and not telling else "",
        details=(*lines, *([f"+ {' '.join(others)}"] if others else [])),
        parent=uplink,
        vtep=_vtep(node, host, vtep, context) if vtep else None,
        highlight=next((context.highlights[each] for each in (*names, about) if each in context.highlights), ""),
    )


def _is_drawn(name: str) -> bool:
    return len(name) == 15 and name.startswith("br-")


def _calc_flags(node: Node, host: NetworkNamespace, interface: Interface, network: Network | None) -> list[str]:
    firewall = host.firewall
    internal = (network and network.internal) or (firewall and interface.name in firewall.internal)
    silent = firewall and interface.name in firewall.silent
    flags = [("internal", internal), ("icc off", silent), ("down", not interface.up)]
    return [f"· {word}" for word, holds in flags if holds]


def _vtep(node: Node, namespace: NetworkNamespace, interface: Interface, context: Context) -> Vtep:
    about = f"{node.name}/{namespace.name}/{interface.name}"
    name = calc_words(calc_clean(interface.name), about, context)
    return Vtep(name=name, vni=interface.vxlan.vni, port=interface.vxlan.port)


def _overlay(node: Node, namespace: NetworkNamespace, context: Context) -> Net:
    vteps = [each for each in namespace.interfaces if each.vxlan]
    bridges = [each for each in namespace.interfaces if each.kind == "bridge"]
    known = [*vteps[:1], *bridges[:1]]
    rest = [each for each in namespace.interfaces if each not in known and each.kind != "loopback" and each.peer is None]
    name = namespace.title
    details = [" ".join((calc_clean(each.name), *calc_interface_lines(each, context))) for each in bridges[:1]]
    details += [f"+ {' '.join(f'{calc_clean(each.name)} ({calc_kind(each)})' for each in rest)}"] if rest else []
    abouts = (f"{node.name}/network {name}", f"{node.name}/{namespace.name}", f"network {name}")
    return Net(
        key=f"overlay {name}",
        kind="overlay",
        name=name,
        about=abouts[1],
        title=context.term("network", calc_clean(name)),
        aside="overlay",
        details=tuple(details),
        vtep=_vtep(node, namespace, vteps[0], context) if vteps else None,
        highlight=next((context.highlights[each] for each in abouts if each in context.highlights), ""),
    )
