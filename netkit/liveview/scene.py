"""From a topology to what the browser draws: plain SVG elements with stable keys, and the facts behind them. Pure.

An element is data, never markup: a tag out of four, attributes whose names are fixed here, its text. Colours are those
of light paper; the page's style sheet turns them for a dark theme.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from netkit.figure.picture import Box, Line, Mark, Measure, Picture, Shape, Text, natural
from netkit.figure.style import DASH, calc_look, calc_radius, calc_symbol, calc_text_colour
from netkit.liveview.facts import calc_facts
from netkit.network.model import Topology
from netkit.network.words import plain

if TYPE_CHECKING:
    from netkit.tracing.steps import Step

# what everything else stands on or in: never dimmed, whatever is chosen
GROUND = ("node", "off", "region", "lan", "cable", "gap-host", "gap-node", "gap-paper", "backing", "uplink")
NEAR = 10  # points: how wide a wire is for the pointer
WAY, BACK, DROPPED = "#d00a3c", "#0072b2", "#a32a00"  # of a packet, its answer, its end


def calc_scene(topology: Topology, picture: Picture, measure: Measure) -> dict:
    """Everything a page needs to show a topology by its picture, fit for JSON.

    Keys: width and height in points; shapes; facts by what shapes are about, each with its box (x, y, width, height);
    nodes and networks to choose from; summary, one line on all of it; text, all of it in words.
    """
    facts = calc_facts(topology)
    order = {node.name: number for number, node in enumerate(topology.nodes)}
    networks = calc_networks(topology, picture.shapes)

    def in_order(about: str) -> tuple:
        """Node by node; a container before its interfaces, the node's own ("host") after all containers."""
        first, *rest = about.split("/")
        return order.get(first, len(order)), [natural(part) for part in rest]

    places: dict[str, list[Shape]] = {}
    for shape in picture.shapes:
        places.setdefault(shape.about, []).append(shape)
    return {
        "width": round(picture.width, 1),
        "height": round(picture.height, 1),
        "shapes": calc_elements(picture.shapes, networks, measure),
        "facts": {
            about: {
                "title": facts[about].title,
                "kind": facts[about].kind,
                "lines": [list(line) for line in facts[about].lines],
                "box": calc_box(places[about], measure),
                "networks": sorted(networks.get(about, ())),
            }
            for about in sorted(places.keys() & facts.keys(), key=in_order)
        },
        "nodes": list(order),
        "networks": sorted({name for names in networks.values() for name in names}),
        "summary": calc_summary(topology),
        "text": topology.text(),
    }


def calc_elements(shapes: Sequence[Shape], networks: dict[str, set[str]], measure: Measure) -> list[dict]:
    """The shapes as elements, the hindmost first. A shape keeps its key as long as the same stands for the same."""
    seen: Counter[str] = Counter()
    ground = {shape.about for shape in shapes if shape.role in GROUND} | {""}
    elements = []
    for shape in shapes:
        element = _make_text(shape, measure) if isinstance(shape, Text) else _make(shape)
        name = f"{element['tag']} {shape.role} {shape.about}"
        seen[name] += 1
        element |= {"key": f"{name} {seen[name]}", "about": shape.about}
        if shape.about not in ground:
            element["networks"] = [shape.network] if shape.network else sorted(networks.get(shape.about, ()))
        if isinstance(shape, Line) and shape.about:  # a wire is thin: what is pointed at, and lit, is a wider one below it
            wide = {"d": element["attributes"]["d"], "fill": "none", "stroke-width": NEAR}
            elements.append(element | {"key": f"near {element['key']}", "name": "nk-near", "attributes": wide})
        elements.append(element)
    return elements


def _make(shape: Box | Line | Mark) -> dict:
    look = calc_look(shape)
    style = {"fill": look.face, "stroke": look.edge, "stroke-width": look.width}
    if look.dash:
        style["stroke-dasharray"] = " ".join(f"{part * DASH:.2f}" for part in look.dash)
    if isinstance(shape, Box):
        return _element("rect", x=shape.x, y=shape.y, width=shape.width, height=shape.height, rx=calc_radius(shape), **style)
    if isinstance(shape, Line):
        return _element("path", d=_trace(shape.points), **(style | {"fill": "none"}))
    if corners := calc_symbol(shape):
        return _element("path", d=_trace(corners) + "Z", **style)
    return _element("circle", cx=shape.x, cy=shape.y, r=shape.size / 2, **style)


def _make_text(text: Text, measure: Measure) -> dict:
    drawable = "".join(each if each.isprintable() else " " for each in text.text)
    # a browser without the font of the layout may have wider letters: they are squeezed into the room there is
    length = {"textLength": measure(drawable, text.size, bold=text.bold, mono=text.mono), "lengthAdjust": "spacingAndGlyphs"}
    style = {"font-weight": "bold" if text.bold else "normal", "text-anchor": text.anchor, "fill": calc_text_colour(text)}
    if text.mono:
        style["font-family"] = "'DejaVu Sans Mono', Menlo, Consolas, monospace"
    place = {"transform": f"translate({text.x:.1f} {text.y:.1f})", "font-size": text.size}
    return _element("text", **place, **style, **(length if drawable.strip() else {})) | {"text": drawable}


def _element(tag: str, **attributes: str | float) -> dict:
    return {"tag": tag, "attributes": {name: round(value, 1) if isinstance(value, float) else value for name, value in attributes.items()}}


def _trace(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def calc_box(shapes: Sequence[Shape], measure: Measure) -> list[float]:
    """Where an object is (x, y, width, height): its largest box, or all that is drawn of it but its wires, if there is more."""
    boxes = [shape for shape in shapes if isinstance(shape, Box)]
    small = [shape for shape in shapes if not isinstance(shape, Line)]
    meant = [max(boxes, key=lambda box: box.width * box.height)] if boxes else small or shapes
    corners = [corner for shape in meant for corner in _calc_corners(shape, measure)]
    (left, right), (top, bottom) = ((min(numbers), max(numbers)) for numbers in zip(*corners, strict=True))
    return [round(number, 1) for number in (left, top, right - left, bottom - top)]


def _calc_corners(shape: Shape, measure: Measure) -> Sequence[tuple[float, float]]:
    if isinstance(shape, Line):
        return shape.points
    if isinstance(shape, Box):
        return (shape.x, shape.y), (shape.x + shape.width, shape.y + shape.height)
    if isinstance(shape, Mark):
        return tuple((shape.x + half, shape.y + half) for half in (-shape.size / 2, shape.size / 2))
    length = measure(shape.text, shape.size, bold=shape.bold, mono=shape.mono)
    left = shape.x - length * {"start": 0, "middle": 0.5, "end": 1}[shape.anchor]
    return (left, shape.y - shape.size), (left + length, shape.y + shape.size * 0.3)


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
        for container in node.containers:  # one that shares another's network namespace
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
            networks = f"{made} network" + ("" if made == 1 else "s")
            words.append(f"{plain(node.name)}: {running} container{'' if running == 1 else 's'} running, {networks}")
    return "; ".join(words) or "nothing here"


def calc_step(step: Step) -> dict:
    """A step of a packet: its words, the way to it, and the packet there with its number, or crossed out. Fit for JSON."""
    x, y, dropped = step.x, step.y, step.kind == "dropped"
    colour = DROPPED if dropped else BACK if step.reply else WAY
    line = {"fill": "none", "stroke": colour, "stroke-linejoin": "round", "stroke-linecap": "round"}
    way = _element("path", d=_trace(step.points), **line, **({"stroke-dasharray": "7 5"} if step.kind == "tunnel" else {}))
    if dropped:
        cross = f"M{x - 3.5} {y - 3.5}l7 7m0 -7l-7 7"
        mark = _element("path", d=cross, stroke="#ffffff", fill="none", **{"stroke-width": 2.2})
    else:
        text = {"text-anchor": "middle", "font-size": 9, "font-weight": "bold", "fill": "#ffffff"}
        mark = _element("text", transform=f"translate({x} {y + 3.2})", **text) | {"text": str(step.number)}
    packet = _element("circle", cx=x, cy=y, r=9, fill=colour, stroke="#ffffff", **{"stroke-width": 1.5})
    return {
        "title": step.title,
        "detail": step.detail,
        "dropped": dropped,
        "colour": colour,
        "way": [way | {"key": f"way {step.number}"}] if len(step.points) > 1 else [],
        "packet": [packet | {"key": "packet"}, mark | {"key": mark["tag"], "name": "nk-mark"}],
    }
