"""What is to be drawn of each node, before anything has a place: boxes, the nets they hang on, what stands at the border, and labels with their size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from netkit.figure.picture import BASELINE, FAR, NOTE, NOTHING, Layer, Manner, Sheet, Words, calc_clean, natural
from netkit.network.model import Interface, NetworkNamespace, Route, Topology

MARGIN = 7.0  # between a label's border and what is written in it
SYMBOL, SPACE = 9.0, 6.0  # a network's symbol; between words of a line
BETWEEN = 7.0  # two labels in a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Lines of words, each in its manner, in a box of this ``role`` ("" for none), ``pad`` points above and below them.

    Before them may stand a ``chip`` and a ``mark``, behind the first line ``spare`` words if there is room.
    """

    role: str
    lines: tuple[tuple[tuple[Words, Manner], ...], ...] = ()
    about: str = ""
    network: str = ""
    highlight: str = ""
    mark: str = ""
    chip: Label | None = None
    spare: str = ""
    pad: float = 4.0

    @classmethod
    def of(cls, role: str, words: Words, manner: Manner, **options) -> Label:
        """One line of words, which are about the same as the whole."""
        return cls(role=role, lines=(((words, manner),),), about=words.about, highlight=words.highlight, **options)

    @property
    def look(self) -> dict[str, str]:
        """What every shape of it has in common."""
        return {"about": self.about, "network": self.network, "highlight": self.highlight}


@dataclass(frozen=True, slots=True)
class Piece:
    """A label with its place."""

    x: float
    y: float
    width: float
    height: float
    label: Label


def calc_size(sheet: Sheet, label: Label) -> tuple[float, float]:
    """The width and height of a label."""
    if not label.lines:
        return 0.0, 3.0
    width = max(sum(sheet.calc_width(words.text, manner) + SPACE for words, manner in line) for line in label.lines)
    width += SYMBOL if label.mark else -SPACE
    tall = sum(line[0][1].height for line in label.lines) + 2 * label.pad
    if label.chip:
        wide, high = calc_size(sheet, label.chip)
        width, tall = width + wide + SPACE, max(tall, high + 6)
    return width + (2 * MARGIN if label.role else 0), tall


def calc_sink(manner: Manner, smaller: Manner) -> float:
    """How much lower smaller words have to begin to stand on the baseline of others."""
    return (manner.size - smaller.size) * BASELINE


def write(sheet: Sheet, label: Label, x: float, y: float, tall: float, room: float) -> None:
    """What is written in a label, whose box is put down already."""
    margin = MARGIN if label.role else 0
    end, x = x + room - margin, x + margin
    if label.chip:
        wide, high = calc_size(sheet, label.chip)
        paint_piece(sheet, Piece(x, y + (tall - high) / 2, wide, high, label.chip))
        x += wide + SPACE
    top = y + (tall - sum(line[0][1].height for line in label.lines)) / 2
    if label.mark:
        middle = top + label.lines[0][0][1].height / 2
        sheet.mark(Layer.TEXT, x + SYMBOL / 2, middle, SYMBOL, label.mark, **label.look)
        x += SYMBOL + SPACE
    for number, line in enumerate(label.lines):
        at, first = x, line[0][1]
        for words, manner in line:
            named = replace(words, about=words.about or label.about)
            sink = top + calc_sink(first, manner)
            at += SPACE + sheet.text(at, sink, named, manner, room=end - at, tail=manner is not NOTE, network=label.network)
        if number == 0 and label.spare and at + sheet.calc_width(label.spare, FAR) + margin < end:
            sheet.text(at, top + calc_sink(first, FAR), Words(label.spare, label.about), FAR)
        top += first.height


def paint_piece(sheet: Sheet, piece: Piece) -> None:
    """Put a label down."""
    label = piece.label
    if label.role:
        sheet.box(Layer.BOX, piece.x, piece.y, piece.width, piece.height, label.role, **label.look)
    write(sheet, label, piece.x, piece.y, piece.height, piece.width)


def flow(sheet: Sheet, labels: Sequence[Label], width: float, y: float, left: float) -> tuple[list[Piece], float]:
    """The labels side by side in lines of this width; returns them and where the next line begins."""
    lines: list[list[Piece]] = []
    x = width + 1
    for label in labels:
        wide, tall = calc_size(sheet, label)
        wide = min(wide, width - left)
        if x + wide > width + 0.01:
            lines.append([])
            x = left
        lines[-1].append(Piece(x, 0, wide, tall, label))
        x += wide + BETWEEN
    pieces = []
    for line in lines:
        tall = max(piece.height for piece in line)
        pieces += [replace(piece, y=y + (tall - piece.height) / 2) for piece in line]
        y += tall + BETWEEN
    return pieces, y


MANY = 3  # addresses of one interface that are written out
ROUTES = 5  # routes of one namespace that are written out
MAIN = 254
MARKS = {"new": "+ ", "gone": "− ", "changed": "~ "}
KINDS = {"container": 0, "more": 1, "namespace": 2, "stopped": 3}
QUIET = ("veth", "loopback", "physical", "macvlan", "ipvlan")  # kinds of which an interface's name says enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """An interface of an item, on its upper edge (overlays) or its lower one.

    ``net`` is the key of what it is wired to ("" for nothing), ``far`` the name of the wire's other end.
    """

    name: Words
    lines: tuple[str, ...] = ()
    net: str = ""
    up: bool = False
    far: Words = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A box: one network namespace with whatever lives in it, and ``lines`` on it. ``kind`` is container, namespace, stopped or more."""

    kind: str
    about: str
    titles: tuple[Words, ...]
    lines: tuple[tuple[Words, Manner], ...] = ()
    ports: tuple[Port, ...] = ()
    highlight: str = ""

    @property
    def nets(self) -> tuple[str, ...]:
        """The keys of the nets it is wired to."""
        return tuple(port.net for port in self.ports if port.net)

    @property
    def sides(self) -> tuple[list[Port], list[Port]]:
        """Its ports on the lower edge, and those on the upper one."""
        return [port for port in self.ports if not port.up], [port for port in self.ports if port.up]

    @property
    def order(self) -> tuple:
        """A key that sorts containers before other namespaces, web2 before web10."""
        return (KINDS[self.kind], natural(self.titles[0].text), self.about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """What wires end at: a bridge, an overlay, a macvlan's parent; a pair (the wire itself) or a chip (an end without a master).

    ``bar`` is how it is written. ``parent`` is the interface of the node through which it leads outside on layer 2,
    ``tunnel`` the VXLAN number and UDP port of its VTEP, if it has one.
    """

    key: str
    kind: str
    bar: Label
    parent: str = ""
    tunnel: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """A node as it is to be drawn: its ``items`` and ``nets``; below them what is in its own namespace and at its border."""

    name: str
    about: str
    caption: str = ""
    trouble: str = ""
    off: bool = False
    plain: bool = False
    nets: dict[str, Net] = field(default_factory=dict)
    items: tuple[Item, ...] = ()
    inside: tuple[Label, ...] = ()
    notes: tuple[Label, ...] = ()
    uplinks: tuple[Label, ...] = ()
    tags: tuple[Label, ...] = ()
    highlight: str = ""

    @property
    def overlays(self) -> tuple[Net, ...]:
        """The overlays that reach this node."""
        return tuple(net for net in self.nets.values() if net.kind == "overlay")


@dataclass(frozen=True)
class Context:
    """What a figure is made of, what it is to show, and how that is said."""

    topology: Topology
    show: frozenset[str]
    highlights: dict[str, str] = field(default_factory=dict)

    def term(self, word: str, text: str) -> str:
        """The text, after its term of the container network model if those are to be shown."""
        return f"{word} {text}".strip() if "terms" in self.show else text

    def mark(self, *abouts: str) -> str:
        """The highlight of the first of these that has one."""
        return next((self.highlights[about] for about in abouts if about in self.highlights), "")

    def words(self, text: str, about: str, bigger: str = "") -> Words:
        """A text with its mark and highlight; what shares the highlight of something ``bigger`` needs no mark of its own."""
        highlight = self.highlights.get(about, "gone" if bigger == "gone" else "")
        if highlight == bigger:
            return Words(text, about, "gone" if bigger == "gone" else "")
        return Words(MARKS.get(highlight, "") + text, about, highlight)

    def lines(self, interface: Interface) -> tuple[str, ...]:
        """The lines below an interface's name: its addresses and its MAC address, as far as they are to be shown."""
        addresses = [str(address) for address in interface.addresses if "addresses" in self.show and not address.is_link_local]
        macs = [calc_clean(interface.mac)] if "macs" in self.show and interface.mac else []
        return (*shorten(addresses, MANY, "more"), *macs)

    def fact(self, place: str, interface: Interface, bigger: str = "") -> Words:
        """One line about an interface that is wired to nothing, such as a loopback."""
        return self.words(" ".join((tell_port(interface), *self.lines(interface))), f"{place}/{interface.name}", bigger)

    def routes(self, namespace: NetworkNamespace, most: int = ROUTES) -> list[str]:
        """The routes of a namespace's main table, as ip-route(8) begins them; none unless they are to be shown."""
        found = [each for each in namespace.routes if each.table == MAIN and "routes" in self.show]
        found = [each for each in found if not each.destination.is_link_local and not each.destination.is_multicast]
        return shorten([_tell_route(route) for route in found], most, "more")


def shorten(lines: list[str], most: int, word: str) -> list[str]:
    """At most so many lines, the last of them telling how many more there are."""
    return lines if len(lines) <= most else [*lines[: most - 1], f"… {len(lines) - most + 1} {word}"]


def tell_port(interface: Interface) -> str:
    """An interface's name, with a word for what it does not say itself."""
    notes = [] if interface.kind in QUIET else [tell_kind(interface)]
    notes += [] if interface.up else ["down"]
    return calc_clean(interface.name) + (f" ({', '.join(notes)})" if notes else "")


def tell_kind(interface: Interface) -> str:
    """The word for an interface's kind, with its number if it has one."""
    if interface.vxlan:
        return f"VNI {interface.vxlan.vni}"
    return calc_clean(interface.kind) if interface.vlan is None else f"VLAN {interface.vlan}"


def _tell_route(route: Route) -> str:
    kind = "" if route.kind == "unicast" else calc_clean(route.kind)
    means = f"via {route.gateway}" if route.gateway else f"dev {calc_clean(route.interface)}" if route.interface else ""
    return " ".join(filter(None, (kind, str(route.destination) if route.destination.prefixlen else "default", means)))
