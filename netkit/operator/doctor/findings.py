"""Findings as values, and how they are told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

OK, LACKS, FAILS = "ok", "lacks", "fails"
SIGNS = {OK: "✓", LACKS: "–", FAILS: "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: its name, "ok", "lacks" or "fails", the facts, what a learner misses, and what to do."""

    name: str
    state: str
    facts: str = ""
    cost: str = ""
    remedy: str = ""


def can_open(findings: Sequence[Finding]) -> bool:
    """Whether a lab was opened on this machine."""
    return any(finding.name == "lab" and finding.state == OK for finding in findings)


def to_text(findings: Sequence[Finding]) -> str:
    """One line a finding, and its remedy below where there is one."""
    lines = []
    for finding in findings:
        said = ": ".join(filter(None, (finding.facts, finding.cost)))
        lines.append(f"{SIGNS[finding.state]} {finding.name:<16} {said}")
        if finding.remedy:
            lines.append(f"{'':<19}→ {finding.remedy}")
    return "\n".join(lines)


def to_json(findings: Sequence[Finding]) -> str:
    """A list of objects with the fields of :class:`Finding`."""
    return json.dumps([asdict(finding) for finding in findings], indent=1)
