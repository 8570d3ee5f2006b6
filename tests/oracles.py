"""What the plain commands of the field say of a machine, for comparison with a capture of it."""

from __future__ import annotations

import ipaddress
import json

from netkit.laboratory.lab import Node as Host
from netkit.network.model import End, Interface, NetworkNamespace, Node, Topology

FIRST_INODE = 0xF0000000  # <linux/proc_ns.h>: PROC_DYNAMIC_FIRST, from which namespaces are numbered


def ask(host: Host, namespace: NetworkNamespace, command: str) -> list[dict]:
    """Run a command that answers in JSON inside a namespace of a host."""
    if namespace.name == "host":
        where = ""
    elif namespace.paths:
        where = f"nsenter --net={namespace.paths[0]} "
    else:
        where = f"nsenter --net=$(ls -d /proc/[0-9]*/ns/net | while read f; do [ $(stat -Lc %i $f) = {namespace.inode} ] && echo $f && break; done) "
    return json.loads(host.run(where + command).stdout or "[]")


def find_inodes(host: Host) -> set[int]:
    """Every network namespace of a host, by mounted file or process: lsns(8) and the directories of files."""
    listed = host.run("stat -Lc %i /proc/[0-9]*/ns/net /run/docker/netns/* /run/netns/* 2>/dev/null", check=False).stdout.split()
    return {int(word) for word in listed if int(word) >= FIRST_INODE}  # a file nothing is mounted on is just a file


def tell_interface(interface: Interface) -> dict:
    """The facts about an interface that ip-link(8) and ip-address(8) know as well."""
    return {
        "name": interface.name,
        "index": interface.index,
        "kind": interface.kind,
        "mac": interface.mac,
        "mtu": interface.mtu,
        "up": interface.up,
        "state": interface.state,
        "addresses": sorted(map(str, interface.addresses)),
        "master": interface.master,
        "vxlan": (interface.vxlan.vni, interface.vxlan.port, interface.vxlan.proxy) if interface.vxlan else None,
        "macvlan": interface.macvlan_mode,
        "port": interface.port and (interface.port.state, interface.port.hairpin),
        "stp": interface.bridge and interface.bridge.stp != "off",
    }


def read_interfaces(host: Host, namespace: NetworkNamespace) -> list[dict]:
    """The same facts as `ip -j -d addr` gives them."""
    return [_tell_link(link) for link in ask(host, namespace, "ip -j -d addr show")]


def _tell_link(link: dict) -> dict:
    info = link.get("linkinfo", {})
    kind, data, port = info.get("info_kind"), info.get("info_data", {}), info.get("info_slave_data", {})
    loopback = link["link_type"] == "loopback"
    return {
        "name": link["ifname"],
        "index": link["ifindex"],
        "kind": kind or ("loopback" if loopback else "physical"),
        "mac": "" if loopback else link["address"],
        "mtu": link["mtu"],
        "up": "UP" in link["flags"],
        "state": link["operstate"].lower(),
        "addresses": sorted(f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"]),
        "master": link.get("master"),
        "vxlan": (data["id"], data["port"], bool(data.get("proxy"))) if kind == "vxlan" else None,
        "macvlan": data.get("mode") if kind == "macvlan" else None,
        "port": (port["state"], bool(port["hairpin"])) if info.get("info_slave_kind") == "bridge" else None,
        "stp": bool(data["stp_state"]) if kind == "bridge" else None,
    }


def tell_routes(namespace: NetworkNamespace) -> list[tuple]:
    return sorted(
        (str(route.destination), route.interface, route.gateway and str(route.gateway), route.metric, route.source and str(route.source))
        for route in namespace.routes
    )


def read_routes(host: Host, namespace: NetworkNamespace) -> list[tuple]:
    """Routes as `ip -j route` lists them, of every table but "local"."""
    found = []
    for family, anywhere in ((4, "0.0.0.0/0"), (6, "::/0")):
        for row in ask(host, namespace, f"ip -{family} -j route show table all"):
            if row.get("table") == "local":
                continue
            target = anywhere if row["dst"] == "default" else str(ipaddress.ip_network(row["dst"]))
            found.append((target, row.get("dev"), row.get("gateway"), row.get("metric", 0), row.get("prefsrc")))
    return sorted(found)


def tell_neighbours(namespace: NetworkNamespace) -> list[tuple]:
    return sorted((str(row.address), row.interface, row.mac) for row in namespace.neighbours)


def read_neighbours(host: Host, namespace: NetworkNamespace) -> list[tuple]:
    """Rows as `ip -j neigh` lists them."""
    rows = ask(host, namespace, "ip -j neigh show")
    return sorted((row["dst"], row["dev"], row.get("lladdr", "")) for row in rows)


def tell_forwarding(namespace: NetworkNamespace) -> list[tuple]:
    return sorted(
        (entry.mac, entry.port, str(entry.destination or ""), entry.kind == "permanent", entry.vlan or 0) for entry in namespace.forwarding
    )


def read_forwarding(host: Host, namespace: NetworkNamespace) -> list[tuple]:
    """Rows as `bridge -j fdb` lists them, without the lists of groups that devices hear."""
    vteps = {interface.name for interface in namespace.interfaces if interface.kind == "vxlan"}
    return sorted(
        (row["mac"], row["ifname"], row.get("dst", ""), row.get("state") == "permanent", row.get("vlan", 0))
        for row in ask(host, namespace, "bridge -j fdb show")
        if "master" in row or (row["ifname"] in vteps and "self" in row["flags"])
    )


def read_other_end(host: Host, namespace: NetworkNamespace, name: str) -> int:
    """The number of a veth's other end, as its driver tells it (ethtool -S)."""
    enter = f"nsenter --net={namespace.paths[0]} " if namespace.name != "host" and namespace.paths else ""
    return int(host.run(f"{enter}ethtool -S {name} | sed -n 's/ *peer_ifindex: //p'").stdout)


def check_references(topology: Topology) -> None:
    """A topology names nothing that is not in it: what every capture must hold, whatever changes meanwhile."""
    for end, interface in topology.ends():
        _check_interface(topology, end, interface)
    for node in topology.nodes:
        _check_containers(topology, node)


def _check_interface(topology: Topology, end: End, interface: Interface) -> None:
    if interface.peer:
        other = topology.at(interface.peer)
        assert other is not None and other.peer == end, f"{end} says its other end is {interface.peer}, which does not agree"
    elif interface.kind == "veth":
        assert (end.namespace, end.interface) == ("host", "eth0"), f"{end} has no other end"
    if interface.master:
        master = topology.at(End(node=end.node, namespace=end.namespace, interface=interface.master))
        assert master is not None and master.kind == "bridge", f"{end} is a port of {interface.master}, which is not there"
    if interface.parent:
        assert topology.at(interface.parent) is not None, f"{end} sits on {interface.parent}, which is not there"


def _check_containers(topology: Topology, node: Node) -> None:
    for container in node.containers:
        if container.sandbox:
            assert node.namespace(container.sandbox.namespace), f"{container.name} is in {container.sandbox.namespace}, which is not there"
        for endpoint in container.endpoints:
            assert endpoint.interface is None or topology.at(endpoint.interface), f"{container.name}: {endpoint} is not there"
