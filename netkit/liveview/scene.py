"""From a topology to what the browser draws: plain SVG elements with stable keys, and the facts behind them. Pure.

An element is data, never markup: a tag out of four, attributes whose names are fixed here, its text. Colours are those
of light paper; the page's style sheet turns them for a dark theme.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from netkit.figure.picture import Box, Mark, Measure, Picture, Shape, Text, natural
from netkit.figure.picture import Line as Stroke
from netkit.figure.plan import shorten
from netkit.figure.style import DASH, calc_look, calc_radius, calc_symbol, calc_text_colour
from netkit.network.describe import describe
from netkit.network.model import HOST, Container, Node, Topology
from netkit.network.words import BUILTIN, WHOLE, Line, plain, tell_end, tell_line, tell_nature

# what everything else stands on or in: never dimmed, whatever is chosen
GROUND = ("node", "off", "region", "lan", "cable", "gap-host", "gap-node", "gap-paper", "backing", "uplink")
NEAR = 10  # points: how wide a wire is for the pointer


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

    places: dict[str, list[Shape]] = defaultdict(list)
    for shape in picture.shapes:
        places[shape.about].append(shape)
    return {
        "width": round(picture.width, 1),
        "height": round(picture.height, 1),
        "shapes": calc_elements(picture.shapes, networks, measure),
        "facts": {
            about: facts[about] | {"box": calc_box(places[about], measure), "networks": sorted(networks.get(about, ()))}
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
        if isinstance(shape, Stroke) and shape.about:  # a wire is thin: what is pointed at, and lit, is a wider one below it
            wide = {"d": element["attributes"]["d"], "fill": "none", "stroke-width": NEAR}
            elements.append(element | {"key": f"near {element['key']}", "name": "nk-near", "attributes": wide})
        elements.append(element)
    return elements


def _make(shape: Box | Stroke | Mark) -> dict:
    look = calc_look(shape)
    style = {"fill": look.face, "stroke": look.edge, "stroke-width": look.width}
    if look.dash:
        style["stroke-dasharray"] = " ".join(f"{part * DASH:.2f}" for part in look.dash)
    if isinstance(shape, Box):
        return make_element("rect", x=shape.x, y=shape.y, width=shape.width, height=shape.height, rx=calc_radius(shape), **style)
    if isinstance(shape, Stroke):
        return make_element("path", d=calc_path(shape.points), **style)
    if corners := calc_symbol(shape):
        return make_element("path", d=calc_path(corners) + "Z", **style)
    return make_element("circle", cx=shape.x, cy=shape.y, r=shape.size / 2, **style)


def _make_text(text: Text, measure: Measure) -> dict:
    drawable = "".join(each if each.isprintable() else " " for each in text.text)
    # a browser without the font of the layout may have wider letters: they are squeezed into the room there is
    length = {"textLength": measure(drawable, text.size, bold=text.bold, mono=text.mono), "lengthAdjust": "spacingAndGlyphs"}
    style = {"font-weight": "bold" if text.bold else "normal", "text-anchor": text.anchor, "fill": calc_text_colour(text)}
    if text.mono:
        style["font-family"] = "'DejaVu Sans Mono', Menlo, Consolas, monospace"
    place = {"transform": f"translate({text.x:.1f} {text.y:.1f})", "font-size": text.size}
    return make_element("text", **place, **style, **(length if drawable.strip() else {})) | {"text": drawable}


def make_element(tag: str, **attributes: str | float) -> dict:
    """One of SVG's elements as data, numbers rounded to a tenth of a point."""
    return {"tag": tag, "attributes": {name: round(value, 1) if isinstance(value, float) else value for name, value in attributes.items()}}


def calc_path(points: Iterable[tuple[float, float]]) -> str:
    """Some points, joined by straight lines, as SVG's path data."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def calc_box(shapes: Sequence[Shape], measure: Measure) -> list[float]:
    """Where an object is (x, y, width, height): its largest box, or all that is drawn of it but its wires, if there is more."""
    boxes = [shape for shape in shapes if isinstance(shape, Box)]
    small = [shape for shape in shapes if not isinstance(shape, Stroke)]
    meant = [max(boxes, key=lambda box: box.width * box.height)] if boxes else small or shapes
    corners = [corner for shape in meant for corner in _calc_corners(shape, measure)]
    (left, right), (top, bottom) = ((min(numbers), max(numbers)) for numbers in zip(*corners, strict=True))
    return [round(number, 1) for number in (left, top, right - left, bottom - top)]


def _calc_corners(shape: Shape, measure: Measure) -> Sequence[tuple[float, float]]:
    if isinstance(shape, Stroke):
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
    found: dict[str, set[str]] = defaultdict(set)
    for shape in shapes:
        if shape.about and shape.network and shape.role not in GROUND:
            found[shape.about].add(shape.network)
    for about, names in list(found.items()):
        if about.count("/") > 1:  # an interface: what it is in, too
            found[about.rpartition("/")[0]] |= names
    for end, interface in topology.ends():
        if interface.peer and str(end) in found:  # the other end of a wire
            found[str(interface.peer)] |= found[str(end)]
    for node in topology.nodes:
        for container in node.containers:  # one that shares another's network namespace
            shared = found.get(f"{node.name}/{container.sandbox.namespace}", ()) if container.sandbox else ()
            found[f"{node.name}/container {container.name}"].update(shared, (point.network for point in container.endpoints))
    return found


def calc_summary(topology: Topology) -> str:
    """The network in one line: what is where, by number."""
    words = []
    for node in topology.nodes:
        if node.state != "up":
            words.append(f"{plain(node.name)} is {plain(node.state)}")
        elif node.engine:
            running = sum(container.state == "running" for container in node.containers)
            made = sum(each.driver not in BUILTIN for each in node.networks)
            containers, networks = (f"{each}{'' if count == 1 else 's'}" for each, count in (("container", running), ("network", made)))
            words.append(f"{plain(node.name)}: {running} {containers} running, {made} {networks}")
    return "; ".join(words) or "nothing here"


MOST = 8  # facts under one label
Fact = tuple[str, str]
KINDS = {
    "container": "network namespace of a container",
    "named": "named network namespace",
    "overlay": "hidden namespace of an overlay network",
    "load-balancer": "load balancer of a network",
    "ingress": "the way from published ports to services",
    "process": "namespace that a process holds",
}
# what stands in the margin for lines inside of another, by what they are about
IN_NODE = {"engine": "engine", "container": "containers", "network": "networks", "netns": "namespaces", "overlay": "namespaces"}
IN_NAMESPACE = {
    **{word: f"{word}s" for word in ("route", "neighbour", "port", "network")},
    **dict.fromkeys(("isolated", "internal", "silent"), "isolated"),
    "forwarding": "forwards",
    "masquerade": "NAT",
}
STATES = ("up", "down", "no carrier", "no port", "running", "paused", "exited", "created")
DIGITS = "0123456789abcdef"
# words at the beginning of a clause that stand in the margin
MARGIN = (
    "address", "state", "MAC", "MTU", "port of", "other end", "engine", "swarm", "image", "mode", "service", "task", "networks", "network",
    "scope", "gateway", "default gateway", "DNS server", "options",
)  # fmt: skip
NAMES = ("interfaces", "containers", "namespaces")  # of which names are enough


def calc_facts(topology: Topology) -> dict[str, dict]:
    """What is known of every object there may be in a picture, by what its shapes are ``about``.

    A title, a kind in a word or two, and lines of label and fact: what the lines that describe the topology say, on a card
    for each object.
    """
    lines = {each.about: each for each in _walk(describe(topology)) if each.about}
    found = dict(_calc_interfaces(topology, lines))
    if topology.lan:
        there = [(plain(node.name), str(node.address)) for node in topology.nodes if node.address]
        found["lan"] = _make_card(lines["lan"].head, "network between the nodes", there)
    for node in topology.nodes:
        line = lines[node.name]
        kind = "Docker node" if node.engine else "host without Docker"
        found[node.name] = _make_card(line.head, kind, (*_tell_own(line), *_tell_inner(line, node.name, IN_NODE)))
        for network in node.networks:
            place = f"{node.name}/network {network.name}"
            found[place] = _make_card(plain(network.name), "network", _tell_own(lines[place]))
        found |= dict(_calc_namespaces(node, lines))
        for container in node.containers:
            place = f"{node.name}/container {container.name}"
            found[place] = _make_card(plain(container.name), "container", _tell_container(node, container, lines))
            for each in container.endpoints:
                if str(each.interface) in found:
                    words = f"of container {plain(container.name)} in network {plain(each.network)}"
                    found[str(each.interface)]["lines"].append(["endpoint", words])
    return found


def _make_card(title: str, kind: str, lines: Iterable[Fact]) -> dict:
    return {"title": title, "kind": kind, "lines": [list(line) for line in lines]}


def _walk(lines: tuple[Line, ...]) -> Iterator[Line]:
    for each in lines:
        yield each
        yield from _walk(each.inner)


def _calc_namespaces(node: Node, lines: Mapping[str, Line]) -> Iterator[tuple[str, dict]]:
    for namespace in node.namespaces:
        place, is_host = f"{node.name}/{namespace.name}", namespace.kind == HOST
        line = lines[node.name] if is_host else lines.get(place, lines[node.name])
        title = f"{plain(node.name)}: the node's own network namespace" if is_host else plain(namespace.title)
        told = (*(() if is_host else _tell_own(line)), *_tell_inner(line, place, IN_NAMESPACE, "interfaces"))
        yield place, _make_card(title, KINDS.get(namespace.kind, "network namespace"), told)
        for each in namespace.firewall.masquerades if namespace.firewall else ():
            about = f"{place}/masquerade {each.source}"
            yield about, _make_card(f"masquerade {each.source}", "source NAT", [("rule", lines[about].head)])


def _tell_container(node: Node, container: Container, lines: Mapping[str, Line]) -> Iterator[Fact]:
    """A container's facts, with those of the namespace it is in, though that be another container's."""
    own = f"{node.name}/container {container.name}"
    yield from _tell_own(lines[own])
    shared = [f"{node.name}/{container.sandbox.namespace}"] if container.sandbox and container.sandbox.namespace != HOST else []
    for place in dict.fromkeys([own, *shared]):
        yield from _tell_inner(lines[place], place, IN_NAMESPACE, "interfaces") if place in lines else ()


def _calc_interfaces(topology: Topology, lines: Mapping[str, Line]) -> Iterator[tuple[str, dict]]:
    for end, each in topology.ends():
        line = lines[str(end)]
        told = [("where", tell_end(end).partition(" of ")[2]), *_tell_own(line, is_interface=True)]
        told += _tell_inner(line, f"{end.node}/{end.namespace}", {}, "ports")
        kind = "veth" if each.kind == "veth" else tell_nature(each, end.node)
        yield str(end), _make_card(plain(each.name), kind, (fact for fact in told if fact[1] != kind))


def _tell_own(line: Line, is_interface: bool = False) -> Iterator[Fact]:
    """What a line says of its object: a fact for each clause. What that of an interface says of its other end is on a card of its own."""
    for each in line.clauses:
        words = each.words
        start = next((word for word in MARGIN if words.startswith(f"{word} ")), "")
        if (is_interface and "derived" in each.level) or words.startswith("kind "):
            continue
        if is_interface and words[0] in DIGITS and "/" in words:
            yield "address", words
        elif words in STATES:
            yield "state", words
        else:
            yield start, words.removeprefix(f"{start} ")


def _tell_inner(line: Line, place: str, labels: Mapping[str, str], otherwise: str = "") -> Iterator[Fact]:
    """The lines inside of another that are about something in a place, by their label; it stands before the first alone."""
    told: dict[str, list[str]] = {}
    for each in line.inner:
        step = each.about.removeprefix(f"{place}/") if each.about.startswith(f"{place}/") else ""
        label = labels.get(step.split(" ")[0], "" if step.startswith(("fdb ", "rules", "policies")) else otherwise) if step else ""
        if label and "macs" not in each.level and (label != "engine" or not each.level):
            told.setdefault(label, []).append(each.head if label in NAMES else tell_line(each.head, each.clauses, WHOLE))
    for label, words in told.items():
        if label in NAMES:
            words = [", ".join(words[at : at + 4]) for at in range(0, len(words), 4)]
        yield from ((label if number == 0 else "", each) for number, each in enumerate(shorten(words, MOST, "more")))
