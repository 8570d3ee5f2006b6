"""In which order the boxes of a node stand, and which bar below them lies in which lane.

Lanes are counted from the farthest one, 0, towards the boxes: a wire to lane 0 passes every other lane,
so that a bar may be crossed by the wires of those in lower-numbered lanes, and its label not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise, permutations

from netkit.figure.picture import natural
from netkit.figure.plan import Item, NodePlan

MARGIN = 13.0  # how far a bar reaches beyond its outermost wire
CLEAR = 6.0  # between a label and a wire that passes
APART = 12.0  # between two bars in a lane
MOST = 4  # bars whose every order is tried


def calc_order(plan: NodePlan, bands: dict[str, float]) -> tuple[Item, ...]:
    """The items, neighbours sharing nets; each with its ports in the order of its nets. ``bands`` are the overlays' heights."""
    # what hangs on the lowest band comes first, so that its label has room on the left of wires to higher ones
    ranks = _calc_ranks(plan) | {key: rank for rank, key in enumerate(sorted(bands, key=lambda key: -bands[key]))}
    items = [
        replace(item, ports=tuple(sorted(item.ports, key=lambda port: (ranks.get(port.net, 99), port.name.text)))) for item in plan.items
    ]
    return tuple(sorted(items, key=lambda item: (_calc_place(item, ranks), item.order)))


def _calc_place(item: Item, ranks: dict[str, int]) -> tuple[float, float]:
    """Where an item belongs: after its lower nets, and among equals after its upper ones."""
    lower = [ranks[port.net] for port in item.ports if port.net and not port.up]
    upper = [ranks[port.net] for port in item.ports if port.net and port.up]
    far = 1000.0 if item.kind == "stopped" else 900.0
    above = sum(upper) / len(upper) if upper else far
    return (sum(lower) / len(lower) if lower else -1.0 if upper else far, above)


def _calc_ranks(plan: NodePlan) -> dict[str, int]:
    """The order of the nets: those with a box in common are neighbours, as far as a line allows it."""
    joined = [{port.net for port in item.ports if port.net and not port.up} for item in plan.items]
    used = set().union(*joined)
    waiting = sorted(plan.nets, key=lambda key: (key not in used, plan.nets[key].bar.network != "bridge", natural(key)))
    # an end of a chain comes before what it is joined to
    waiting.sort(key=lambda key: sum(key in nets and len(nets) > 1 for nets in joined))
    order: list[str] = []
    while waiting:
        near = (key for key in waiting if order and any({key, order[-1]} <= nets for nets in joined))
        order.append(next(near, waiting[0]))
        waiting.remove(order[-1])
    return {key: rank for rank, key in enumerate(order)}


@dataclass(frozen=True, slots=True)
class Need:
    """A bar that is wanted: its net's key, the x of its wires, its label's width; an x it has to reach, and one its label must not."""

    key: str
    xs: tuple[float, ...]
    width: float
    height: float
    reach: float | None = None
    clear: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Arm:
    """A bar with its place: from ``x0`` to ``x1`` in ``lane``; its label has ``room`` from ``label_x`` on."""

    need: Need
    x0: float
    x1: float
    label_x: float
    room: float
    lane: int = 0
    crossings: tuple[float, ...] = ()


def calc_lanes(needs: Sequence[Need], left: float, right: float) -> tuple[Arm, ...]:
    """The bars in their lanes, within ``left`` and, unless labels need more, ``right``: few lanes, few crossings."""
    wired = sorted((need for need in needs if need.xs), key=lambda need: (need.xs[0], need.xs[-1], need.key))
    orders = permutations(wired) if len(wired) <= MOST else [wired, sorted(wired, key=lambda need: need.xs[0] - need.xs[-1])]
    arms = min((_place(order, left, right) for order in orders), key=_calc_cost)
    for need in needs:
        arms = arms if need.xs else _place_bare(need, arms, left, right)
    return tuple(sorted((_cross(arm, arms) for arm in arms), key=lambda arm: (-arm.lane, arm.x0)))


def _calc_cost(arms: Sequence[Arm]) -> tuple:
    crossed = sum(len(_cross(arm, arms).crossings) for arm in arms)
    lanes, end = max((arm.lane for arm in arms), default=0), max((arm.x1 for arm in arms), default=0)
    return (60 * lanes + 40 * crossed + end, tuple((arm.lane, arm.need.key) for arm in arms))


def _cross(arm: Arm, arms: Iterable[Arm]) -> Arm:
    xs = {x for other in arms if other.lane < arm.lane for x in other.need.xs if arm.x0 < x < arm.x1}
    return replace(arm, crossings=tuple(sorted(xs)))


def _place(order: Sequence[Need], left: float, right: float) -> list[Arm]:
    arms: list[Arm] = []
    for need in order:
        arms.append(next(arm for lane in count() if (arm := _try(need, lane, arms, left, right))))
    return arms


def _try(need: Need, lane: int, arms: Sequence[Arm], left: float, right: float) -> Arm | None:
    """The bar in this lane, or None if it would touch another one or send a wire through a label."""
    crossings = sorted({x for arm in arms if arm.lane < lane for x in arm.need.xs})
    mine = _fit(need, crossings, left, right)
    for arm in arms:
        if arm.lane == lane and mine.x0 - APART < arm.x1 and arm.x0 - APART < mine.x1:
            return None
        if arm.lane > lane and any(arm.label_x - CLEAR < x < arm.label_x + arm.need.width + CLEAR for x in need.xs):
            return None
    return replace(mine, lane=lane)


def _fit(need: Need, crossings: Sequence[float], left: float, right: float) -> Arm:
    """How far a bar has to reach so that its label has room beside the wires that cross it."""
    x0, x1 = min(need.xs) - MARGIN, max(need.xs) + MARGIN
    if need.width == 0:
        return Arm(need, min(need.xs), max(need.xs), x0, 0)
    if need.reach is not None:
        x0, x1 = min(x0, need.reach), max(x1, need.reach)
    elif not any(x1 - need.width < x < x0 + need.width for x in crossings):
        # too narrow, and nothing in the way: it grows on both sides
        x0 = max(min(x0, x0 - (need.width - x1 + x0) / 2, right - need.width), min(left, x0))
        x1 = max(x1, x0 + need.width)
    start = max(x0, need.clear)
    edges = [start - CLEAR, *(x for x in crossings if start < x < x1), x1 + CLEAR]
    begin, room = find_gap(edges, need.width - 0.01, CLEAR, CLEAR)
    if room >= need.width - 0.01:
        return Arm(need, x0, x1, begin, room)
    begin = edges[-2] + CLEAR
    while inside := [x for x in crossings if begin - CLEAR < x < begin + need.width + CLEAR]:
        begin = min(inside) + CLEAR + 0.01
    return Arm(need, x0, max(x1, begin + need.width), begin, need.width)


def find_gap(edges: Sequence[float], width: float, before: float, after: float) -> tuple[float, float]:
    """Where a text of this width stands between some lines, so far after one and before the next, and how much room it has.

    That is the first place which is wide enough, or else the widest.
    """
    gaps = [(begin + before, end - begin - (before + after)) for begin, end in pairwise(edges)]
    return next((gap for gap in gaps if gap[1] >= width), max(gaps, key=lambda gap: gap[1]))


def _place_bare(need: Need, arms: list[Arm], left: float, right: float) -> list[Arm]:
    """The bars with one more that no wire ends at: where there is room for it, else in a lane of its own."""
    lanes = max((arm.lane for arm in arms), default=-1) + 1
    for lane in range(lanes) if need.reach is None else ():
        taken = [(arm.x0 - APART, arm.x1 + APART) for arm in arms if arm.lane == lane]
        taken += [(x - CLEAR, x + CLEAR) for arm in arms if arm.lane < lane for x in arm.need.xs]
        for x in sorted(start for start in (left, *(end for _, end in taken)) if left <= start <= right - need.width):
            if all(end <= x or x + need.width <= begin for begin, end in taken):
                return [*arms, Arm(need, x, x + need.width, x, need.width, lane)]
    x = left if need.reach is None else min(left, need.reach)
    return [*(replace(arm, lane=arm.lane + 1) for arm in arms), Arm(need, x, left + need.width, left, need.width)]
