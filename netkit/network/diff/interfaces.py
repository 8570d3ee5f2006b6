"""Interfaces that come, go, move to another namespace, or are set differently."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from netkit.network.diff.atoms import Atom, Pool, walk
from netkit.network.diff.claims import path_of, take_connected, take_interface
from netkit.network.diff.show import tell_difference
from netkit.network.diff.value import Change
from netkit.network.diff.view import Side, View, place, whose
from netkit.network.model import End, Interface
from netkit.network.words import is_chance, plain, tell_end, tell_nature, tell_stack


def tell_moves(view: View, pool: Pool) -> Iterator[Change]:
    """Interfaces that are in another namespace now, or have another name: known by their MAC address."""
    moves = find_moves(view)
    for old, new in moves.items():
        if not _is_name_only(view, old, new, moves):
            yield _tell_move(view, pool, old, new)
    for old, new in moves.items():
        _take_traces(view, pool, old, new, moves)


def find_moves(view: View) -> dict[End, End]:
    """Where each interface has gone that is no longer where it was: {old place: new place}."""
    gone, come = _find_strays(view.before, view.after), _find_strays(view.after, view.before)
    pairs = ((gone[key], come[key]) for key in gone if key in come)
    return {old: new for old, new in pairs if old and new and _is_move(view, old, new)}


def _find_strays(here: Side, there: Side) -> dict[tuple, End | None]:
    """Interfaces that only one side has at their place, by node, kind and MAC address; None if several share these."""
    found: dict[tuple, End | None] = {}
    for end, interface in here.topology.ends():
        raw = here.telling.raw[end]
        if interface.kind != "loopback" and raw.mac and there.topology.at(end) is None:
            key = (end.node, interface.kind, raw.mac)
            found[key] = None if key in found else end
    return found


def _is_move(view: View, old: End, new: End) -> bool:
    """Whether one interface went from the old place to the new, and an engine did not give its address to another."""
    if view.before.is_endpoint(old) and view.after.is_endpoint(new):
        return False
    return bool(view.after.stack(old.node, old.namespace) or view.before.stack(new.node, new.namespace))


def _is_name_only(view: View, old: End, new: End, moves: dict[End, End]) -> bool:
    """Whether it only has another telling name, because its other end moved."""
    before, after = view.before.telling.raw[old], view.after.telling.raw[new]
    if old.namespace != new.namespace or before.name != after.name:
        return False
    peer = view.before.topology.at(old).peer
    return peer in moves and view.after.topology.at(new).peer == moves[peer]


def _tell_move(view: View, pool: Pool, old: End, new: End) -> Change:
    words = f"{plain(new.node)}: {plain(old.interface)}"
    if old.namespace != new.namespace:
        words += f" moved from {tell_stack(old.namespace, old.node)} to {tell_stack(new.namespace, new.node)}"
        words += f" and is called {plain(new.interface)} there" if old.interface != new.interface else ""
    else:
        words += f" is called {plain(new.interface)} now"
        words += f" in {plain(new.namespace)}" if new.namespace != "host" else ""
    before, after = view.before.topology.at(old), view.after.topology.at(new)
    atoms = [atom for atom in walk(before, after) if atom.path != ("name",)]
    sure, chance = tell_settings(view, old, new, atoms)
    return Change("moved", place(new), words, tuple(sure + chance), was=place(old))


def _take_traces(view: View, pool: Pool, old: End, new: End, moves: dict[End, End]) -> None:
    """Take what a move leaves behind: an interface less here, one more there, and the other end's mention of it."""
    take_interface(pool, old, "vanished")
    take_interface(pool, new, "appeared")
    peer = view.after.topology.at(new).peer
    atom = pool.get(*path_of(peer), "peer") if peer else None
    if atom and (atom.before, atom.after) == (old, new):
        pool.take(*atom.path)


def tell_interfaces(view: View, pool: Pool) -> Iterator[Change]:
    """Interfaces that appeared, vanished, or are set differently; two ends of a veth pair are told as one."""
    for atom in pool:
        match atom.path:
            case ("nodes", node, "namespaces", stack, "interfaces", _):
                end = End(node=node, namespace=stack, interface=atom.value.name)
                yield _tell_interface(view.side(atom), pool, end, atom)
    for atom in pool:
        match atom.path:
            case ("nodes", node, "namespaces", stack, "interfaces", str(name), *_):
                yield from _tell_settings(view, pool, End(node=node, namespace=stack, interface=name))


def _tell_interface(side: Side, pool: Pool, end: End, atom: Atom) -> Change:
    if not take_interface(pool, end, atom.kind):
        pool.take(*atom.path)  # the second of a name
    interface, peer = atom.value, atom.value.peer
    if peer and peer != end and take_interface(pool, peer, atom.kind):
        words = [_tell_end_of_pair(side, each) for each in (end, peer)]
        nodes = "" if peer.node == end.node else f" on {plain(peer.node)}"
        sentence = f"{plain(end.node)}: a veth pair {atom.kind}: {words[0]}, and {words[1]}{nodes}"
        return Change(atom.kind, place(end), sentence, also=(place(peer),))
    condition = side.condition(end, interface)
    traits = [tell_nature(interface, end.node), *_tell_traits(interface)]
    traits += [condition] if condition != "up" else []
    return Change(atom.kind, place(end), f"{whose(end)} {atom.kind}: {', '.join(traits)}")


def _tell_traits(interface: Interface) -> list[str]:
    addresses = [str(address) for address in interface.addresses if not is_chance(address)]
    return [*addresses, f"a port of {plain(interface.master)}"] if interface.master else addresses


def _tell_end_of_pair(side: Side, end: End) -> str:
    interface = side.topology.at(end)
    condition = side.condition(end, interface)
    return ", ".join([tell_end(end, end.node), *_tell_traits(interface), *([condition] if condition != "up" else [])])


def _tell_settings(view: View, pool: Pool, end: End) -> Iterator[Change]:
    """One interface that is on both sides."""
    path = path_of(end)
    atoms = [dataclasses.replace(atom, path=atom.path[len(path) :]) for atom in pool.take_under(*path)]
    sure, chance = tell_settings(view, end, end, atoms)
    details = _take_consequences(pool, end, atoms) if sure else ()
    if sure:
        yield Change("changed", place(end), f"{whose(end)} {'; '.join(sure)}", details)
    if chance:
        yield Change("changed", place(end), f"{whose(end)} {'; '.join(chance)}", told_with="macs")


def _take_consequences(pool: Pool, end: End, atoms: list[Atom]) -> tuple[str, ...]:
    """Take what follows from other settings: routes, and what an engine says of an address."""
    changed = [atom.value for atom in atoms if atom.path[0] == "addresses" and atom.kind != "changed"]
    for atom in pool.under("nodes", end.node, "containers"):
        if atom.path[4:5] == ("endpoints",) and atom.path[6:7] == ("addresses",) and atom.value in changed:
            pool.take(*atom.path)
    gone, come = ([row.destination for row in take_connected(pool, end, kind)] for kind in ("vanished", "appeared"))
    name = plain(end.interface)
    details = [f"there is a route to {each} on {name} now" for each in come if each not in gone and not is_chance(each)]
    details += [f"there is no longer a route to {each} on {name}" for each in gone if each not in come and not is_chance(each)]
    return tuple(details)


def tell_settings(view: View, old: End, new: End, atoms: list[Atom]) -> tuple[list[str], list[str]]:
    """What is set differently, in clauses, and apart from it what follows from MAC addresses."""
    before, after = view.before.topology.at(old), view.after.topology.at(new)
    sure, chance = [], []
    conditions = view.before.condition(old, before), view.after.condition(new, after)
    if conditions[0] != conditions[1]:
        sure.append(f"is {conditions[1]} now (was: {conditions[0]})")
    for atom in atoms:
        name = atom.path[0]
        if name in ("up", "state") and conditions[0] != conditions[1]:
            continue
        if name == "port" and before.master != after.master:
            continue
        clause = _tell_setting(atom, new.node)
        is_lot = name == "mac" or (name == "addresses" and len(atom.path) == 2 and atom.kind != "changed" and is_chance(atom.value))
        (chance if is_lot else sure).append(clause)
    return sure, chance


def _tell_setting(atom: Atom, node: str) -> str:
    """One setting in a clause that continues "docker0 …"."""
    match atom.path:
        case ("addresses", _) if atom.kind != "changed":
            return f"got the address {atom.value}" if atom.kind == "appeared" else f"lost the address {atom.value}"
        case ("master",) if atom.after is None:
            return f"is no longer a port of {plain(atom.before)}"
        case ("master",):
            return f"is a port of {plain(atom.after)} now" + (f" (was: of {plain(atom.before)})" if atom.before else "")
        case ("peer",):
            old, new = (tell_end(each, node) if each else "out of sight" for each in (atom.before, atom.after))
            return f"has another other end: {new} (was: {old})"
    return tell_difference(atom)
