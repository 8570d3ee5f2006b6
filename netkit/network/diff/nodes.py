"""Nodes that come and go, and the services of a swarm."""

from __future__ import annotations

from collections.abc import Iterator

from netkit.network.diff.atoms import Atom, Pool
from netkit.network.diff.value import Change
from netkit.network.diff.view import Side, View
from netkit.network.model import Node
from netkit.network.text.node import tell_node
from netkit.network.text.service import tell_service
from netkit.network.words import plain

STATES = {"idle": "not started yet"}


def tell_nodes(view: View, pool: Pool) -> Iterator[Change]:
    """Nodes that appeared or vanished, started or stopped, with all that came or went with them."""
    for atom in pool:
        match atom.path:
            case ("nodes", name):
                pool.take(*atom.path)
                state = "" if atom.value.state == "up" else f": {_tell_node_state(atom.value)}"
                yield Change(atom.kind, name, f"{plain(name)} {atom.kind}{state}", _tell_inside(view.side(atom), atom.value))
            case ("nodes", name, "state"):
                yield _tell_state(view, pool, name)


def _tell_state(view: View, pool: Pool, name: str) -> Change:
    pool.take_under("nodes", name)
    before, after = view.before.topology.node(name), view.after.topology.node(name)
    side = view.after if after.state == "up" else view.before
    details = _tell_inside(side, side.topology.node(name)) if "up" in (before.state, after.state) else ()
    return Change("changed", name, f"{plain(name)} is {_tell_node_state(after)} now (was: {_tell_node_state(before)})", details)


def _tell_node_state(node: Node) -> str:
    state = plain(STATES.get(node.state, node.state))
    return f"{state}: {plain(node.trouble)}" if node.trouble and node.trouble != state else state


def _tell_inside(side: Side, node: Node) -> tuple[str, ...]:
    return tuple(line.removeprefix("  ") for line in tell_node(node, side.telling)[1:])


def tell_services(view: View, pool: Pool) -> Iterator[Change]:
    """Services that appeared or vanished, and tasks that appeared, vanished or changed."""
    for atom in pool:
        match atom.path:
            case ("services", name):
                pool.take(*atom.path)
                head, *lines = tell_service(atom.value)
                words = head.partition(": ")[2]
                details = tuple(line.removeprefix("  ") for line in lines)
                also = tuple(f"service {name}/task {task.name}" for task in atom.value.tasks)
                yield Change(atom.kind, f"service {name}", f"service {plain(name)} {atom.kind}: {words}", details, also=also)
            case ("services", name, "tasks", _):
                pool.take(*atom.path)
                yield _tell_task(name, atom)


def _tell_task(service: str, atom: Atom) -> Change:
    task = atom.value
    words = f"service {plain(service)}: task {plain(task.name)} {atom.kind} on {plain(task.node) or 'no node'}, {plain(task.state)}"
    return Change(atom.kind, f"service {service}/task {task.name}", words)
