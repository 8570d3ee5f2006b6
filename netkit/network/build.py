"""From the plain tables of :mod:`netkit.hosts` to a node of the model: pure."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable

from netkit.network.addresses import read_address, read_interface, read_ip, read_subnet
from netkit.network.build_engine import build_containers, build_networks
from netkit.network.firewall import calc_firewall
from netkit.network.model import (
    HOST,
    Bridge,
    BridgePort,
    End,
    Engine,
    ForwardingEntry,
    Interface,
    Ip,
    Neighbour,
    NetworkNamespace,
    Node,
    Route,
    Vxlan,
)

RESOLVER = read_address("127.0.0.11")
# libnetwork, osl.GenerateKey: twelve characters of "EPOCH-NETWORKID" for an overlay's namespace
OVERLAY = re.compile(r"\d+-([0-9a-z]{6,10})")
LOAD_BALANCER = re.compile(r"lb_([0-9a-z]{6,9})")


class Places:
    """What the inodes and interface numbers of one node's tables stand for."""

    def __init__(self, node: str, facts: dict) -> None:
        self._node = node
        self.names = _name_namespaces(facts)
        self._links = {(each["inode"], link["index"]): link["name"] for each in facts["namespaces"] for link in each["links"]}

    def name(self, inode: int, index: int | None) -> str | None:
        """An interface's name by its number."""
        return self._links.get((inode, index)) if index else None

    def end(self, place: list[int] | None) -> End | None:
        """An interface's place by its namespace's inode and its number."""
        interface = self.name(*place) if place else None
        return End(node=self._node, namespace=self.names[place[0]], interface=interface) if place and interface else None


def build_node(name: str, facts: dict, address: Ip | None = None) -> Node:
    """A node that answered, as far as it alone tells."""
    places = Places(name, facts)
    namespaces = tuple(_build_namespace(each, places) for each in facts["namespaces"])
    node = Node(name=name, address=address, namespaces=namespaces)
    engine = facts["engine"]
    if not engine:
        return node
    found = Engine(state=engine["state"], version=engine.get("version", ""), trouble=engine.get("trouble", ""))
    return Node(
        name=name,
        address=address,
        engine=found,
        namespaces=namespaces,
        networks=build_networks(engine),
        containers=build_containers(engine, node, places.names),
    )


def _name_namespaces(facts: dict) -> dict[int, str]:
    """The name of each namespace, by inode: unique on the node."""
    engine = facts["engine"] or {}
    networks = {network["Id"]: network["Name"] for network in engine.get("networks", ())}
    names = {facts["namespaces"][0]["inode"]: HOST}
    for container in engine.get("containers", ()):
        if not container["mode"].startswith("container:") and container["inode"]:
            names.setdefault(container["inode"], f"container {container['name']}")
    for each in facts["namespaces"]:
        if each["inode"] not in names:
            names[each["inode"]] = _name_other(each, networks)
    return _make_unique(names)


def _name_other(facts: dict, networks: dict[str, str]) -> str:
    for path in sorted(facts["paths"], key=lambda path: ("/docker/netns/" in path, path)):
        base = os.path.basename(path)
        if "/docker/netns/" in path:
            for pattern, word in ((OVERLAY, "overlay"), (LOAD_BALANCER, "lb")):
                match = pattern.fullmatch(base)
                name = match and next((name for id, name in networks.items() if id.startswith(match[1])), None)
                if name:
                    return f"{word} {name}"
            if base == "ingress_sbox":
                return base
        return f"netns {base}"
    return f"process {facts['command'] or 'unknown'}"


def _make_unique(names: dict[int, str]) -> dict[int, str]:
    seen: Counter[str] = Counter()
    unique = {}
    for inode, name in names.items():
        seen[name] += 1
        unique[inode] = name if seen[name] == 1 else f"{name} #{seen[name]}"
    return unique


KINDS = {"lb": "load-balancer", "netns": "named", "ingress_sbox": "ingress"}


def _build_namespace(facts: dict, places: Places) -> NetworkNamespace:
    inode = facts["inode"]
    addresses: dict[int, list[str]] = {}
    for index, text in facts["addresses"]:
        addresses.setdefault(index, []).append(text)
    vteps = {link["index"] for link in facts["links"] if link["kind"] == "vxlan"}
    name = places.names[inode]
    word = name.partition(" ")[0]
    return NetworkNamespace(
        name=name,
        kind=KINDS.get(word, word),
        interfaces=tuple(_build_interface(link, inode, addresses.get(link["index"], ()), places) for link in facts["links"]),
        routes=tuple(_build_route(row, places.name(inode, row["index"])) for row in facts["routes"] if _is_known(row, facts, places)),
        neighbours=tuple(
            _build_neighbour(row, places.name(inode, row["index"])) for row in facts["neighbours"] if _is_known(row, facts, places)
        ),
        forwarding=tuple(_build_entry(row, facts, places) for row in facts["forwarding"] if _is_forwarding(row, inode, vteps, places)),
        firewall=calc_firewall(facts["rules"]),
        forwards_packets=facts["forwards"],
        resolver=RESOLVER if facts["resolver"] else None,
        inode=inode,
        paths=tuple(facts["paths"]),
    )


def _is_known(row: dict, facts: dict, places: Places) -> bool:
    """Whether a row's interface still existed when the links were read; some rows have none."""
    return not row["index"] or places.name(facts["inode"], row["index"]) is not None


def _build_interface(link: dict, inode: int, addresses: Iterable[str], places: Places) -> Interface:
    return Interface(
        name=link["name"],
        kind=link["kind"],
        mac=link["mac"],
        mtu=link["mtu"],
        up=link["up"],
        state=link["state"],
        addresses=tuple(map(read_interface, addresses)),
        master=places.name(inode, link["master"]),
        peer=places.end(link["peer"]),
        parent=places.end(link.get("parent")),
        vxlan=_build_vxlan(link["vxlan"]) if "vxlan" in link else None,
        macvlan_mode=link.get("macvlan_mode"),
        vlan=link.get("vlan"),
        bridge=Bridge(**link["bridge"]) if "bridge" in link else None,
        port=BridgePort(**link["port"]) if "port" in link else None,
        index=link["index"],
    )


def _build_vxlan(facts: dict) -> Vxlan:
    return Vxlan(**facts | {"local": read_ip(facts["local"]), "group": read_ip(facts["group"])})


def _build_route(row: dict, interface: str | None) -> Route:
    return Route(
        destination=read_subnet(row["destination"]),
        interface=interface,
        gateway=read_ip(row["gateway"]),
        source=read_ip(row["source"]),
        kind=row["kind"],
        scope=row["scope"],
        metric=row["metric"],
        table=row["table"],
    )


def _build_neighbour(row: dict, interface: str | None) -> Neighbour:
    return Neighbour(address=read_address(row["address"]), interface=interface or "", mac=row["mac"], state=row["state"])


def _is_forwarding(row: dict, inode: int, vteps: set[int], places: Places) -> bool:
    """Whether a row belongs to a bridge or a VTEP: other devices list here which groups they hear."""
    if places.name(inode, row["index"]) is None:
        return False
    return bool(places.name(inode, row["master"])) or (row["own"] and row["index"] in vteps)


def _build_entry(row: dict, facts: dict, places: Places) -> ForwardingEntry:
    port = places.name(facts["inode"], row["index"]) or ""
    return ForwardingEntry(
        mac=row["mac"],
        port=port,
        owner=places.name(facts["inode"], row["master"]) or port,
        kind=row["kind"],
        destination=read_ip(row["destination"]),
        vlan=row["vlan"],
    )
