"""The packet filter: what it does to the network, and the rules that do it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netkit.network.diff.atoms import ORDER, Atom, Pool
from netkit.network.diff.value import Change
from netkit.network.diff.view import Side, View, where
from netkit.network.model import Masquerade, Policy, PortForward
from netkit.network.text.stack import order_of_bridge
from netkit.network.words import join, plain, tell_masquerade, tell_port

# a rule of an engine's: in a chain of its own, or leading there; DOCKER-USER is the user's, and returns at its end
ENGINES = re.compile(r"-A DOCKER(?!-USER)|-[jg] DOCKER|-A DOCKER-USER -j RETURN$|docker")


def tell_facts(view: View, pool: Pool) -> Iterator[Change]:
    """Masquerading, translated ports, and what is kept apart."""
    for atom in pool:
        match atom.path:
            case ("nodes", node, "namespaces", stack, "firewall", _, fact) if atom.kind != "changed":
                told = _tell_fact(view.side(atom), node, stack, atom, fact)
                if told:
                    pool.take(*atom.path)
                    about, words = told
                    yield Change(atom.kind, f"{node}/{stack}/{about}", where(node, stack) + words)


def _tell_fact(side: Side, node: str, stack: str, atom: Atom, fact: object) -> tuple[str, str] | None:
    """What a fact is about, and its sentence."""
    gone = atom.kind == "vanished"
    match atom.path[5], fact:
        case "masquerades", Masquerade():
            words = tell_masquerade(fact)
            return f"masquerade {fact.source}", words.replace("are masq", "are no longer masq", 1) if gone else words
        case "forwards", PortForward():
            address = f"[{fact.to_address}]" if fact.to_address.version == 6 else fact.to_address
            words = (
                f"{tell_port(fact.protocol, fact.port, fact.address)} {'no longer leads' if gone else 'leads'} to {address}:{fact.to_port}"
            )
            return f"port {fact.port}/{fact.protocol}", words
        case "isolated", str():
            found = side.stack(node, stack).firewall.isolated
            others = join(plain(name) for name in sorted(found, key=order_of_bridge) if name != fact)
            now = "packets are forwarded again" if gone else "no packet is forwarded"
            return f"isolated {fact}", f"{now} between {plain(fact)} and {others or 'other isolated bridges'}"
        case "internal", str():
            return f"internal {fact}", f"{plain(fact)} is {'no longer ' if gone else ''}internal: no packet leaves it or enters it"
        case "silent", str():
            return f"silent {fact}", f"the ports of {plain(fact)} may {'' if gone else 'not '}talk to each other{' again' if gone else ''}"
    return None


def tell_rules(view: View, pool: Pool) -> Iterator[Change]:
    """Rules and policies: told on request only where an engine's own rules changed together with what they are for."""
    explained = {atom.path[1] for atom in pool.all if atom.path[0] == "nodes" and not _is_filter(atom)}
    for atom in pool:
        match atom.path:
            case ("nodes", node, "namespaces", stack, "firewall", "rules", *_):
                yield from _tell_rules(view, pool, node, stack, node in explained)
            case ("nodes", node, "namespaces", stack, "firewall", "policies", _, *_) if ORDER not in atom.path:
                pool.take(*atom.path)
                yield _tell_policy(view, node, stack, atom, node in explained)
            case ("nodes", node, "namespaces", stack, "firewall"):
                pool.take(*atom.path)
                words = "the packet filter has no rules now" if atom.after is None else "the packet filter has rules now"
                yield Change("changed", f"{node}/{stack}/rules", where(node, stack) + words, told_with="rules")
            case ("nodes", node, "namespaces", stack, "firewall", "backend"):
                pool.take(*atom.path)
                old, new = (plain(each) if each else "nothing" for each in (atom.before, atom.after))
                words = f"{where(node, stack)}the packet filter's rules are by {new} now (was: {old})"
                yield Change("changed", f"{node}/{stack}/rules", words, told_with="rules")


def _is_filter(atom: Atom) -> bool:
    """Whether this is the filter itself, or changes without anybody's doing."""
    return any(name in atom.path for name in ("rules", "policies", "backend", "neighbours", "forwarding")) or atom.path[-1] == "firewall"


def _tell_rules(view: View, pool: Pool, node: str, stack: str, explained: bool) -> Iterator[Change]:
    atoms = pool.take_under("nodes", node, "namespaces", stack, "firewall", "rules")
    about, words = f"{node}/{stack}/rules", f"{where(node, stack)}the rules of the packet filter changed"
    if any(ORDER in atom.path for atom in atoms):
        yield Change("changed", about, f"{where(node, stack)}the rules of the packet filter are tried in another order")
        return
    marks = _calc_marks(view, node)
    engines = [atom for atom in atoms if explained and (ENGINES.search(atom.value) or any(mark in atom.value for mark in marks))]
    for told_with, found in (("", [atom for atom in atoms if atom not in engines]), ("rules", engines)):
        if found:
            details = [f"{'no longer' if atom.kind == 'vanished' else 'now'}: {plain(atom.value)}" for atom in found]
            yield Change("changed", about, words, tuple(sorted(details)), told_with=told_with)


def _calc_marks(view: View, node: str) -> set[str]:
    """What an engine's rules name: bridges, subnets, addresses of its networks and containers."""
    marks: set[str] = set()
    for host in (side.topology.node(node) for side in (view.before, view.after)):
        for network in host.networks if host else ():
            marks |= {network.bridge} - {None} | {str(subnet) for subnet in network.subnets}
        for container in host.containers if host else ():
            marks |= {f"{address.ip}/{address.max_prefixlen}" for endpoint in container.endpoints for address in endpoint.addresses}
    return marks - {""}


def _tell_policy(view: View, node: str, stack: str, atom: Atom, explained: bool) -> Change:
    side = view.side(atom)
    policy: Policy | None = atom.value if isinstance(atom.value, Policy) else None
    if policy is None:
        key, number = atom.path[6], 0
        if len(key) == 2:  # the second of a name
            key, number = key[0], key[1] - 1
        stacks = side.stack(node, stack).firewall.policies
        policy = [each for each in stacks if (each.family, each.table, each.chain) == key][number]
    about = f"{node}/{stack}/policy {policy.family} {policy.table} {policy.chain}"
    words = f"{where(node, stack)}the policy of {plain(policy.table)} {plain(policy.chain)} (IPv{policy.family})"
    if atom.kind == "changed":
        words += f" is {plain(atom.after)} now (was: {plain(atom.before)})"
    else:
        words += f" {atom.kind}: {plain(policy.verdict)}"
    return Change(atom.kind, about, words, told_with="rules" if explained or atom.kind != "changed" else "")
