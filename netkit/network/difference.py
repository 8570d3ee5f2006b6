"""What changed between two topologies: the tree of the lines that describe them, as far as lines were added, removed or changed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from netkit.network.describe import describe
from netkit.network.model import End, Node, Topology
from netkit.network.words import WHOLE, Clause, Line, is_told, plain, tell_line, tell_namespace
from netkit.shown import Shown

SIGNS = {"appeared": "+", "vanished": "-", "changed": "~", "moved": "~", "": " "}
# the levels of lines and clauses that only an option tells, by that option
OPTIONS = {"macs": "macs", "neighbours": "learned", "fdb": "learned", "filled": "learned", "rules": "rules"}
FOLLOWS = "follows"
# the levels of what is told of something that is there on both sides
ALWAYS = {"", "hidden", "addresses", "routes", "options", "tunnels"}
# a rule of an engine's: in a chain of its own, or leading there; DOCKER-USER is the user's, and returns at its end
ENGINES = re.compile(r"-A DOCKER(?!-USER)|-[jg] DOCKER|-A DOCKER-USER -j RETURN$|docker")


@dataclass(frozen=True, slots=True)
class Change:
    """One line that is different.

    ``kind`` is appeared, vanished, changed or moved; it is empty where only lines in ``inner`` are different.
    ``about`` says what it is, as in :class:`Line`, by the names of :meth:`Topology.canonical`. ``line`` is there now, or
    was if it is gone. Where it is on both sides, ``gained`` and ``lost`` are what is said of it now and was before.
    ``was`` is the earlier place of what moved, ``also`` those of everything else that came or went with it. ``told_with``
    is empty for what every reader is told, or the option of :meth:`Diff.text` that tells it: "macs" (follows from random
    MAC addresses), "learned" (tables that fill and empty by themselves), "rules" (the packet filter's rules, where
    something else that is told explains them). It is "follows" for what goes without saying, because something else
    that came or went says it.
    """

    kind: str
    about: str
    line: Line
    gained: tuple[Clause, ...] = ()
    lost: tuple[Clause, ...] = ()
    was: str = ""
    told_with: str = ""
    inner: tuple[Change, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether it came or went, with all that is in it."""
        return self.kind in ("appeared", "vanished")

    @property
    def also(self) -> tuple[str, ...]:
        """The places of everything that came or went with it."""
        with_it = (each for change in self.inner for each in change.walk() if each.kind == self.kind and each.about)
        return tuple(dict.fromkeys(each.about for each in with_it)) if self.is_whole else ()

    def walk(self) -> Iterator[Change]:
        """It, and everything inside of it."""
        yield self
        for each in self.inner:
            yield from each.walk()


@dataclass(frozen=True)
class Diff(Shown):
    """What happened between two topologies; true if anything did."""

    before: Topology = field(repr=False)
    after: Topology = field(repr=False)
    tree: tuple[Change, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """Every line that is different, without those inside of something that came or went as a whole."""
        return tuple(_flatten(self.tree))

    def __bool__(self) -> bool:
        return bool(self.tree)

    def __repr__(self) -> str:
        count = len(self.changes)
        return f"<Diff: {count} change{'' if count == 1 else 's'}>"

    def text(self, *, macs: bool = False, learned: bool = False, rules: bool = False) -> str:
        """The lines that are different, as :meth:`Topology.text` has them; "nothing changed" if none is to be told.

        Each begins with a sign: + for what appeared, - for what vanished, ~ for what changed, and none for what it is in.
        ``macs`` adds what follows from random MAC addresses, ``learned`` the rows that forwarding and neighbour
        tables learn and forget by themselves, ``rules`` the packet filter's rules where another change explains
        them. Without these the text is the same each time the same is done.
        """
        options = {name for name, is_asked in {"macs": macs, "learned": learned, "rules": rules}.items() if is_asked}
        return "\n".join(_tell(self.tree, {"", *options})) or "nothing changed"

    def marks(self) -> dict[str, str]:
        """What to mark in a figure: the place of everything that is different, with the kind of its change."""
        told = [change for change in self.changes if change.told_with in ("", FOLLOWS)]
        # of several changes at one place, the first counts
        return {place: each.kind for each in reversed(told) for place in (each.about, *each.also) if place}

    def draw(self, **options: Any) -> Any:
        """The figure of what is there now with the changes marked; ``options`` as for Topology.draw."""
        from netkit.figure.draw import draw

        return draw(self.after, diff=self, **options)


def calc_diff(before: Topology, after: Topology) -> Diff:
    """What is different in ``after``: no changes exactly if the two are equal.

    Both are compared by their canonical names, so what is random does not count.
    """
    old, new = before.canonical(), after.canonical()
    changed = Comparison(old, new).compare(())
    return Diff(before, after, tuple(_explain_rules(each, old, new) for each in (changed.inner if changed else ())))


class _Side(dict[tuple, tuple[Line, list[tuple]]]):
    """One topology's lines, each with the keys of those inside of it, by what it is known by: its place, or what it is in and its head."""

    def __init__(self, lines: tuple[Line, ...], moves: dict[str, str]) -> None:
        self._moves, self._seen = moves, Counter()
        self._add((), Line("", inner=lines))

    def _add(self, key: tuple, line: Line) -> None:
        keys: list[tuple] = []
        self[key] = line, keys
        for each in line.inner:
            if "derived" not in each.level:
                name = (self._moves.get(each.about, each.about),) if each.about else (*key, each.head)
                self._seen[name] += 1
                keys.append((*name, self._seen[name]))  # several things may go by one name
                self._add(keys[-1], each)


class Comparison:
    """Two descriptions, line by line."""

    def __init__(self, old: Topology, new: Topology) -> None:
        places = [{f"{node.name}/{each.name}" for node, each in side.namespaces()} for side in (old, new)]
        moves = {str(one): str(other) for one, other in _find_moves(old, new, places[0] & places[1])}
        self.old, self.new = _Side(describe(old, compared=True), moves), _Side(describe(new, compared=True), {})
        lonely = (self.old.get(key) or self.new[key] for key in self.old.keys() ^ self.new.keys())
        self.one_sided = tuple(f"{place}/" for place in places[0] ^ places[1])  # what is inside of namespaces that only one side has
        self.came_or_went = {*(line.about for line, _ in lonely), *(places[0] ^ places[1])} - {""}

    def compare(self, key: tuple) -> Change | None:
        """What is different about a line and inside of it, in the order of the lines; what is gone stands where it was."""
        (before, old), (after, new) = (side.get(key, (None, [])) for side in (self.old, self.new))
        keys, at = list(new), 0
        for each in old:
            if each in keys:
                at = keys.index(each) + 1
            elif each not in self.new:
                keys.insert(at, each)
                at += 1
        inner = tuple(filter(None, map(self.compare, keys)))
        if before and after:
            return _compare_both(before, after, inner, not inner and old != new and set(old) == set(new))
        line, kind = (after, "appeared") if after else (before, "vanished")
        follows = line.level and (line.follows in self.came_or_went or line.about.startswith(self.one_sided))
        return Change(kind, line.about, line, told_with=FOLLOWS if follows else _calc_option(line.level), inner=inner)


def _compare_both(before: Line, after: Line, inner: tuple[Change, ...], is_reordered: bool) -> Change | None:
    gained, lost = _subtract(after.clauses, before.clauses), _subtract(before.clauses, after.clauses)
    if is_reordered:
        gained = (*gained, Clause("in another order"))
    is_moved = before.about != after.about
    if is_moved and before.about.rpartition("/")[0] != after.about.rpartition("/")[0]:
        node, namespace, _ = before.about.split("/", 2)
        gained = (Clause(f"moved from {tell_namespace(namespace, node)}"), *gained)
    if before.head != after.head:
        lost = (Clause(before.head), *lost)
    kind = "moved" if is_moved else "changed" if gained or lost else ""
    if not kind and not inner:
        return None
    options = [_calc_option(each.level) for each in (*gained, *lost)]
    common = options[0] if kind == "changed" and all(options) else ""
    told_with = kind and (_calc_option(before.level) or _calc_option(after.level) or common)
    return Change(kind, after.about, after, gained, lost, before.about if is_moved else "", told_with, inner)


def _subtract(some: Iterable[Clause], others: Iterable[Clause]) -> tuple[Clause, ...]:
    """The clauses whose words are not among the others', without those that are told elsewhere."""
    left = Counter(each.words for each in others if "derived" not in each.level)
    found = []
    for each in some:
        if "derived" not in each.level:
            left[each.words] -= 1
            found += [each] * (left[each.words] < 0)
    return tuple(found)


def _calc_option(level: str) -> str:
    """The option that tells what is of this level."""
    return next((OPTIONS[word] for word in level.split() if word in OPTIONS), "")


# -- in words --


def _tell(changes: Iterable[Change], told: Collection[str], indent: str = "", is_new: bool = False) -> Iterator[str]:
    """The lines of a tree, for who is told changes with these options.

    ``is_new`` says that they are inside of something that came or went, which is told like a text.
    """
    levels = ALWAYS | {level for level, option in OPTIONS.items() if option in told}
    for each in changes:
        shown = bool(each.kind) and each.told_with in told and (not is_new or is_told(each.line, levels - ALWAYS))
        inner = list(_tell(each.inner, told, indent + "  ", is_new or each.is_whole)) if shown or not each.is_whole else []
        if shown or inner:
            yield f"{SIGNS[each.kind if shown else '']} {indent}{_tell_own(each, levels) if shown else each.line.head}"
            yield from inner


def _tell_own(change: Change, levels: Collection[str]) -> str:
    """A line's own words: all that there is, or what is different about it."""
    if change.is_whole:
        return tell_line(change.line.head, change.line.clauses, set(levels) - ALWAYS | WHOLE)
    gained = (replace(each, glue="") if each.glue == ", " else each for each in change.gained)
    lost = [each.words for each in change.lost if is_told(each, levels)]
    return tell_line(change.line.head, gained, levels) + (f" (was: {', '.join(lost)})" if lost else "")


def _flatten(changes: Iterable[Change], kind: str = "") -> Iterator[Change]:
    """All changes but those that came or went with what they are in."""
    for each in changes:
        if each.kind and (each.kind != kind or not each.is_whole):
            yield each
        yield from _flatten(each.inner, each.kind)


# -- what has moved, and whose a rule is --


def _find_moves(before: Topology, after: Topology, shared: Collection[str]) -> Iterator[tuple[End, End]]:
    """Where each interface was and is that is no longer where it was, known by its MAC address.

    One of its two namespaces has to be among ``shared``, the places of those that both sides have. What an engine counts
    as an endpoint on both sides has not moved: engines give a MAC address again with its address.
    """
    gone, come = _find_strays(before, after), _find_strays(after, before)
    for key in gone.keys() & come.keys():
        (old, *others), (new, *more) = gone[key], come[key]
        is_known = any(f"{end.node}/{end.namespace}" in shared for end in (old, new))
        if is_known and not others and not more and not (_has_endpoint(before, old) and _has_endpoint(after, new)):
            yield old, new


def _has_endpoint(topology: Topology, end: End) -> bool:
    return any(end == each.interface for node in topology.nodes for container in node.containers for each in container.endpoints)


def _find_strays(here: Topology, there: Topology) -> dict[tuple, list[End]]:
    """Interfaces that only one side has at their place, by node, kind and MAC address."""
    found: defaultdict[tuple, list[End]] = defaultdict(list)
    for end, interface in here.ends():
        if interface.kind != "loopback" and interface.mac and there.at(end) is None:
            found[end.node, interface.kind, interface.mac].append(end)
    return found


def _explain_rules(change: Change, before: Topology, after: Topology) -> Change:
    """A node's rules are told on request only where they are an engine's and changed together with what they are for."""
    is_explained = any(each.kind and not each.told_with for each in change.walk())
    marks = {mark for side in (before, after) for mark in _calc_marks(side.node(change.about))}

    def explain(each: Change) -> Change:
        head = each.line.head
        is_engines = bool(ENGINES.search(head)) or any(mark in head for mark in marks) or " -A " not in head
        told_with = "" if each.told_with == "rules" and not (is_explained and is_engines) else each.told_with
        return replace(each, told_with=told_with, inner=tuple(map(explain, each.inner)))

    return explain(change)


def _calc_marks(node: Node | None) -> Iterator[str]:
    """What an engine's rules name: bridges, subnets, addresses of its networks and containers."""
    for network in node.networks if node else ():
        yield from map(plain, filter(None, [network.bridge, *map(str, network.subnets)]))
    for container in node.containers if node else ():
        for endpoint in container.endpoints:
            yield from (f"{address.ip}/{address.max_prefixlen}" for address in endpoint.addresses)
