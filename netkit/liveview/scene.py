"""From a topology to what the browser draws: plain elements with stable keys, and the facts behind them. Pure.

An element is data, never markup: a tag out of four, its place as numbers, its colours, its text. Colours are those
of light paper; the page turns them for a dark theme.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from netkit.figure.picture import Box, Line, Measure, Picture, Shape, Text, natural
from netkit.figure.style import DASH, calc_look, calc_radius, calc_symbol, calc_text_colour
from netkit.liveview.facts import Facts, calc_facts
from netkit.network.model import Topology
from netkit.network.words import plain

# what everything else stands on or in: never dimmed, whatever is chosen
GROUND = ("node", "off", "region", "lan", "cable", "gap-host", "gap-node", "gap-paper", "backing", "uplink")


STACKS = ("container", "network", "netns", "process")  # whose objects come first


def calc_scene(topology: Topology, picture: Picture, measure: Measure) -> dict:
    """Everything a page needs to show a topology by its picture, fit for JSON.

    Keys: width and height in points; shapes; facts by what shapes are about; nodes and networks to
    choose from; summary, one line on all of it.
    """
    facts = calc_facts(topology)
    order = {node.name: number for number, node in enumerate(topology.nodes)}
    abouts = sorted({shape.about for shape in picture.shapes} & facts.keys(), key=lambda about: _calc_order(about, order))
    networks = calc_networks(topology, picture.shapes)
    return {
        "width": round(picture.width, 1),
        "height": round(picture.height, 1),
        "shapes": calc_elements(picture.shapes, measure),
        "facts": {about: _encode(facts[about], networks.get(about, ())) for about in abouts},
        "nodes": [node.name for node in topology.nodes],
        "networks": sorted({name for names in networks.values() for name in names}),
        "summary": calc_summary(topology),
        "text": topology.text(),
    }


def _calc_order(about: str, order: dict[str, int]) -> tuple:
    """In which order objects are gone through: node by node, a container before its interfaces, its own stack after all."""
    node, _, rest = about.partition("/")
    word = rest.split(" ", 1)[0].split("/", 1)[0]
    return (
        order.get(node, len(order)),
        bool(rest),
        STACKS.index(word) if word in STACKS else len(STACKS),
        [natural(part) for part in rest.split("/")],
    )


def _encode(facts: Facts, networks: Iterable[str]) -> dict:
    return {"title": facts.title, "kind": facts.kind, "lines": [list(line) for line in facts.lines], "networks": sorted(networks)}


def calc_elements(shapes: Iterable[Shape], measure: Measure) -> list[dict]:
    """The shapes as elements, the hindmost first. A shape keeps its key as long as the same stands for the same."""
    shapes = tuple(shapes)
    seen: Counter[str] = Counter()
    ground = {shape.about for shape in shapes if shape.role in GROUND}
    elements = []
    for shape in shapes:
        name = f"{type(shape).__name__} {shape.role} {shape.about}"
        seen[name] += 1
        element = _make(shape, measure) | {"key": f"{name} {seen[name]}", "about": shape.about}
        element |= {"ground": True} if shape.about in ground else {"network": shape.network} if shape.network else {}
        elements.append(element)
    return elements


def _make(shape: Shape, measure: Measure) -> dict:
    if isinstance(shape, Text):
        return _make_text(shape, measure)
    look = calc_look(shape)
    style = {"fill": look.face, "stroke": look.edge, "width": look.width, "dash": [round(part * DASH, 2) for part in look.dash]}
    if isinstance(shape, Box):
        return {"tag": "rect", "at": _round(shape.x, shape.y, shape.width, shape.height, calc_radius(shape)), **style}
    if isinstance(shape, Line):
        return {"tag": "polyline", "at": _round(*(part for point in shape.points for part in point)), **style, "fill": "none"}
    corners = calc_symbol(shape)
    if not corners:
        return {"tag": "circle", "at": _round(shape.x, shape.y, shape.size / 2), **style}
    return {"tag": "polygon", "at": _round(*(part for point in corners for part in point)), **style}


def _make_text(text: Text, measure: Measure) -> dict:
    drawable = "".join(each if each.isprintable() else " " for each in text.text)
    return {
        "tag": "text",
        "at": _round(text.x, text.y),
        "text": drawable,
        "length": round(measure(drawable, text.size, bold=text.bold, mono=text.mono), 1),
        "size": text.size,
        "anchor": text.anchor,
        "bold": text.bold,
        "mono": text.mono,
        "fill": calc_text_colour(text),
    }


def _round(*numbers: float) -> list[float]:
    return [round(number, 1) for number in numbers]


def calc_networks(topology: Topology, shapes: Iterable[Shape]) -> dict[str, set[str]]:
    """The networks that each object has to do with, by what its shapes are about."""
    found: dict[str, set[str]] = {}
    for shape in shapes:
        if shape.about and shape.network and shape.role not in GROUND:
            found.setdefault(shape.about, set()).add(shape.network)
    for about, names in list(found.items()):
        if about.count("/") > 1:  # an interface: what it is in, too
            found.setdefault(about.rpartition("/")[0], set()).update(names)
    for end, interface in topology.ends():
        if interface.peer and str(end) in found:  # the other end of a wire
            found.setdefault(str(interface.peer), set()).update(found[str(end)])
    for node in topology.nodes:
        for container in node.containers:  # one that shares another's stack
            names = found.get(f"{node.name}/{container.sandbox.namespace}", set()) if container.sandbox else set()
            joined = {point.network for point in container.endpoints}
            if names or joined:
                found.setdefault(f"{node.name}/container {container.name}", set()).update(names | joined)
    return found


def calc_summary(topology: Topology) -> str:
    """The network in one line: what is where, by number."""
    words = []
    for node in topology.nodes:
        if node.state != "up":
            words.append(f"{plain(node.name)} is {plain(node.state)}")
        elif node.engine:
            running = sum(container.state == "running" for container in node.containers)
            made = sum(each.driver not in ("host", "null") for each in node.networks)
            words.append(f"{plain(node.name)}: {_count(running, 'container')} running, {_count(made, 'network')}")
    return "; ".join(words) or "nothing here"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
