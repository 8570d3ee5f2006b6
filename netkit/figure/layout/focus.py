"""A figure of some containers only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from netkit.errors import NetkitError
from netkit.figure.layout.order import make_more
from netkit.figure.layout.plan import Item, NodePlan
from netkit.network.canon import calc_container_names
from netkit.network.model import HOST, Node


def calc_focus(plans: Sequence[NodePlan], nodes: Sequence[Node], focus: Iterable[str]) -> list[NodePlan]:
    """The plans with those containers and what they hang on; others there are counted. Raises NetkitError for unknown ones."""
    wanted: set[str] = set()
    for name in [focus] if isinstance(focus, str) else focus:
        found = {place for node in nodes for each, place in _calc_names(node) if each == name}
        if not found:
            known = ", ".join(dict.fromkeys(each for node in nodes for each, _ in _calc_names(node)))
            raise NetkitError(f"there is no container or namespace {name!r} in this figure: there is {known or 'none'}")
        wanted |= found
    chosen = [_choose(plan, wanted) for plan in plans]
    overlays = {net for items, _ in chosen for item in items for net in item.nets if net.startswith("overlay ")}
    focused = [_focus(plan, items, guests, overlays) for plan, (items, guests) in zip(plans, chosen, strict=True)]
    return [plan for plan in focused if plan.plain or plan.items or plan.guests]


def _calc_names(node: Node) -> Iterable[tuple[str, str]]:
    """What may be named of a node, with its place: containers, also as a swarm's task, and namespaces made by hand."""
    telling = calc_container_names(node)
    for container in node.containers:
        place = f"{node.name}/container {container.name}"
        yield container.name, place
        if container.name in telling:
            yield telling[container.name], place
    for namespace in node.namespaces:
        if namespace.kind not in (HOST, "container", "overlay"):
            yield namespace.name, f"{node.name}/{namespace.name}"
            if namespace.title != namespace.name:
                yield namespace.title, f"{node.name}/{namespace.name}"


def _choose(plan: NodePlan, wanted: set[str]) -> tuple[list[Item], list[Item]]:
    items = [item for item in plan.items if any(title.about in wanted for title in item.titles)]
    # the other end of a wire belongs to it
    pairs = {net for item in items for net in item.nets if net.startswith("pair ")}
    items += [item for item in plan.items if item not in items and pairs & set(item.nets)]
    return items, [guest for guest in plan.guests if guest.titles[0].about in wanted]


def _focus(plan: NodePlan, items: list[Item], guests: list[Item], overlays: set[str]) -> NodePlan:
    nets = {net for item in items for net in item.nets} | {key for key in plan.nets if key in overlays}
    others = [item for item in plan.items if item not in items and nets & set(item.nets)]
    shared = [key for key in plan.nets if key in nets and any(key in item.nets for item in others)]
    counted = [make_more(others, shared)] if others else []
    kept = {key: net for key, net in plan.nets.items() if key in nets}
    networks = {net.name for net in kept.values()}
    tags = tuple(tag for tag in plan.tags if not tag.network or tag.network in networks)
    return replace(plan, items=(*items, *counted), guests=tuple(guests), nets=kept, tags=tags, extras=())
