"""From the packet filter's reports to the rules a packet met. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netkit.tracing.model import Addresses, Rule
from netkit.tracing.sights import calc_quoted, calc_weak

OWN = "netkit-trace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What one packet met at one hook, in one base chain and those it jumps to; ``addresses`` are those it had there."""

    node: str
    namespace: str
    inward: str
    outward: str
    weak: tuple
    addresses: Addresses
    protocol: int
    stamp: int
    rules: tuple[Rule, ...]

    @property
    def dropped(self) -> Rule | None:
        """The rule that ended the packet."""
        return self.rules[-1] if self.rules and self.rules[-1].verdict == "drop" else None


def calc_sections(node: str, namespace: str, place: dict) -> Iterator[Section]:
    """The sections of one namespace's reports, in order."""
    lines = calc_lines(place["handles"], place["listing"])
    links = {int(index): name for index, name in place["links"].items()}
    for reports in _split(place["reports"]):
        first = reports[0]
        network, transport = bytes.fromhex(first["network"]), bytes.fromhex(first["transport"])
        addresses = calc_quoted(network + transport)
        if addresses is None:
            continue
        inward, outward = links.get(first["in"], ""), links.get(first["out"], "")
        weak = calc_weak(network, transport)
        rules = tuple(
            _calc_rule(node, namespace, each, lines, inward, outward) for each in reports if each["table"] != OWN and _counts(each)
        )
        yield Section(
            node=node,
            namespace=namespace,
            inward=inward,
            outward=outward,
            weak=weak,
            addresses=addresses,
            protocol=weak[1],
            stamp=first["stamp"],
            rules=rules,
        )


def _counts(report: dict) -> bool:
    """Whether something happened: a rule with a handle, or a policy; a chain's end is told without either."""
    return bool(report["handle"]) if report["kind"] == "rule" else report["kind"] == "policy"


def _split(reports: Iterable[dict]) -> Iterator[list[dict]]:
    """A report with the packet's headers begins a base chain; those without, of the same packet, go on in it."""
    current: dict[int, list[dict]] = {}
    order: list[list[dict]] = []
    for report in reports:
        if "network" in report:
            current[report["id"]] = [report]
            order.append(current[report["id"]])
        elif report["id"] in current:
            current[report["id"]].append(report)
    return iter(order)


def calc_lines(handles: Iterable, listing: Iterable[dict]) -> dict[tuple, tuple[int, str]]:
    """The number and text of each rule, by family, table, chain and handle."""
    told: dict[tuple, list[str]] = defaultdict(list)
    for each in listing:
        table = ""
        for line in each["lines"] if each["backend"] == "nf_tables" else ():
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith("-A "):
                told["ip" if each["family"] == 4 else "ip6", table, line.split(" ", 2)[1]].append(line)
    chains: dict[tuple, list[int]] = defaultdict(list)
    for family, table, chain, handle in handles:
        chains[family, table, chain].append(handle)
    lines = {}
    for key, numbers in chains.items():
        texts = told[key] if len(told[key]) == len(numbers) else [""] * len(numbers)
        lines |= {(*key, handle): (number, text) for number, (handle, text) in enumerate(zip(numbers, texts, strict=True), 1)}
    return lines


def _calc_rule(node: str, namespace: str, report: dict, lines: dict, inward: str, outward: str) -> Rule:
    family, table, chain, handle = (report[name] for name in ("family", "table", "chain", "handle"))
    number, text = (0, f"-P {chain} {report['verdict'].upper()}") if report["kind"] == "policy" else (-1, "")
    if handle:
        number, text = lines.get((family, table, chain, handle), (-1, ""))
    return Rule(
        node=node,
        namespace=namespace,
        family=family,
        table=table,
        chain=chain,
        number=number,
        text=text,
        verdict=f"{report['verdict']} {report['to']}".strip(),
        inward=inward,
        outward=outward,
        handle=handle,
    )
