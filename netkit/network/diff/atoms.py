"""The smallest differences between two frozen values, found by walking their fields: none is missed.

What things are (this bridge, that route) is known by their keys, so that order does not count. The
stories of a difference take from a :class:`Pool` what they tell; whatever is left is told as it is.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from netkit.network.model import End, Firewall

ORDER = ("order",)  # the step to a difference in nothing but order
MISSING = type("Missing", (), {"__repr__": lambda self: "nothing", "__slots__": ()})()

# what the items of a tuple are known by; those of other tuples are known by their value alone
KEYS = {
    "nodes": ("name",),
    "services": ("name",),
    "tasks": ("name",),
    "namespaces": ("name",),
    "networks": ("name",),
    "containers": ("name",),
    "interfaces": ("name",),
    "endpoints": ("network",),
    "policies": ("family", "table", "chain"),
    "neighbours": ("address", "interface"),
}

Path = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Atom:
    """One difference: where, and what is there on both sides; MISSING if the item is on one side only."""

    path: Path
    before: Any
    after: Any

    @property
    def kind(self) -> str:
        """appeared, vanished or changed."""
        return "appeared" if self.before is MISSING else "vanished" if self.after is MISSING else "changed"

    @property
    def value(self) -> Any:
        """What appeared or vanished; for a change, what is there now."""
        return self.before if self.after is MISSING else self.after


class Pool:
    """Differences that are still to be told, in a stable order; ``all`` are those there were at first."""

    def __init__(self, atoms: Iterable[Atom]) -> None:
        self.all = tuple(atoms)
        self._atoms = {atom.path: atom for atom in self.all}

    def __iter__(self) -> Iterator[Atom]:
        """Those that are left; what is taken meanwhile is passed over."""
        for atom in tuple(self._atoms.values()):
            if atom.path in self._atoms:
                yield atom

    def __contains__(self, path: Path) -> bool:
        return path in self._atoms

    def get(self, *path: Any) -> Atom | None:
        """The difference at a place, left in the pool; None if there is none."""
        return self._atoms.get(path)

    def take(self, *path: Any, kind: str = "") -> Atom | None:
        """The difference at a place, of this kind if one is given, out of the pool."""
        atom = self._atoms.get(path)
        return self._atoms.pop(path) if atom and kind in ("", atom.kind) else None

    def under(self, *path: Any) -> list[Atom]:
        """All differences below a place, left in the pool."""
        return [atom for atom in self if atom.path[: len(path)] == path]

    def take_under(self, *path: Any) -> list[Atom]:
        """All differences below a place, out of the pool."""
        found = self.under(*path)
        for atom in found:
            del self._atoms[atom.path]
        return found


def walk(before: Any, after: Any, path: Path = ()) -> Iterator[Atom]:
    """Every smallest difference between two values of one type; nothing if they are equal."""
    if dataclasses.is_dataclass(before) and type(before) is type(after) and not isinstance(before, End):
        for field in dataclasses.fields(before):
            if field.compare:
                yield from walk(getattr(before, field.name), getattr(after, field.name), (*path, field.name))
    elif before == after:
        return
    elif isinstance(before, tuple) and isinstance(after, tuple) and path and isinstance(path[-1], str):
        yield from _walk_items(before, after, path)
    elif path and path[-1] == "firewall":
        yield Atom(path, before, after)
        yield from walk(before or Firewall(), after or Firewall(), path)
    else:
        yield Atom(path, before, after)


def _walk_items(before: tuple, after: tuple, path: Path) -> Iterator[Atom]:
    old, new = _index(before, path[-1]), _index(after, path[-1])
    found = False
    for key in dict.fromkeys([*old, *new]):
        for atom in _walk_item(old.get(key, MISSING), new.get(key, MISSING), (*path, key)):
            found = True
            yield atom
    if not found:
        yield Atom((*path, ORDER), before, after)


def _walk_item(before: Any, after: Any, path: Path) -> Iterator[Atom]:
    if before is MISSING or after is MISSING:
        yield Atom(path, before, after)
    else:
        yield from walk(before, after, path)


def _index(items: tuple, name: str) -> dict[Any, Any]:
    """The items by what they are known by; of several with one key, all but the first are numbered."""
    seen: Counter = Counter()
    found = {}
    for item in items:
        fields = KEYS.get(name, ()) if dataclasses.is_dataclass(item) else ()
        key = tuple(getattr(item, field) for field in fields)
        key = key[0] if len(key) == 1 else key or item
        seen[key] += 1
        found[key if seen[key] == 1 else (key, seen[key])] = item
    return found
