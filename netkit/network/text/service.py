"""A swarm's service in words."""

from __future__ import annotations

from netkit.network.model import Service
from netkit.network.text.telling import indent
from netkit.network.words import join, plain, tell_port


def tell_service(service: Service) -> list[str]:
    """The lines of one service: its virtual addresses, ports and tasks."""
    words = [plain(service.mode)]
    if service.replicas is not None:
        words.append("1 replica" if service.replicas == 1 else f"{service.replicas} replicas")
    if service.networks:
        words.append(("network " if len(service.networks) == 1 else "networks ") + join(map(plain, service.networks)))
    if service.resolution != "vip":
        words.append(f"found by {plain(service.resolution)}")
    lines = [f"virtual address {address} in network {plain(network)}" for network, address in service.vips]
    for port in service.ports:
        where = "every node" if port.mode == "ingress" else "each task's node"
        lines.append(f"{tell_port(port.protocol, port.port, None)} of {where} leads to port {port.target}")
    for task in service.tasks:
        at = f", {join(task.addresses)}" if task.addresses else ""
        lines.append(f"task {plain(task.name)} on {plain(task.node) or 'no node'}: {plain(task.state)}{at}")
    return [f"service {plain(service.name)}: {', '.join(words)}", *indent(lines)]
