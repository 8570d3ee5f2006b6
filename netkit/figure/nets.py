"""What the wires of a node end at."""

from __future__ import annotations

from netkit.figure.picture import ASIDE, DETAIL, NET, SMALL, Words, calc_clean
from netkit.figure.plan import Context, Label, Net, tell_kind, tell_port
from netkit.network.model import HOST, End, Interface, NetworkNamespace, Node

SUBDEVICES = ("macvlan", "ipvlan")
NAMES = {"docker0": "bridge"}  # also where the engine cannot be asked


def is_uplink(interface: Interface) -> bool:
    """Whether an interface of the node's own namespace leads out of the picture: a cable, or a card."""
    if interface.kind == "veth":
        return interface.peer is None and not (interface.master and interface.name.startswith("veth"))
    return interface.kind == "physical"


def find_network(here: End, node: Node) -> str:
    """The network of the endpoint at an interface, or ""."""
    return next((point.network for each in node.containers for point in each.endpoints if point.interface == here), "")


def calc_nets(node: Node, context: Context) -> dict[str, Net]:
    """Every bridge and overlay of a node, and whatever else its wires end at, by key."""
    host = node.namespace(HOST)
    found = [_make_bridge(node, host, each, context) for each in host.interfaces if each.kind == "bridge"] if host else []
    found += [_make_overlay(node, each, context) for each in node.namespaces if each.kind == "overlay"]
    nets = {net.key: net for net in found}
    for namespace in node.namespaces:
        for interface in namespace.interfaces if namespace.kind not in (HOST, "overlay") else ():
            here = End(node=node.name, namespace=namespace.name, interface=interface.name)
            key, _ = find_net(here, interface, node)
            kind = key.partition(" ")[0]
            if kind == "pair":
                nets.setdefault(key, Net(key=key, kind=kind, bar=Label(role="", about=str(here))))
            elif kind == "chip":
                nets.setdefault(key, Net(key=key, kind=kind, bar=_make_chip(interface.peer, node, context)))
            elif kind == "parent":
                nets.setdefault(key, _make_parent(key, here, interface, node, context))
    return nets


def find_net(here: End, interface: Interface, node: Node) -> tuple[str, End | None]:
    """The key of what an interface is wired to ("" for nothing), its kind first; and the far end if it has a name of its own there."""
    if interface.kind in SUBDEVICES and interface.parent:
        return f"parent {find_network(here, node) or interface.parent.interface}", None
    peer = interface.peer
    other = node.namespace(peer.namespace) if peer and peer.node == node.name else None
    far = other.interface(peer.interface) if other else None
    if far is None:
        return "", None
    if other.kind == "overlay":
        return f"overlay {other.title}", peer
    if other.kind != HOST:
        return "pair " + " ".join(sorted((str(here), str(peer)))), None
    master = other.interface(far.master) if far.master else None
    return (f"bridge {master.name}", peer) if master and master.kind == "bridge" else (f"chip {far.name}", None)


def _write(role: str, title: str, aside: str, details: list[str], **more) -> Label:
    first = ((Words(title), NET), *([(Words(aside), ASIDE)] if aside else []))
    return Label(role=role, lines=(first, *(((Words(text), DETAIL),) for text in details)), mark="symbol", pad=2.5, **more)


def _make_chip(end: End, node: Node, context: Context) -> Label:
    """An end without a master, such as that of a veth pair which was not made a bridge's port."""
    interface = node.namespace(HOST).interface(end.interface)
    texts = (context.words(tell_port(interface), str(end)).text, *context.lines(interface))
    return Label(role="extra", about=str(end), lines=tuple(((Words(text), DETAIL),) for text in texts), pad=2.5)


def _make_parent(key: str, here: End, interface: Interface, node: Node, context: Context) -> Net:
    network = find_network(here, node)
    found = node.network(network) if network else None
    word = f"{interface.kind} {interface.macvlan_mode or ''}".strip()
    lines = [str(net) for net in found.subnets] if found and "addresses" in context.show else []
    about = f"{node.name}/network {network}"
    title = context.term("network", calc_clean(network)) if network else interface.kind
    detail = " ".join([*lines, f"on {calc_clean(interface.parent.interface)}"])
    more = {"about": about if network else str(here), "network": network or interface.kind, "highlight": context.mark(about)}
    bar = _write("parent", title, word if network else "", [detail], **more)
    return Net(key=key, kind="parent", bar=bar, parent=interface.parent.interface)


def _make_bridge(node: Node, host: NetworkNamespace, bridge: Interface, context: Context) -> Net:
    network = next((each for each in node.networks if each.bridge == bridge.name), None)
    ports = [each for each in host.interfaces if each.master == bridge.name and each.peer is None]
    uplink = next((each.name for each in ports if is_uplink(each)), "")
    vtep = next((each for each in ports if each.vxlan), None)
    others = [calc_clean(each.name) for each in ports if each is not vtep and each.name != uplink]
    name, kernel_name = (network.name if network else bridge.name), bridge.kernel_name or bridge.name
    # a name made of the network's id tells nothing that the network's own does not
    shown, made = calc_clean(kernel_name), kernel_name == name or (len(kernel_name) == 15 and kernel_name.startswith("br-"))
    firewall = host.firewall
    flags = {
        "internal": (network and network.internal) or (firewall and bridge.name in firewall.internal),
        "icc off": firewall and bridge.name in firewall.silent,
        "down": not bridge.up,
    }
    about = f"{node.name}/{HOST}/{bridge.name}"
    title = context.term("network", calc_clean(name)) if network else shown
    aside = " ".join([*([] if made else [shown]), *(f"· {word}" for word, holds in flags.items() if holds)])
    details = [*context.lines(bridge), *([f"+ {' '.join(others)}"] if others else [])]
    highlight = context.mark(*([f"{node.name}/network {name}"] if network else []), about)
    more = {"about": about, "network": name if network else NAMES.get(name, name), "highlight": highlight}
    chip = _make_vtep(node, host, vtep, name, context) if vtep else None
    bar = _write("bar", title, aside, details, spare=shown if made and kernel_name != name else "", chip=chip, **more)
    return Net(key=f"bridge {bridge.name}", kind="bridge", bar=bar, parent=uplink, tunnel=vtep and (vtep.vxlan.vni, vtep.vxlan.port))


def _make_overlay(node: Node, namespace: NetworkNamespace, context: Context) -> Net:
    vtep = next((each for each in namespace.interfaces if each.vxlan), None)
    bridges = [each for each in namespace.interfaces if each.kind == "bridge"][:1]
    rest = [each for each in namespace.interfaces if each not in (vtep, *bridges) and each.kind != "loopback" and each.peer is None]
    name = namespace.title
    details = [" ".join((calc_clean(each.name), *context.lines(each))) for each in bridges]
    details += [f"+ {' '.join(f'{calc_clean(each.name)} ({tell_kind(each)})' for each in rest)}"] if rest else []
    about = f"{node.name}/{namespace.name}"
    more = {"about": about, "network": name, "highlight": context.mark(f"{node.name}/network {name}", about, f"network {name}")}
    chip = _make_vtep(node, namespace, vtep, name, context) if vtep else None
    bar = _write("band", context.term("network", calc_clean(name)), "overlay", details, chip=chip, **more)
    return Net(key=f"overlay {name}", kind="overlay", bar=bar, tunnel=vtep and (vtep.vxlan.vni, vtep.vxlan.port))


def _make_vtep(node: Node, namespace: NetworkNamespace, vtep: Interface, network: str, context: Context) -> Label:
    about = f"{node.name}/{namespace.name}/{vtep.name}"
    name = Words(context.words(calc_clean(vtep.name), about).text, about)
    lines = (((name, DETAIL),), ((Words(f"VNI {vtep.vxlan.vni}"), SMALL),))
    return Label(role="vtep", lines=lines, about=about, network=network, pad=1.0)
