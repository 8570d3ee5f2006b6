"""From the plain tables of :mod:`netkit.hosts` to a node of the model: pure."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict

from netkit.network import model
from netkit.network.build_engine import build_containers, build_networks
from netkit.network.firewall import calc_firewall
from netkit.network.kernel_model import HOST, read_address, read_interface, read_ip, read_subnet

RESOLVER = read_address("127.0.0.11")
# libnetwork, osl.GenerateKey: twelve characters of "EPOCH-NETWORKID" for an overlay's namespace
SECRET_NAMES = (("overlay", re.compile(r"\d+-([0-9a-z]{6,10})")), ("lb", re.compile(r"lb_([0-9a-z]{6,9})")))
KINDS = {"lb": "load-balancer", "netns": "named", "ingress_sbox": "ingress"}


class Places:
    """What the inodes and interface numbers of one node's tables stand for."""

    def __init__(self, node: str, facts: dict) -> None:
        self._node = node
        self.names = _name_namespaces(facts)
        self._links = {(each["inode"], link["index"]): link["name"] for each in facts["namespaces"] for link in each["links"]}

    def name(self, inode: int, index: int | None) -> str | None:
        """An interface's name by its number."""
        return self._links.get((inode, index)) if index else None

    def end(self, place: list[int] | None) -> model.End | None:
        """An interface's place by its namespace's inode and its number."""
        interface = self.name(*place) if place else None
        return model.End(node=self._node, namespace=self.names[place[0]], interface=interface) if place and interface else None


def build_node(name: str, facts: dict, address: model.Ip | None = None) -> model.Node:
    """A node that answered, as far as it alone tells.

    ``facts`` has what its kernel told (``namespaces``, see :mod:`netkit.hosts.collecting`) and what its engine did
    (``engine``, see :func:`netkit.network.capture.read_engine`; None on a host without one). Each running container has
    the ``inode`` of its namespace.
    """
    places = Places(name, facts)
    engine = facts["engine"] or {}
    namespaces = tuple(_build_namespace(each, places) for each in facts["namespaces"])
    return model.Node(
        name=name,
        address=address,
        engine=model.Engine(**{key: engine[key] for key in ("state", "version", "trouble") if key in engine}) if engine else None,
        namespaces=namespaces,
        networks=build_networks(engine),
        containers=build_containers(engine, name, {namespace.inode: namespace for namespace in namespaces}),
    )


def _name_namespaces(facts: dict) -> dict[int, str]:
    """The name of each namespace, by inode: unique on the node."""
    engine = facts["engine"] or {}
    networks = {network["Id"]: network["Name"] for network in engine.get("networks", ())}
    names = {facts["namespaces"][0]["inode"]: HOST}
    for container in engine.get("containers", ()):
        if container["inode"] and not (container["HostConfig"].get("NetworkMode") or "").startswith("container:"):
            names.setdefault(container["inode"], f"container {container['Name'].lstrip('/')}")
    seen: Counter[str] = Counter()
    for each in facts["namespaces"]:
        names.setdefault(each["inode"], _name_other(each, networks))
    for inode, name in names.items():
        seen[name] += 1
        names[inode] = name if seen[name] == 1 else f"{name} #{seen[name]}"
    return names


def _name_other(facts: dict, networks: dict[str, str]) -> str:
    """What to call a namespace that is no container's: after its file, or a process in it."""
    for path in sorted(facts["paths"], key=lambda path: ("/docker/netns/" in path, path)):
        base = os.path.basename(path)
        for word, pattern in SECRET_NAMES if "/docker/netns/" in path else ():
            match = pattern.fullmatch(base)
            name = match and next((name for id, name in networks.items() if id.startswith(match[1])), None)
            if name:
                return f"{word} {name}"
        return base if "/docker/netns/" in path and base == "ingress_sbox" else f"netns {base}"
    return f"process {facts['command'] or 'unknown'}"


def _build_namespace(facts: dict, places: Places) -> model.NetworkNamespace:
    inode = facts["inode"]
    addresses = defaultdict(list)
    for index, text in facts["addresses"]:
        addresses[index].append(read_interface(text))
    vteps = {link["index"] for link in facts["links"] if link["kind"] == "vxlan"}

    def known(rows: list[dict]) -> list[tuple[dict, str | None]]:
        """Rows with their interfaces' names, if those still existed when the links were read; some rows have none."""
        named = [(row, places.name(inode, row["index"])) for row in rows]
        return [(row, name) for row, name in named if name or not row["index"]]

    name = places.names[inode]
    word = name.partition(" ")[0]
    return model.NetworkNamespace(
        name=name,
        kind=KINDS.get(word, word),
        interfaces=tuple(_build_interface(link, inode, tuple(addresses[link["index"]]), places) for link in facts["links"]),
        routes=tuple(_build_route(row, interface) for row, interface in known(facts["routes"])),
        neighbours=tuple(
            model.Neighbour(address=read_address(row["address"]), interface=interface or "", mac=row["mac"], state=row["state"])
            for row, interface in known(facts["neighbours"])
        ),
        forwarding=tuple(
            _build_entry(row, port, places.name(inode, row["master"]))
            for row, port in known(facts["forwarding"])
            # of a bridge or a VTEP: other devices list here which groups they hear
            if port and (places.name(inode, row["master"]) or (row["own"] and row["index"] in vteps))
        ),
        firewall=calc_firewall(facts["rules"]),
        forwards_packets=facts["forwards"],
        resolver=RESOLVER if facts["resolver"] else None,
        inode=inode,
        paths=tuple(facts["paths"]),
    )


def _build_interface(link: dict, inode: int, addresses: tuple[model.Address, ...], places: Places) -> model.Interface:
    plain = ("name", "kind", "mac", "mtu", "up", "state", "macvlan_mode", "vlan", "index")
    vxlan = link.get("vxlan")
    return model.Interface(
        **{key: link[key] for key in plain if key in link},
        addresses=addresses,
        master=places.name(inode, link["master"]),
        peer=places.end(link["peer"]),
        parent=places.end(link["parent"]),
        vxlan=model.Vxlan(**vxlan | {"local": read_ip(vxlan["local"]), "group": read_ip(vxlan["group"])}) if vxlan else None,
        bridge=model.Bridge(**link["bridge"]) if "bridge" in link else None,
        port=model.BridgePort(**link["port"]) if "port" in link else None,
    )


def _build_route(row: dict, interface: str | None) -> model.Route:
    return model.Route(
        destination=read_subnet(row["destination"]),
        interface=interface,
        gateway=read_ip(row["gateway"]),
        source=read_ip(row["source"]),
        **{key: row[key] for key in ("kind", "scope", "metric", "table")},
    )


def _build_entry(row: dict, port: str, bridge: str | None) -> model.ForwardingEntry:
    return model.ForwardingEntry(
        mac=row["mac"], port=port, owner=bridge or port, kind=row["kind"], destination=read_ip(row["destination"]), vlan=row["vlan"]
    )
