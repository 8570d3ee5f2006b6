"""The order of a node's boxes, its folding where there are too many, and its breaking into rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

from netkit.figure.layout.plan import Item, NodePlan, Port, Words
from netkit.figure.layout.words import natural

MOST = 40  # containers that a figure shows one by one
CAP = 12  # alike ones of a node, in a figure that has more
TRIED = 5  # nets whose every order is tried
KINDS = {"container": 0, "more": 1, "namespace": 2, "stopped": 3}


def fold(plans: Sequence[NodePlan], most: int = MOST) -> list[NodePlan]:
    """The plans, with alike containers told by their number where there are too many to show."""
    groups: Counter = Counter()
    for plan in plans:
        groups.update((plan.name, _calc_signature(item)) for item in plan.items if item.kind != "namespace")
    if sum(groups.values()) <= most:
        return list(plans)
    cap = next((cap for cap in range(CAP, 1, -1) if sum(min(cap, count) for count in groups.values()) <= most), 1)
    return [replace(plan, items=tuple(_fold_items(plan.items, cap))) for plan in plans]


def _calc_signature(item: Item) -> tuple:
    return (item.kind, *sorted(item.nets))


def _fold_items(items: Sequence[Item], cap: int) -> list[Item]:
    groups: dict[tuple, list[Item]] = defaultdict(list)
    for item in sorted(items, key=_by_name):
        groups[_calc_signature(item)].append(item)
    folded = []
    for group in groups.values():
        # what has changed is what a reader looks for
        group.sort(key=lambda item: not item.highlight)
        if group[0].kind == "namespace" or len(group) <= cap + 1:
            folded += group
        else:
            folded += [*group[:cap], make_more(group[cap:], group[0].nets)]
    return folded


def make_more(items: Sequence[Item], nets: Sequence[str]) -> Item:
    """The box that stands for some more items on the same nets."""
    first = items[0]
    ups = {port.net: port.up for item in items for port in item.ports}
    ports = tuple(Port(name=Words(text=""), net=net, up=ups[net]) for net in dict.fromkeys(nets))
    title = Words(text=f"… {len(items)} more", about=first.about)
    return Item(kind="more", about=first.about, titles=(title,), ports=ports)


def _by_name(item: Item) -> tuple:
    return (KINDS[item.kind], natural(item.titles[0].text), item.about)


def calc_order(plan: NodePlan, bands: dict[str, float]) -> tuple[Item, ...]:
    """The items, neighbours sharing nets; each with its ports in the order of its nets. ``bands`` are the overlays' heights."""
    # what hangs on the lowest band comes first, so that its label has room on the left of wires to higher ones
    ranks = _calc_ranks(plan) | {key: rank for rank, key in enumerate(sorted(bands, key=lambda key: -bands[key]))}
    items = [
        replace(item, ports=tuple(sorted(item.ports, key=lambda port: (ranks.get(port.net, 99), port.name.text)))) for item in plan.items
    ]
    return tuple(sorted(items, key=lambda item: (_calc_place(item, ranks), _by_name(item))))


def _calc_place(item: Item, ranks: dict[str, int]) -> tuple[float, float]:
    """Where an item belongs: after its lower nets, and among equals after its upper ones."""
    lower = [ranks[port.net] for port in item.ports if port.net and not port.up]
    upper = [ranks[port.net] for port in item.ports if port.net and port.up]
    far = 1000.0 if item.kind == "stopped" else 900.0
    above = sum(upper) / len(upper) if upper else far
    return (sum(lower) / len(lower) if lower else -1.0 if upper else far, above)


def _calc_ranks(plan: NodePlan) -> dict[str, int]:
    """The order of the nets in which the fewest bars overlap."""
    signatures = Counter(tuple(sorted({port.net for port in item.ports if port.net and not port.up})) for item in plan.items)
    used = {net for signature in signatures for net in signature}
    keys = [key for key in sorted(plan.nets, key=lambda key: (plan.nets[key].name != "bridge", natural(key))) if key in used]
    # nets that meet nothing else need no search
    linked = {net for signature in signatures if len(signature) > 1 for net in signature}
    joint = [key for key in keys if key in linked]
    if 1 < len(joint) <= TRIED:
        best = min(permutations(joint), key=lambda order: (_calc_overlap(order, signatures), [joint.index(key) for key in order]))
        keys = [*(key for key in keys if key not in linked), *best]
    return {key: rank for rank, key in enumerate([*keys, *(key for key in plan.nets if key not in used)])}


def _calc_overlap(order: Sequence[str], signatures: Counter) -> float:
    """How many boxes stand over nets that are not theirs."""
    ranks = {key: rank for rank, key in enumerate(order)}
    spans: dict[str, list[float]] = {key: [] for key in order}
    places = []
    for signature, count in signatures.items():
        known = [ranks[net] for net in signature if net in ranks]
        if known:
            place = sum(known) / len(known)
            places.append((place, signature, count))
            for net in signature:
                spans[net].append(place)
    return sum(
        count
        for place, signature, count in places
        for net, span in spans.items()
        if net not in signature and min(span) <= place <= max(span)
    )


def calc_rows(widths: Sequence[float], gap: float, most: int) -> list[list[int]]:
    """The indices of boxes, in at most so many rows of about the same width."""
    if not widths:
        return []
    low, high = max(widths), sum(widths) + gap * (len(widths) - 1)
    if most == 1:
        return [list(range(len(widths)))]
    for _ in range(20):
        middle = (low + high) / 2
        if len(_break(widths, gap, middle)) <= most:
            high = middle
        else:
            low = middle
    return _break(widths, gap, high)


def _break(widths: Sequence[float], gap: float, limit: float) -> list[list[int]]:
    rows: list[list[int]] = [[]]
    used = 0.0
    for index, width in enumerate(widths):
        if rows[-1] and used + gap + width > limit + 0.01:
            rows.append([])
            used = 0.0
        used += width + (gap if rows[-1] else 0)
        rows[-1].append(index)
    return rows
