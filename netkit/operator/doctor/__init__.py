"""What this machine can and cannot do for a lab, each with what it costs a learner, and the remedy.

Three rooms: :mod:`~netkit.operator.doctor.looking` reads this machine and changes nothing,
:mod:`~netkit.operator.doctor.judgement` is pure and makes :class:`Finding` values of what was read, and
:mod:`~netkit.operator.doctor.features` tries what the kernel can do on a host of a throw-away lab, because a
kernel's configuration file does not tell what it does.

``netkit doctor --json`` prints a list of objects, in the order of the text, with these fields, all strings:

- ``name``: what was looked at; each occurs once, and keeps its name from release to release;
- ``state``: "ok", "lacks" (a lab opens, something in it will be missing) or "fails" (no lab opens);
- ``facts``: what was seen, in words; empty for a kernel feature that is missing;
- ``cost``: what a learner misses; empty when the state is "ok";
- ``remedy``: what to do about it; empty when the state is "ok".

The finding "lab" is the one that counts: its state is "ok" exactly if a lab was opened, and the
command's exit status is then 0, else 1.
"""

from __future__ import annotations

import time

from netkit.errors import NetkitError
from netkit.laboratory.lab import open_lab
from netkit.operator.doctor import judgement, looking
from netkit.operator.doctor.features import FEATURES, try_feature
from netkit.operator.doctor.findings import FAILS, OK, Finding, can_open, to_json, to_text

__all__ = ["Finding", "can_open", "examine", "to_json", "to_text"]


def examine(engine: str | None = None) -> list[Finding]:
    """Look at everything, with the engine in the directory ``engine`` or the usual one; takes about two seconds."""
    machine = looking.look(engine)
    return [*judgement.judge(machine), *_try_lab(engine)]


def _try_lab(engine: str | None) -> list[Finding]:
    try:
        begun = time.monotonic()
        with open_lab(1, engine=engine, label="doctor") as lab:
            took = time.monotonic() - begun
            mode = lab.facts["mode"]
            opened = Finding("lab", OK, f"a lab of one node opened in {took:.2f} s, mode {mode}, engine {lab.facts['engine']}")
            return [opened, *(try_feature(lab, feature) for feature in FEATURES)]
    except NetkitError as error:
        return [Finding("lab", FAILS, cost="a lab cannot be opened", remedy=str(error))]
