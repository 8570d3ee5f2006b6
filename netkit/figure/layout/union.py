"""Two topologies in one, and what changed between them: for drawing what has vanished beside what is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netkit.network.canon import calc_container_names, calc_names
from netkit.network.model import NetworkNamespace, Node, Topology

HIGHLIGHTS = {"appeared": "new", "vanished": "gone", "changed": "changed", "moved": "changed"}


def calc_union(topology: Topology, diff) -> tuple[Topology, dict[str, str]]:
    """The topology together with what ``diff.before`` had beside it, and the highlights: {about: new, gone, changed}.

    ``diff`` has ``before``, ``after`` and ``changes``, each change a ``kind`` and an ``about``; or it is None.
    """
    if diff is None:
        return topology, {}
    before = getattr(diff, "before", None) or Topology()
    gone: dict[str, str] = {}
    old = {node.name: node for node in before.nodes}
    nodes = [_merge_node(old.pop(node.name), node, gone) if node.name in old else node for node in topology.nodes]
    for node in old.values():
        gone[node.name] = "gone"
    union = replace(topology, nodes=(*nodes, *old.values()), lan=topology.lan or before.lan)
    return union, _call_by_real_names(union, _calc_told(diff)) | gone


def _calc_told(diff) -> dict[str, str]:
    """The highlights by the names that the diff has, without what a reader is told only on request."""
    told: dict[str, str] = {}
    for change in diff.changes:
        if change.kind in HIGHLIGHTS and getattr(change, "told_with", "") in ("", "follows"):
            for about in (change.about, *getattr(change, "also", ())):
                told.setdefault(about, HIGHLIGHTS[change.kind])
    return told


def _call_by_real_names(union: Topology, told: dict[str, str]) -> dict[str, str]:
    """The highlights, also under its own name where a thing is told by its telling one."""
    found = dict(told)
    for node in union.nodes:
        containers = calc_container_names(node)
        for namespace in node.namespaces:
            names = calc_names(node, namespace)
            telling = f"{node.name}/{_call_stack(namespace.name, containers)}"
            real = f"{node.name}/{namespace.name}"
            places = {telling: real} | {
                f"{telling}/{names.get(each.name, each.name)}": f"{real}/{each.name}" for each in namespace.interfaces
            }
            found |= {own: told[place] for place, own in places.items() if place in told}
    return found


def _call_stack(name: str, containers: dict[str, str]) -> str:
    word, _, title = name.partition(" ")
    return f"{word} {containers[title]}" if word == "container" and title in containers else name


def _missing(old: Iterable, new: Iterable, before: dict[str, str], now: dict[str, str]) -> list:
    """Those of the old ones that are not among the new ones, by their telling names."""
    known = {now.get(each.name, each.name) for each in new}
    return [each for each in old if before.get(each.name, each.name) not in known]


def _merge_node(old: Node, new: Node, gone: dict[str, str]) -> Node:
    """The new node with what only the old one had; ``gone`` learns of that."""
    was, now = calc_container_names(old), calc_container_names(new)
    containers = _missing(old.containers, new.containers, was, now)
    networks = _missing(old.networks, new.networks, {}, {})
    stacks = [{each.name: _call_stack(each.name, names) for each in node.namespaces} for node, names in ((old, was), (new, now))]
    namespaces = _missing(old.namespaces, new.namespaces, *stacks)
    places = [f"container {each.name}" for each in containers] + [f"network {each.name}" for each in networks]
    gone |= {f"{new.name}/{place}": "gone" for place in (*places, *(each.name for each in namespaces))}
    merged = [_merge_namespace(old, new, namespace, gone) for namespace in new.namespaces]
    return replace(
        new,
        namespaces=(*merged, *namespaces),
        networks=(*new.networks, *networks),
        containers=(*new.containers, *containers),
    )


def _merge_namespace(old: Node, new: Node, namespace: NetworkNamespace, gone: dict[str, str]) -> NetworkNamespace:
    telling = _call_stack(namespace.name, calc_container_names(new))
    before = next((each for each in old.namespaces if _call_stack(each.name, calc_container_names(old)) == telling), None)
    if before is None:
        return namespace
    # a drawn name that is another one now still means the same interface
    names, former = calc_names(new, namespace), calc_names(old, before)
    now = {names.get(each.name, each.name): each.name for each in namespace.interfaces}
    lost = [each for each in before.interfaces if former.get(each.name, each.name) not in now]
    gone |= {f"{new.name}/{namespace.name}/{each.name}": "gone" for each in lost}
    kept = [replace(each, master=now.get(former.get(each.master, each.master), each.master) if each.master else None) for each in lost]
    return replace(namespace, interfaces=(*namespace.interfaces, *kept))
