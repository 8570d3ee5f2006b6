"""The same network as the next lab would have it, networks that differ in one thing, and documents with something wrong in them."""

from __future__ import annotations

import copy
import dataclasses
import ipaddress
import random
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from netkit.network.model import HOST, Node, Topology

NAMES = ("web", "db", "app", "shop", "job", "mon", "a b", "x\ny", "\x1b[1m", "\u202eevil", 'q"<b>&\\', "ünï")
JUNK = (
    None,
    True,
    0,
    -1,
    1.5,
    float("nan"),
    1 << 200,
    "",
    "x",
    "10.0.0.1/99",
    "fe80::1%eth0",
    "\ud800",
    [],
    {},
    [[]],
    {"a": 1},
    ["a", None],
)


def draw_digits(rng: random.Random, count: int) -> str:
    """Hexadecimal digits by lot."""
    return "".join(rng.choice("0123456789abcdef") for _ in range(count))


def draw_mac(rng: random.Random) -> str:
    """A MAC address by lot, administered locally."""
    return "02:" + ":".join(draw_digits(rng, 2) for _ in range(5))


def transform(value: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of a value of the model in which ``change`` has been applied to every part, the innermost first."""
    if dataclasses.is_dataclass(value):
        parts = {each.name: transform(getattr(value, each.name), change) for each in dataclasses.fields(value)}
        return change(type(value)(**parts))
    if isinstance(value, tuple):
        return change(tuple(transform(each, change) for each in value))
    return change(value)


def shuffle(topology: Topology, rng: random.Random) -> Topology:
    """The same network as the next lab would have it: other order, numbers, ids, and other drawn names and MACs."""
    again = replace(topology, nodes=tuple(_redraw(node, rng) for node in topology.nodes))

    def change(part: Any) -> Any:
        if dataclasses.is_dataclass(part):
            lots = {each.name: _other_lot(getattr(part, each.name), rng) for each in dataclasses.fields(part) if not each.compare}
            return replace(part, **lots)
        if isinstance(part, tuple) and part and not isinstance(part[0], str):
            return tuple(rng.sample(part, len(part)))
        return part

    return transform(again, change)


def _other_lot(value: Any, rng: random.Random) -> Any:
    if isinstance(value, int):
        return rng.randrange(1 << 30)
    return draw_digits(rng, 12) if isinstance(value, str) else (draw_digits(rng, 12),)


def _redraw(node: Node, rng: random.Random) -> Node:
    """A node with other names and MAC addresses where the engine draws them."""
    drawn: dict[str, str] = {}
    numbers = [n for n in range(30)]
    rng.shuffle(numbers)
    for namespace in node.namespaces:
        for each in namespace.interfaces:
            if namespace.name == HOST and each.kind == "veth" and each.name.startswith("veth"):
                drawn[each.name] = f"veth{draw_digits(rng, 7)}"
            elif namespace.kind == "overlay" and each.kind == "veth":
                drawn[each.name] = f"veth{numbers.pop()}"
            elif each.name.startswith("br-"):
                drawn[each.name] = f"br-{draw_digits(rng, 12)}"
            if each.name in drawn and each.mac:
                drawn[each.mac] = draw_mac(rng)
    tasks = {each.name: f"{each.task}.{draw_digits(rng, 25)}" for each in node.containers if each.task and each.name != each.task}
    drawn |= tasks | {f"container {old}": f"container {new}" for old, new in tasks.items()}
    drawn |= {f"container:{old}": f"container:{new}" for old, new in tasks.items()}
    names = sorted(drawn, key=len, reverse=True)

    def change(part: Any) -> Any:
        if isinstance(part, str):
            if part in drawn:
                return drawn[part]
            if " -A " in part:
                for name in names:
                    part = part.replace(name, drawn[name])
        return part

    return transform(node, change)


def mutate(topology: Topology, rng: random.Random) -> tuple[Topology, str]:
    """The canonical form of the network with one thing in it different, and which (a class and its field)."""
    places = _list_fields(topology)
    kind = rng.choice(sorted(places))
    return _change(topology, *rng.choice(places[kind]), rng), kind


def mutate_each(topology: Topology, rng: random.Random) -> Iterator[tuple[Topology, str]]:
    """The canonical form of the network with one thing in it different, for each field of each class in it, and which."""
    for kind, places in sorted(_list_fields(topology).items()):
        yield _change(topology, *rng.choice(places), rng), kind


def _list_fields(topology: Topology) -> dict[str, list[tuple[tuple, Any, str]]]:
    """Where there is which field of which class: path, value, and the field's name."""
    found: dict[str, list[tuple[tuple, Any, str]]] = {}
    for path, value in _walk(topology.canonical(), ()):
        for each in dataclasses.fields(value):
            if each.compare and not (isinstance(value, Node) and each.name == "name"):
                found.setdefault(f"{type(value).__name__}.{each.name}", []).append((path, value, each.name))
    return found


def _change(topology: Topology, path: tuple, value: Any, name: str, rng: random.Random) -> Topology:
    other = _other(typing.get_type_hints(type(value))[name], getattr(value, name), rng)
    return _put(topology.canonical(), path, replace(value, **{name: other}))


def _walk(value: Any, path: tuple):
    """Every dataclass in a value, with the fields and positions that lead there."""
    if dataclasses.is_dataclass(value):
        yield path, value
        for each in dataclasses.fields(value):
            yield from _walk(getattr(value, each.name), (*path, each.name))
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from _walk(item, (*path, number))


def _put(value: Any, path: tuple, new: Any) -> Any:
    if not path:
        return new
    first, *rest = path
    if isinstance(first, int):
        return (*value[:first], _put(value[first], tuple(rest), new), *value[first + 1 :])
    return replace(value, **{first: _put(getattr(value, first), tuple(rest), new)})


def _other(hint: Any, value: Any, rng: random.Random) -> Any:
    """Another value of a type."""
    if typing.get_origin(hint) is tuple and typing.get_args(hint)[-1] is Ellipsis:
        if value and rng.random() < 0.5:
            at = rng.randrange(len(value))
            return value[:at] + value[at + 1 :]
        item = _other(typing.get_args(hint)[0], None, rng)
        return (*value, item)
    if typing.get_origin(hint) is tuple:
        return tuple(_other(each, None, rng) for each in typing.get_args(hint))
    if isinstance(hint, types.UnionType):
        choices = [each for each in typing.get_args(hint) if each is not type(None)]
        if value is not None and type(None) in typing.get_args(hint) and rng.random() < 0.5:
            return None
        return _other(choices[0], value, rng)
    return _other_scalar(hint, value, rng)


def _other_scalar(hint: Any, value: Any, rng: random.Random) -> Any:
    number = rng.randrange(1, 250)
    if dataclasses.is_dataclass(hint):
        return _make(hint, rng) if value is None else replace(value, **_one_other(value, rng))
    if hint is bool:
        return not value
    if hint is int:
        return (value or 0) + number
    if hint is str:
        return f"{value or ''}{rng.choice(NAMES)}{number}"
    if hint is ipaddress.IPv4Network:
        return ipaddress.ip_network(f"10.{number}.{rng.randrange(256)}.0/24")
    address = f"10.{number}.{rng.randrange(256)}.{rng.randrange(256)}"
    return ipaddress.ip_interface(f"{address}/8") if hint is ipaddress.IPv4Interface else ipaddress.ip_address(address)


def _one_other(value: Any, rng: random.Random) -> dict[str, Any]:
    each = rng.choice([each for each in dataclasses.fields(value) if each.compare])
    return {each.name: _other(typing.get_type_hints(type(value))[each.name], getattr(value, each.name), rng)}


def _make(hint: type, rng: random.Random) -> Any:
    """An instance with whatever its fields need."""
    hints = typing.get_type_hints(hint)
    needed = [each.name for each in dataclasses.fields(hint) if each.default is dataclasses.MISSING]
    return hint(**{name: _other(hints[name], None, rng) for name in needed})


def edit(document: Any, rng: random.Random) -> Any:
    """The document with one thing in it missing, renamed, or something else."""
    places: list[tuple] = []
    waiting: list[tuple[Any, tuple]] = [(document, ())]
    while waiting:
        value, path = waiting.pop()
        places.append(path)
        keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        waiting += [(value[key], (*path, key)) for key in keys]
    *path, last = rng.choice(places[1:])
    around = document
    for step in path:
        around = around[step]
    match rng.randrange(4):
        case 0:
            del around[last]
        case 1 if isinstance(around, dict):
            around["nonsense"] = around.pop(last)
        case _:
            around[last] = copy.deepcopy(rng.choice(JUNK))  # else later edits would put one piece of junk into itself
    return document
