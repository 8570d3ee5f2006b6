"""Single fields of nodes, networks, containers, services; and in the end all that no story has told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from netkit.network.diff.atoms import Atom, Pool
from netkit.network.diff.show import tell_difference, tell_value
from netkit.network.diff.value import Change
from netkit.network.diff.view import View, where
from netkit.network.model import HOST
from netkit.network.words import is_chance, plain, tell_ports

THINGS = {"networks": "network", "containers": "container", "services": "service", "tasks": "task", "endpoints": "network"}


def tell_fields(view: View, pool: Pool) -> Iterator[Change]:
    """Fields that have a sentence of their own."""
    for atom in pool:
        told = _tell_field(view, atom)
        if told:
            pool.take(*atom.path)
            if atom.path[2:] == ("engine", "state"):
                pool.take_under(*atom.path[:3])
            yield Change(atom.kind, *told)


def _tell_field(view: View, atom: Atom) -> tuple[str, str] | None:
    """What the change is about, and its sentence; None if it has none of its own."""
    match atom.path:
        case ("nodes", node, "containers", name, "ports", port) if atom.kind != "changed" and dataclasses.is_dataclass(port):
            (words,) = tell_ports([port], node)
            words = words.replace(" leads ", " no longer leads ") if atom.kind == "vanished" else words
            about = f"{node}/container {_name(name)}/port {port.port}/{port.protocol}"
            return about, f"{where(node)}container {plain(_name(name))}: {words}"
        case ("nodes", node, "containers", name, "state"):
            words = f"container {plain(_name(name))} is {plain(atom.after)} now (was: {plain(atom.before)})"
            return f"{node}/container {_name(name)}", where(node) + words
        case ("nodes", node, "namespaces", stack, "forwards_packets"):
            words = "the kernel forwards packets now" if atom.after else "the kernel no longer forwards packets"
            return f"{node}/{stack}", where(node, stack) + words
        case ("nodes", node, "namespaces", stack, "resolver") if atom.before is None:
            return f"{node}/{stack}", f"{where(node, stack)}the embedded DNS server listens at {atom.after} now"
        case ("nodes", node, "namespaces", stack, "resolver") if atom.after is None:
            return f"{node}/{stack}", f"{where(node, stack)}the embedded DNS server no longer listens at {atom.before}"
        case ("nodes", node, "swarm") if atom.before is None:
            return node, f"{plain(node)} is a swarm's {plain(atom.after.role)} now"
        case ("nodes", node, "swarm") if atom.after is None:
            return node, f"{plain(node)} is in no swarm now (was: {plain(atom.before.role)})"
        case ("nodes", node, "engine", "state"):
            trouble = view.after.topology.node(node).engine.trouble
            words = f"{where(node)}the Docker engine is {plain(atom.after)} now (was: {plain(atom.before)})"
            return node, f"{words}: {plain(trouble)}" if trouble else words
        case ("services", service, "tasks", task, "state"):
            words = f"service {plain(service)}: task {plain(_name(task))} is {plain(atom.after)} now (was: {plain(atom.before)})"
            return f"service {service}/task {_name(task)}", words
    return None


def tell_rest(view: View, pool: Pool) -> Iterator[Change]:
    """Whatever is left, as it is: nothing is left out."""
    for atom in pool:
        pool.take(*atom.path)
        about, subject, rest = _split(atom)
        words = tell_difference(dataclasses.replace(atom, path=rest))
        if not rest:
            words = f"{tell_value(atom.after)} (was: {tell_value(atom.before)})"
        yield Change(atom.kind, about, f"{subject}: {words}", told_with="macs" if _is_lot(atom) else "")


def _is_lot(atom: Atom) -> bool:
    """Whether this is a MAC address, or follows from one."""
    if atom.path[-1] == "mac":
        return True
    return atom.kind != "changed" and "addresses" in atom.path[:-1] and hasattr(atom.value, "is_link_local") and is_chance(atom.value)


def _split(atom: Atom) -> tuple[str, str, tuple]:
    """What a difference is about, its subject in words, and the steps that are left."""
    match atom.path:
        case ("lan", *rest):
            return "LAN", "LAN", tuple(rest)
        case ("nodes", node, "namespaces", stack, *rest):
            return f"{node}/{_name(stack)}", plain(node) if stack == HOST else f"{plain(node)}: {plain(_name(stack))}", tuple(rest)
        case ("nodes", node, "containers" as many, name, "endpoints", network, *rest):
            subject = f"{plain(node)}: {THINGS[many]} {plain(_name(name))} in network {plain(_name(network))}"
            return f"{node}/{THINGS[many]} {_name(name)}/network {_name(network)}", subject, tuple(rest)
        case ("nodes", node, ("networks" | "containers") as many, name, *rest):
            return f"{node}/{THINGS[many]} {_name(name)}", f"{plain(node)}: {THINGS[many]} {plain(_name(name))}", tuple(rest)
        case ("nodes", node, *rest):
            return _name(node), plain(_name(node)), tuple(rest)
        case ("services", service, "tasks", task, *rest):
            about = f"service {_name(service)}/task {_name(task)}"
            return about, f"service {plain(_name(service))}: task {plain(_name(task))}", tuple(rest)
        case ("services", service, *rest):
            return f"service {_name(service)}", f"service {plain(_name(service))}", tuple(rest)
    return "topology", "topology", atom.path


def _name(key: object) -> str:
    """The name in a step of a path; that of the second of a name is numbered."""
    return str(key[0] if isinstance(key, tuple) else key)
