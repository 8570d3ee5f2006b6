"""The inside of a node: its boxes in rows, its bars in lanes, with all places counted from its upper left corner."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from netkit.figure.layout.labels import Label, calc_label
from netkit.figure.layout.lanes import CLEAR, Arm, Need, calc_lanes
from netkit.figure.layout.order import calc_order, calc_rows
from netkit.figure.layout.picture import CAPTION, DETAIL, FAR, NAME, NODE, PORT, TAG, Measure
from netkit.figure.layout.plan import Item, NodePlan, Port, Tag
from netkit.figure.layout.sheet import height
from netkit.figure.layout.words import wrap

PAD = 12.0  # between a node's border and what is in it
GAP = 12.0  # between two boxes of a row
INSET = 6.0  # between a box's border and its text
WIRE = 25.0  # from a box to the first bar
LANE = 15.0  # from a bar to the next
TRACK = 9.0  # from one vertical line beside the rows to the next
HOP = 4.0  # half the gap in a bar where a wire passes
LONGEST = 150.0  # of a name, in points
LONGEST_FACT = 200.0
WIDEST_NOTE = 330.0
WIDEST_TAG = 220.0
ARROW = 12.0
SLIMMEST = 62.0  # box


@dataclass(frozen=True, slots=True)
class Spot:
    """A box with its place in a row; ``downs`` and ``ups`` are its ports with the x of their wires."""

    item: Item
    x: float
    width: float
    downs: tuple[tuple[Port, float], ...] = ()
    ups: tuple[tuple[Port, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A row of boxes ``tall`` points high, with the bars above and below."""

    spots: tuple[Spot, ...]
    tall: float
    above: tuple[Arm, ...] = ()
    below: tuple[Arm, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A node with its inside: the x of its ``tracks`` (by net), of its ``spines`` on the right, of its rows' two ends."""

    plan: NodePlan
    rows: tuple[Row, ...]
    left: float
    right: float
    tracks: dict[str, float]
    spines: dict[str, float]
    labels: dict[tuple[str, bool], Label]
    trouble: tuple[str, ...] = ()
    width: float = 0.0


def calc_lane_heights(arms: tuple[Arm, ...]) -> dict[int, float]:
    """How high each lane is."""
    heights: dict[int, float] = {}
    for arm in arms:
        heights[arm.lane] = max(heights.get(arm.lane, 0.0), arm.need.height)
    return heights


def calc_zone(arms: tuple[Arm, ...]) -> float:
    """How much room some lanes take, the wires to them included."""
    heights = calc_lane_heights(arms)
    return WIRE + sum(heights.values()) + LANE * (len(heights) - 1) if heights else 0.0


@dataclass(frozen=True, slots=True)
class _Frame:
    """What the rows of a node share: their two ends, the lines beside them, each net's first and last row, the last of all."""

    left: float
    right: float
    anchors: dict[str, float]
    spans: dict[str, tuple[int, int]]
    last: int


class Arranger:
    """Arranges one node; ``most`` is how many rows it may have."""

    def __init__(self, plan: NodePlan, measure: Measure, bands: dict[str, float]) -> None:
        self.plan, self.measure, self.bands = plan, measure, bands
        self.items = calc_order(plan, bands)
        users = Counter(net for item in self.items for net in set(item.nets))
        self.labels = {(key, short): calc_label(net, measure, short) for key, net in plan.nets.items() for short in (False, True)}
        self.widths = [self._calc_width(item, users) for item in self.items]

    def _calc_width(self, item: Item, users: Counter) -> float:
        measure = self.measure
        texts = [min(measure(title.text, NAME, bold=True), LONGEST) + (8 if len(item.titles) > 1 else 0) for title in item.titles]
        texts += [min(measure(fact.text, DETAIL, mono=True), LONGEST_FACT) for fact in item.facts]
        texts.append(min(measure(item.caption, CAPTION), LONGEST))
        widest = max(texts) + 2 * INSET + 2
        edges = [sum(self._calc_pitches(item, up)) for up in (True, False)]
        alone = [net for net in item.nets if users[net] == 1 and self.plan.nets[net].kind != "overlay"]
        # a bar of its own for one box: wide enough for its label, so that it needs no lane of its own
        label = self.labels[alone[0], False].width if len(alone) == 1 and len(item.nets) == 1 else 0.0
        return max(SLIMMEST, widest, *edges, label)

    def _calc_pitches(self, item: Item, up: bool) -> list[float]:
        ports = [port for port in item.ports if port.up == up]
        pitch = max((self._calc_pitch(port) for port in ports), default=0.0)
        return [pitch] * len(ports)

    def _calc_pitch(self, port: Port) -> float:
        measure = self.measure
        lines = [min(measure(port.name.text, PORT, bold=True), LONGEST), *(measure(line, PORT, mono=True) for line in port.lines)]
        far = measure(port.far.text, FAR, mono=True)
        return max(*lines, min(far, LONGEST)) + 2 * INSET if port.name.text else 40.0

    def arrange(self, most: int) -> Arrangement:
        """The node with its boxes in at most so many rows."""
        indices = calc_rows(self.widths, GAP, most)
        tracks, spines = self._calc_tracks(indices)
        left = PAD + TRACK * len(tracks) + (4 if tracks else 0)
        anchors = {key: PAD + TRACK * (number + 0.5) - 2 for number, key in enumerate(tracks)}
        spots = [self._calc_spots(row, left) for row in indices]
        right = max((self._calc_end(row) for row in spots), default=left)
        right = max(right, PAD + self._calc_least(), *self._calc_band_ends(spots[0] if spots else (), anchors))
        spans: dict[str, tuple[int, int]] = {}
        for number, row in enumerate(spots):
            for key in (key for spot in row for key in spot.item.nets):
                spans[key] = (spans.get(key, (number, 0))[0], number)
        frame = _Frame(left, right, anchors, spans, max(len(spots) - 1, 0))
        rows = [self._calc_row(row, number, frame) for number, row in enumerate(spots or [()])]
        ends = [arm.x1 for row in rows for arm in row.below]
        right = max([right, *ends, *(arm.label_x + arm.need.width for row in rows for arm in row.above)])
        beside = {key: right + TRACK * (number + 1) for number, key in enumerate(spines)}
        width = right + PAD + (TRACK * len(spines) + 4 if spines else 0)
        trouble = tuple(wrap(self.plan.trouble, width - 2 * PAD, CAPTION, self.measure, 5)) if self.plan.trouble else ()
        return Arrangement(self.plan, tuple(rows), left, right, anchors, beside, self.labels, trouble, width)

    def _calc_least(self) -> float:
        """The least width of a node: that of its title, its cable's label, a short sentence."""
        plan, measure = self.plan, self.measure
        title = min(measure(plan.name, NODE, bold=True), 260) + (measure(plan.caption, CAPTION) + 10 if plan.caption else 0)
        links = sum(calc_chip_width(item, measure) + GAP for item in plan.uplinks)
        bands = max((self.labels[net.key, False].width for net in plan.overlays), default=0.0)
        notes = min(
            max((measure(line, FAR, mono=True) for note in plan.notes for line in note.lines), default=0.0) + 2 * INSET, WIDEST_NOTE
        )
        tags = min(max((calc_tag_width(tag, measure) for tag in plan.tags), default=0.0), WIDEST_TAG)
        return max(title, links, bands, notes, tags, 190.0 if plan.trouble else 0.0)

    def _calc_end(self, row: tuple[Spot, ...]) -> float:
        """How far a row reaches, the names of its wires' far ends included."""
        wires = [(port, x) for spot in row for port, x in (*spot.downs, *spot.ups) if port.far.text]
        ends = [x + 4 + min(self.measure(port.far.text, FAR, mono=True), LONGEST) - PAD / 2 for port, x in wires]
        return max([row[-1].x + row[-1].width, *ends])

    def _calc_band_ends(self, first: tuple[Spot, ...], anchors: dict[str, float]) -> list[float]:
        """How far each band has to reach so that its label has room beside the wires to higher bands."""
        ends = [0.0]
        for net in self.plan.overlays:
            wires = [x for spot in first for port, x in spot.ups if self.bands[port.net] < self.bands[net.key]]
            edges = [anchors.get(net.key, PAD) - 5 - HOP, *sorted(wires)]
            width = self.labels[net.key, False].width + 2 * HOP
            if not any(end - begin >= width for begin, end in pairwise(edges)):
                ends.append(edges[-1] + width - HOP)
        return ends

    def _calc_tracks(self, indices: list[list[int]]) -> tuple[list[str], list[str]]:
        """The nets with a line beside the rows, on the left (tunnels first) and on the right."""
        rows = Counter(net for row in indices for net in {net for index in row for net in self.items[index].nets})
        nets = self.plan.nets
        tunnels = sorted(
            (key for key, net in nets.items() if net.vtep), key=lambda key: (key not in self.bands, self.bands.get(key, 0.0), key)
        )
        others = [key for key, net in nets.items() if net.kind != "overlay" and not net.vtep and (net.parent or rows[key] > 1)]
        later = {net for row in indices[1:] for index in row for net in self.items[index].nets}
        return [*tunnels, *others], [net.key for net in self.plan.overlays if net.key in later]

    def _calc_spots(self, row: list[int], left: float) -> tuple[Spot, ...]:
        spots, x = [], left
        for index in row:
            item, width = self.items[index], self.widths[index]
            edges = []
            for up in (False, True):
                ports = [port for port in item.ports if port.up == up]
                cell = width / len(ports) if ports else 0
                edges.append(tuple((port, x + cell * (number + 0.5)) for number, port in enumerate(ports)))
            spots.append(Spot(item, x, width, *edges))
            x += width + GAP
        return tuple(spots)

    def _calc_row(self, spots: tuple[Spot, ...], number: int, frame: _Frame) -> Row:
        below: dict[str, list[float]] = {}
        above: dict[str, list[float]] = {}
        for port, x in ((port, x) for spot in spots for port, x in (*spot.downs, *spot.ups) if port.net):
            (above if port.up else below).setdefault(port.net, []).append(x)
        if number == frame.last:
            unused = [net.key for net in self.plan.nets.values() if net.kind != "overlay" and net.key not in frame.spans]
            below |= {key: [] for key in unused}
        needs = [self._need(key, xs, number, frame) for key, xs in below.items()]
        tall = max((calc_item_height(spot.item) for spot in spots), default=0.0)
        # above the first row, there are the bands themselves
        upper = [self._need_above(key, xs, frame) for key, xs in above.items()] if number else []
        return Row(spots, tall, calc_lanes(upper, frame.left, frame.right), calc_lanes(needs, frame.left, frame.right))

    def _need(self, key: str, xs: list[float], number: int, frame: _Frame) -> Need:
        """A bar below a row; short where a later row has another one of its net."""
        short = frame.spans.get(key, (0, number))[1] != number
        label, reach = self.labels[key, short], frame.anchors.get(key)
        clear = float("-inf")
        if reach is not None:
            # the lines of other nets between this one's own and the boxes
            passing = [x for other, x in frame.anchors.items() if x > reach and self._passes(other, number, frame)]
            clear = max((x + CLEAR for x in passing), default=clear)
        return Need(key, tuple(sorted(xs)), label.width, label.height, reach, clear, short)

    def _need_above(self, key: str, xs: list[float], frame: _Frame) -> Need:
        label = self.labels[key, True]
        return Need(key, tuple(sorted(xs)), label.width, label.height, frame.right + TRACK, short=True)

    def _passes(self, key: str, number: int, frame: _Frame) -> bool:
        """Whether a net's line passes beside a row."""
        first, last = frame.spans.get(key, (frame.last, frame.last))
        goes_down = self.plan.nets[key].vtep or self.plan.nets[key].parent
        return self.plan.nets[key].kind == "overlay" or first <= number <= last or bool(goes_down and first <= number)


def calc_chip_width(item: Item, measure: Measure) -> float:
    """The width of a cable's label, or of a guest's box: its name, and what is said of it, side by side."""
    name = min(measure(item.titles[0].text, PORT, bold=True), LONGEST)
    return name + sum(measure(fact.text, PORT, mono=True) + 6 for fact in item.facts) + 2 * INSET + 4


def calc_tag_width(tag: Tag, measure: Measure) -> float:
    """The width of a mark at a node's border."""
    return measure(tag.text, TAG) + ARROW + 2 * INSET


def calc_item_height(item: Item) -> float:
    """The height of a box."""
    ups = [height(PORT, 1 + len(port.lines)) for port in item.ports if port.up and port.name.text]
    downs = [height(PORT, 1 + len(port.lines)) for port in item.ports if not port.up and port.name.text]
    several = len(item.titles) > 1
    titles = sum(height(NAME) + (7 if several else 0) for _ in item.titles)
    middle = titles + (height(CAPTION) if item.caption else 0) + height(DETAIL, len(item.facts))
    return 2 * INSET + max(ups, default=0.0) + middle + max(downs, default=0.0) + (3 if ups else 0) + (3 if downs else 0)
