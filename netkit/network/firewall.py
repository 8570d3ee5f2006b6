"""From rules as iptables-save(8) lists them to what they mean for the network.

The engine's rules are recognised in the forms that engines 20.10 to 28 give them, hand-made ones where
they say the same. Nothing is lost: the rules themselves are kept beside the facts.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netkit.network.model import Firewall, Masquerade, Policy, PortForward

ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
RESOLVER = "127.0.0.11"
# bridges whose traffic to another one passes both stages, the second of which drops it (engines up to 28)
STAGE_1, STAGE_2 = "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"
INTERNAL = (STAGE_1, "DOCKER-INTERNAL")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its chain, and its options, each with its value ("!" before the value of a negated one)."""

    family: int
    table: str
    chain: str
    options: dict[str, str]

    def get(self, *names: str) -> str | None:
        return next((self.options[name] for name in names if name in self.options), None)

    @property
    def verdict(self) -> str | None:
        return self.get("-j", "-g")


def calc_firewall(listings: Iterable[dict]) -> Firewall | None:
    """The facts of one namespace's listings (see :mod:`netkit.hosts.rules`); None where there are no rules or policies."""
    rules, lines, policies, backends = [], [], [], Counter()
    for listing in listings:
        family, table = listing["family"], ""
        for line in listing["lines"]:
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith(":"):
                chain, verdict = line[1:].split()[:2]
                if verdict != "-":
                    policies.append(Policy(family=family, table=table, chain=chain, verdict=verdict))
            else:
                backends[listing["backend"]] += 1
                lines.append(f"{family} {table} {line}")
                rules.append(parse_rule(family, table, line))
    if not rules and all(policy.verdict == "ACCEPT" for policy in policies):
        return None
    return Firewall(
        backend=max(backends, key=backends.get, default=""),
        policies=tuple(dict.fromkeys(policies)),
        masquerades=tuple(dict.fromkeys(_find_masquerades(rules))),
        forwards=tuple(dict.fromkeys(_find_forwards(rules))),
        isolated=tuple(_find_isolated(rules)),
        internal=tuple(_find_internal(rules)),
        # bridges whose ports may not talk to each other
        silent=tuple({rule.get("-i") for rule in rules if rule.verdict == "DROP" and rule.get("-i") and rule.get("-i") == rule.get("-o")}),
        rules=tuple(lines),
    )


def parse_rule(family: int, table: str, line: str) -> Rule:
    """A line such as "-A FORWARD ! -i br0 -j DROP"; what is no option's value is left out."""
    try:
        words = shlex.split(line)
    except ValueError:  # a quote inside a comment that iptables did not close
        words = line.split()
    options: dict[str, str] = {}
    negated, name = "", None
    for word in words[2:]:
        if word == "!":
            negated, name = "!", None
        elif re.match(r"--?[a-zA-Z]", word):
            name = word
            options[name], negated = negated, ""
        elif name:
            options[name] += word if options[name] in ("", "!") else f" {word}"
    return Rule(family, table, words[1], options)


def _find_masquerades(rules: list[Rule]) -> Iterator[Masquerade]:
    for rule in rules:
        if rule.table != "nat" or rule.verdict != "MASQUERADE" or rule.get("-s") == rule.get("-d") is not None:
            continue  # from a container to itself: the engine's, for its published ports
        out, source = rule.get("-o") or "", rule.get("-s") or ANYWHERE[rule.family]
        if source.startswith("!") or rule.get("--dport", "--src-type", "--dst-type"):
            continue
        excluded = out[1:] if out.startswith("!") else None
        yield Masquerade(source=ipaddress.ip_network(source), leaving=None if excluded else out or None, not_leaving=excluded)


def _find_forwards(rules: list[Rule]) -> Iterator[PortForward]:
    for rule in rules:
        target = rule.get("--to-destination")
        if rule.verdict != "DNAT" or not target or not (rule.get("--dport") or "").isdecimal():
            continue
        host, _, port = target.rpartition(":") if not target.endswith("]") and ":" in target else (target, "", rule.get("--dport"))
        address = rule.get("-d")
        if address == f"{RESOLVER}/32":
            continue  # the embedded DNS server's own: told as the namespace's resolver
        try:
            yield PortForward(
                protocol=rule.get("-p") or "",
                port=int(rule.get("--dport") or 0),
                to_address=ipaddress.ip_address(host.strip("[]")),
                to_port=int(port or 0),
                address=ipaddress.ip_network(address).network_address if address and not address.startswith("!") else None,
            )
        except ValueError:  # a range of addresses or ports: only in the rules
            continue


def _find_isolated(rules: list[Rule]) -> set[str]:
    """Bridges of which both stages know: from them to another such one, nothing is forwarded."""
    first = {rule.get("-i") for rule in rules if rule.chain == STAGE_1 and rule.verdict == STAGE_2}
    second = {rule.get("-o") for rule in rules if rule.chain == STAGE_2 and rule.verdict == "DROP"}
    return {name for name in first & second if name}


def _find_internal(rules: list[Rule]) -> set[str]:
    """Bridges out of which only packets to their own subnet are let."""
    closing = (rule for rule in rules if rule.chain in INTERNAL and rule.verdict == "DROP" and (rule.get("-d") or "").startswith("!"))
    return {name for rule in closing if (name := rule.get("-i")) and not name.startswith("!")}
