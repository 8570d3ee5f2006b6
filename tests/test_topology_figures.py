"""Figures of topologies: complete, legible, the same every time, and never a traceback."""

from __future__ import annotations

import ipaddress
import itertools
import random
import subprocess
import sys
import time
import warnings
from dataclasses import replace

import pytest

from netkit.errors import NetkitError
from netkit.figure import draw, paint
from netkit.figure.layout import SHOW, calc_layout
from netkit.figure.picture import Box, Line, Picture, Text, calc_clean, elide
from netkit.figure.style import FIXED, calc_style, calc_styles
from netkit.network.model import HOST, Node, Topology
from netkit.network.select import SHOW as TOLD
from tests import topologies

pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("ignore:this figure has")]

SHOWN = [(), ("addresses",), ("addresses", "macs"), ("addresses", "routes"), ("rules",), ("addresses", "macs", "routes", "rules", "terms")]


def lay_out(topology: Topology, **options) -> Picture:
    return calc_layout(topology, measure=paint.measure, **options)


def said(picture: Picture) -> set[str]:
    return {text.text for text in picture.texts}


def calc_extent(text: Text) -> tuple[float, float, float, float]:
    width = paint.measure(text.text, text.size, bold=text.bold, mono=text.mono)
    x = text.x - {"start": 0, "middle": width / 2, "end": width}[text.anchor]
    return x, text.y - 0.72 * text.size, x + width, text.y + 0.2 * text.size


def check_texts(figure, name: str) -> None:
    """Assert, on what matplotlib renders, that texts lie on the canvas and apart."""
    renderer = figure.canvas.get_renderer()
    width, height = figure.canvas.get_width_height()
    found = []
    for artist in figure.findobj(lambda each: type(each).__name__ == "Text" and each.get_text()):
        box = artist.get_window_extent(renderer)
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, f"{name}: {artist.get_text()!r} leaves the canvas"
        found.append((box.x0, box.x1, box.y0, box.y1, artist.get_text()))
    found.sort()
    for number, (_, x1, y0, y1, text) in enumerate(found):
        for other in itertools.islice(found, number + 1, None):
            if other[0] >= x1 - 0.5:
                break
            assert other[2] >= y1 - 0.5 or y0 >= other[3] - 0.5, f"{name}: {text!r} and {other[4]!r} overlap"


def check_lines(picture: Picture, name: str) -> None:
    """Assert that no line runs through a text, unless a box between them hides it."""
    placed = [(order, shape, calc_extent(shape)) for order, shape in enumerate(picture.shapes) if isinstance(shape, Text)]
    boxes = [(order, shape) for order, shape in enumerate(picture.shapes) if isinstance(shape, Box) and shape.role not in ("guest",)]
    for order, line in enumerate(picture.shapes):
        if not isinstance(line, Line):
            continue
        for (ax, ay), (bx, by) in itertools.pairwise(line.points):
            for _, text, (x0, y0, x1, y1) in placed:
                if max(ax, bx) > x0 and min(ax, bx) < x1 and max(ay, by) > y0 and min(ay, by) < y1:
                    hidden = any(
                        later > order
                        and box.x <= x0 + 1
                        and box.y <= y0 + 1
                        and box.x + box.width >= x1 - 1
                        and box.y + box.height >= y1 - 1
                        for later, box in boxes
                    )
                    assert hidden, f"{name}: a {line.role} of {line.about} crosses {text.text!r}"


@pytest.mark.parametrize("example", topologies.EXAMPLES)
def test_texts_do_not_overlap_whatever_is_shown(example):
    """In no example, with nothing, something or everything shown, two texts overlap or one is clipped or crossed by a line."""
    topology = topologies.EXAMPLES[example]()
    for show in SHOWN:
        picture = lay_out(topology, show=show)
        check_lines(picture, f"{example} {show}")
        check_texts(paint.paint(picture), f"{example} {show}")


CROWDS = [(count, 1 + count % 4, 1 + count % 3) for count in range(1, 49)]
CROWDS += [(count, nodes, 1) for count in (1, 12, 40, 48) for nodes in (1, 2, 3, 4)]


def test_crowds_are_legible():
    """From 1 to 48 containers on 1 to 4 nodes in 1 to 3 networks, texts keep apart."""
    for count, nodes, networks in CROWDS:
        picture = lay_out(topologies.crowd(count, nodes, networks))
        check_lines(picture, f"{count} on {nodes}")
        check_texts(paint.paint(picture), f"{count} on {nodes}")


def test_crossed_wires_are_legible():
    """Containers in many pairs of networks: bars and wires have to cross, texts still keep apart."""
    for networks in range(2, 7):
        made = topologies.machine()
        names = [f"net{number}" for number in range(networks)]
        for number, name in enumerate(names):
            made.bridge(name, subnet=f"172.{18 + number}.0.0/16")
        for number, pair in enumerate(itertools.combinations(names, 2)):
            made.run(f"c{number}", *pair)
        picture = lay_out(topologies.join(made))
        check_lines(picture, f"{networks} networks")
        check_texts(paint.paint(picture), f"{networks} networks")


@pytest.mark.parametrize("example", ["single", "modes", "two_networks", "workshop", "swarm", "attached", "handmade", "macvlan"])
def test_nothing_is_missing(example):
    """Every container, bridge and interface of a topology has its label, a stack's loopback only where it is alone."""
    topology = topologies.EXAMPLES[example]()
    picture = lay_out(topology)
    texts = [(text.about, text.text) for text in picture.texts]
    for node in topology.nodes:
        assert (node.name, node.name) in texts
        for container in node.containers:
            assert (f"{node.name}/container {container.name}", container.task or container.name) in texts
    bars = {net.bridge: net.name for node in topology.nodes for net in node.networks if net.bridge}
    for end, interface in topology.ends():
        if interface.kind == "loopback" and len(topology.node(end.node).namespace(end.namespace).interfaces) > 1:
            continue
        where = {end.node + "/" + end.namespace, str(end)}
        wanted = bars.get(interface.name, interface.name) if end.namespace == HOST else interface.name
        assert any(about in where and wanted in text.split() for about, text in texts), f"{end} is not in the figure"


def test_addresses_are_written_only_where_they_are_wanted():
    """Without "addresses", no address is in the figure; with it, every one is."""
    topology = topologies.workshop()
    addresses = {str(address) for _, each in topology.ends() for address in each.addresses if each.kind != "loopback"}
    assert addresses <= said(lay_out(topology))
    assert not [text for text in said(lay_out(topology, show=())) if "172." in text or "192." in text]


def test_equal_topologies_have_equal_figures():
    """The same topology, its parts given in any order, gives the same picture and the same bytes."""
    topology = topologies.swarm()
    shuffler = random.Random(7)

    def shuffle(values):
        return tuple(shuffler.sample(values, len(values)))

    nodes = [
        replace(node, namespaces=shuffle(node.namespaces), containers=shuffle(node.containers), networks=shuffle(node.networks))
        for node in topology.nodes
    ]
    other = replace(topology, nodes=shuffle(tuple(nodes)))
    assert lay_out(other) == lay_out(topology)
    figures = [draw.draw(each) for each in (topology, other)]
    assert len({draw.to_png(figure) for figure in figures}) == 1
    assert len({draw.to_svg(figure) for figure in figures}) == 1


def test_shared_stacks_are_drawn_shared():
    """Containers of one stack stand in one box, a container in host mode in the node's own region."""
    picture = lay_out(topologies.modes())
    boxes = {box.about: box for box in picture.boxes if box.role in ("container", "tenant", "guest", "region")}
    shared = next(box for box in picture.boxes if box.role == "container" and box.about == "node1/container web")
    assert sum(contains(shared, box) for box in picture.boxes if box.role == "tenant") == 2
    assert contains(boxes["node1/host"], boxes["node1/container probe"])


def test_those_whose_owner_has_begun_anew_are_drawn_as_left_behind():
    """The stack that is left of it says so, instead of being called a process's."""
    words = said(lay_out(topologies.left_behind()))
    assert "its owner has left" in words
    assert "process" not in words


def contains(outer: Box, inner: Box) -> bool:
    across = outer.x <= inner.x and inner.x + inner.width <= outer.x + outer.width
    return across and outer.y <= inner.y and inner.y + inner.height <= outer.y + outer.height


def test_what_leaves_a_node_is_marked_at_its_border():
    """The cable, NAT and published ports lie at the lower border of their node."""
    picture = lay_out(topologies.workshop())
    node = next(box for box in picture.boxes if box.role == "node" and box.about == "node1")
    uplink = next(box for box in picture.boxes if box.role == "uplink")
    assert uplink.y < node.y + node.height < uplink.y + uplink.height
    assert {":8080 → web:80", "masquerade 172.17.0.0/16", "masquerade 172.18.0.0/16"} <= said(picture)


def test_what_came_and_went_is_marked_at_the_border_too():
    """NAT of a new network and a new container's published port are new; those of what vanished are gone."""
    after = topologies.workshop()
    bare = replace(after, nodes=tuple(strip(node) for node in after.nodes))
    for old, new, sign in ((bare, after, "+ "), (after, bare, "− ")):
        picture = lay_out(new, diff=old.diff(new))
        tags = {text.text for text in picture.texts if text.role == "tag"}
        assert f"{sign}:8080 → web:80" in tags, tags


def strip(node):
    """A node without its containers, and without what was made for them."""
    host = node.namespace(HOST)
    if host is None or not node.containers:
        return node
    inner = tuple(each for each in host.interfaces if each.kind != "veth" or each.peer is None)
    plain = replace(host, interfaces=inner, firewall=replace(host.firewall, forwards=()) if host.firewall else None)
    return replace(node, containers=(), namespaces=(plain,))


def test_terms_of_the_container_network_model_are_written_on_request():
    """Container, sandbox, endpoint and network, each at its object; on no other figure."""
    picture = lay_out(topologies.two_networks(), show=("addresses", "terms"))
    words = said(picture)
    assert {"container web", "container db", "network front", "network back", "endpoint eth0", "sandbox"} <= words, words
    assert not any(word.startswith(("sandbox", "endpoint ")) for word in said(lay_out(topologies.two_networks())))


def test_an_overlay_is_one_band_and_its_tunnel_lies_beneath_the_lan():
    """An overlay's bands are in line on all its nodes and joined; the tunnel is dashed along below the LAN."""
    picture = lay_out(topologies.attached(3))
    bands = [box for box in picture.boxes if box.role == "band"]
    links = [box for box in picture.boxes if box.role == "link"]
    assert len(bands) == 3 and len({(box.y, box.height) for box in bands}) == 1 and len(links) == 2
    lan = next(box for box in picture.boxes if box.role == "lan")
    along = [line for line in picture.lines if line.role == "tunnel" and line.points[0][1] == line.points[1][1]]
    assert len(along) == 1 and along[0].points[0][1] > lan.y + lan.height
    assert "VXLAN, VNI 4097, UDP 4789" in said(picture)


def test_crowds_fold():
    """Of more containers than fit side by side some are counted only, and none is lost."""
    for count in (17, 60, 150):
        texts = said(lay_out(topologies.crowd(count)))
        (more,) = [int(text.split()[1]) for text in texts if text.startswith("…")]
        assert sum(f"c{number}" in texts for number in range(1, count + 1)) + more == count
    assert not [text for text in said(lay_out(topologies.crowd(16, 2))) if text.startswith("…")]


COLOURS = """
from netkit.figure import paint
from netkit.figure.layout import calc_layout
from netkit.figure.style import calc_style
from tests import topologies
picture = calc_layout(topologies.two_networks(), measure=paint.measure)
print(sorted({(shape.network, calc_style(shape)) for shape in picture.shapes if shape.network}, key=str))
"""


def test_colours_do_not_depend_on_what_was_drawn_before():
    """A figure's colours after that of another topology are those it has in a fresh process."""
    lay_out(topologies.workshop())
    lay_out(topologies.crowd(12, 2, 3))
    shapes = lay_out(topologies.two_networks()).shapes
    here = sorted({(shape.network, calc_style(shape)) for shape in shapes if shape.network}, key=str)
    fresh = subprocess.run([sys.executable, "-c", COLOURS], capture_output=True, text=True, check=True).stdout
    assert fresh.strip() == str(here)


def test_networks_of_a_figure_differ_in_colour():
    """Up to five networks have symbols of their own, seven colours, thirty at least styles; one keeps its style when others are drawn or not."""
    for count, what in ((5, "symbol"), (7, "line"), (30, "line symbol")):
        names = [f"net{number}" for number in range(count)]
        styles = [
            calc_style(Box(x=0, y=0, width=1, height=1, role="bar", network=each, style=one)) for each, one in calc_styles(names).items()
        ]
        assert len({tuple(getattr(style, word) for word in what.split()) for style in styles}) == count
    assert calc_styles(["shop"])["shop"] == calc_styles(["shop", "back"])["shop"]
    assert calc_styles(FIXED) == {}
    whole, part = (lay_out(topologies.two_networks(), **options).shapes for options in ({}, {"focus": ["db"]}))
    assert {(each.network, each.style) for each in part if each.network} <= {(each.network, each.style) for each in whole}


def test_a_network_is_told_by_more_than_its_colour():
    """Each wire has its network's symbol at its plug, as the bar has beside the network's name."""
    picture = lay_out(topologies.two_networks())
    symbols = {shape.network for shape in picture.shapes if getattr(shape, "role", "") == "symbol"}
    plugs = {shape.network for shape in picture.shapes if getattr(shape, "role", "") == "plug"}
    assert plugs == symbols == {"bridge", "front", "back"}


def test_a_diff_is_marked():
    """What came, went or changed is marked with a colour and a sign; what went is drawn once more."""
    diff = topologies.changed()
    picture = lay_out(diff.after, diff=diff)
    marks = {(box.about, box.highlight) for box in picture.boxes if box.highlight}
    assert marks == {("node1/container app", "new"), ("node1/container old", "gone"), marked_bridge(diff)}
    assert "~ eth0" in said(picture)
    assert {"new", "gone", "changed"} <= said(picture)
    badges = [shape for shape in picture.shapes if getattr(shape, "role", "") == "badge"]
    assert len(badges) == 3 + len(marks)
    check_texts(paint.paint(picture), "diff")


def test_the_nat_of_a_node_that_was_switched_off_is_gone_with_it():
    """Every label at its border is marked as gone; that of a node which stays is not."""
    before = topologies.workshop()
    first, second, *rest = before.nodes
    after = replace(before, nodes=(first, Node(name=second.name, address=second.address, state="down", trouble="switched off"), *rest))
    picture = lay_out(after, diff=before.diff(after))
    tags = {(text.about.partition("/")[0], text.highlight) for text in picture.texts if text.role == "tag"}
    assert tags == {(first.name, ""), (second.name, "gone")}


def test_hosts_below_a_narrow_node_make_the_figure_wider():
    """Everything lies within the figure, however little the nodes above need."""
    idle = Node(name="node2", address=ipaddress.ip_address("192.168.59.2"), state="idle", trouble="not started yet")
    picture = lay_out(topologies.join(topologies.machine(), idle, topologies.outside()))
    for box in picture.boxes:
        assert box.x >= 0 and box.x + box.width <= picture.width, box


def marked_bridge(diff: topologies.Diff) -> tuple[str, str]:
    (shop,) = [net for net in diff.after.nodes[0].networks if net.name == "shop"]
    return f"node1/host/bridge of {shop.name}", "new"


def test_any_two_examples_can_be_compared():
    """A figure of the difference of any two topologies is drawn, even if they have nothing in common."""
    for one, other in itertools.pairwise([*topologies.EXAMPLES, "empty"]):
        before, after = topologies.EXAMPLES[one](), topologies.EXAMPLES[other]()
        changes = (topologies.Change("appeared", "LAN"), topologies.Change("mystery", "node1"), topologies.Change("moved", "node1/x/y/z"))
        picture = lay_out(after, diff=topologies.Diff(before=before, after=after, changes=changes))
        check_texts(paint.paint(picture), f"{one} to {other}")


def spoil(topology: Topology, chance: random.Random) -> Topology:
    """The topology with pieces torn out of it at random, as if captured while everything changes."""

    def keep(values):
        return tuple(value for value in values if chance.random() < 0.8)

    def spoil_interface(each):
        torn = {name: None for name in ("peer", "master", "parent", "vxlan") if chance.random() < 0.1}
        return replace(each, up=chance.random() < 0.8, addresses=keep(each.addresses), **torn)

    def spoil_stack(each):
        firewall = each.firewall if chance.random() < 0.7 else None
        return replace(
            each, interfaces=tuple(spoil_interface(one) for one in keep(each.interfaces)), routes=keep(each.routes), firewall=firewall
        )

    nodes = tuple(
        replace(
            node,
            engine=node.engine if chance.random() < 0.9 else None,
            namespaces=tuple(spoil_stack(each) for each in keep(node.namespaces)),
            networks=keep(node.networks),
            containers=keep(node.containers),
        )
        for node in topology.nodes
    )
    return replace(topology, nodes=nodes, lan=topology.lan if chance.random() < 0.8 else None)


def test_torn_topologies_are_drawn():
    """Whatever is missing from a topology, there is a figure of the rest, alone and compared with another one."""
    chance = random.Random(11)
    for number in range(120):
        whole = topologies.EXAMPLES[chance.choice(sorted(set(topologies.EXAMPLES) - {"folded", "crowd"}))]()
        torn = [spoil(whole, chance) for _ in range(2)]
        diff = topologies.Diff(before=torn[0], after=torn[1], changes=(topologies.Change("changed", "node1/host/docker0"),))
        for picture in (lay_out(torn[0], show=chance.choice(SHOWN)), lay_out(torn[1], diff=diff)):
            check_lines(picture, f"torn {number}")
            if number % 4 == 0:
                check_texts(paint.paint(picture), f"torn {number}")


def test_hostile_names_are_drawn_as_they_are():
    """Markup, dollars and percents mean nothing; control characters and bidi overrides show; long names are elided."""
    texts = said(lay_out(topologies.hostile()))
    assert {"a$b$_{x}^2$", "100%s <b>&amp;</b>", r"two\nlines\tand\e[31m", r"\frac{1}{2} \alpha", "' '"} <= texts
    assert not [text for text in texts if not text.isprintable()]
    assert any(text.startswith("xxx") and "…" in text for text in texts)


def test_broken_nodes_say_so():
    """An engine or node that is down or idle is drawn with the reason."""
    text = " ".join(text.text for text in lay_out(topologies.broken()).texts)
    for words in ("engine down: dial unix", "down: its first process has ended", "idle: it starts", "nothing to draw"):
        assert (words in text) is (words != "nothing to draw")
    assert "nothing to draw" in " ".join(said(lay_out(Topology())))


def forget_fonts() -> None:
    """Let paint look anew for the fonts that this machine has."""
    for function in vars(paint).values():
        getattr(function, "cache_clear", lambda: None)()


def test_missing_letters_are_told_once(monkeypatch):
    """Letters that no font has become □ with one warning of ours, naming the package; matplotlib never warns."""
    monkeypatch.setattr(paint, "_warned", set())
    monkeypatch.setattr(paint, "find_others", lambda: ())
    forget_fonts()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figures = [draw.draw(topologies.hostile()) for _ in range(2)]
        pngs = {draw.to_png(figure) for figure in figures}
    assert len(pngs) == 1
    told = [str(warning.message) for warning in caught]
    assert all(text.startswith("this figure has") for text in told), told
    assert sum("fonts-noto-cjk" in text for text in told) == 1
    forget_fonts()


def test_no_pyplot():
    """Drawing loads no pyplot and touches none of its state; the layout loads no matplotlib at all."""
    code = (
        "import sys; from tests import topologies; from netkit.figure.layout import calc_layout;"
        "calc_layout(topologies.workshop(), measure=lambda text, size, bold=False, mono=False: len(text) * size / 2);"
        "print('matplotlib' in sys.modules);"
        "from netkit.figure import draw; draw.to_png(draw.draw(topologies.workshop())); print('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\nFalse\n"


def test_errors_say_what_there_is():
    """A word, node or container that there is not is refused with those that there are."""
    topology = topologies.workshop()
    for options, words in (
        ({"show": ["colour"]}, "addresses, macs, routes, .*terms"),
        ({"node": "node9"}, "node1, node2 and outside"),
        ({"focus": ["nobody"]}, "db, probe, web and app"),
    ):
        with pytest.raises(NetkitError, match=words):
            draw.draw(topology, **options)


def test_a_figure_takes_every_word_that_the_text_takes():
    """What the text can show, a figure can be asked for; "all" has the facts of each word that a figure has room for."""
    topology = topologies.two_networks()
    for word in TOLD:
        assert topology.text(show=[word]) and lay_out(topology, show=[word]).shapes
    assert lay_out(topology, show="all") == lay_out(topology, show=[word for word in SHOW if word not in ("all", "terms")])
    assert said(lay_out(topology, show="all")) >= said(lay_out(topology, show=["addresses", "macs", "routes"]))


def test_a_node_and_a_container_can_be_drawn_alone():
    """``node`` leaves out every other node; ``focus`` counts the neighbours of what it shows."""
    texts = said(lay_out(topologies.workshop(), node="node2"))
    assert "node2" in texts and "node1" not in texts
    texts = said(lay_out(topologies.workshop(), focus=["db"]))
    assert "db" in texts and "… 1 more" in texts and "probe" not in texts and "node2" not in texts


def test_elided_names_keep_both_ends():
    """A name that is too long keeps its beginning and its end and fits its room."""
    name = "production-database-replica-0000000017"
    short = elide(name, 80, 9, paint.measure)
    assert short.startswith("prod") and short.endswith("17") and paint.measure(short, 9) <= 80
    assert calc_clean("web") == "web"


def test_figures_have_the_size_that_is_asked_for():
    """``width`` is the figure's width in inches, texts and all."""
    figure = draw.draw(topologies.single(), width=6)
    assert figure.get_size_inches()[0] == pytest.approx(6)
    check_texts(figure, "6 inches")


@pytest.mark.parametrize(("topology", "limit"), [(topologies.workshop, 0.5), (lambda: topologies.crowd(40, 4), 1.5)])
def test_figures_are_quick(topology, limit):
    """A notebook's figure takes half a second at most to make and render, one of forty containers three times that."""
    found = topology()
    draw.to_png(draw.draw(topologies.single()))
    durations = []
    for _ in range(3):
        start = time.process_time()  # what others do on this machine does not count
        draw.to_png(draw.draw(found))
        durations.append(time.process_time() - start)
    assert min(durations) < limit
