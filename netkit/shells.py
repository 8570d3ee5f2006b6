"""``netkit shell``: find the lab that is meant, and open a terminal on one of its nodes."""

from __future__ import annotations

import argparse
import os
import sys

from netkit.errors import LabError
from netkit.laboratory.current import INVENTORY, current_lab, open_wanted_lab
from netkit.laboratory.discover import find_labs, find_machines_labs, find_own_labs, is_in_lab, seconds_open
from netkit.laboratory.lab import Lab


def enter_shell(options: argparse.Namespace) -> int:
    """Open a shell as the options say; returns its exit status, raises LabError."""
    if not os.isatty(0):
        raise LabError("a shell needs a terminal: to run one command, use `netkit run -- COMMAND` or `netkit on NODE -- COMMAND`")
    lab = _choose(options.lab, options.of_server)
    if lab is not None:
        return lab[options.node].shell()
    what = "real machines" if os.environ.get(INVENTORY) else f"{options.nodes} nodes"
    print(f"no lab is open: this one, of {what}, ends with the shell", file=sys.stderr)
    with open_wanted_lab(options.nodes, mode=options.mode, engine=options.engine, label="shell") as opened:
        return opened[options.node].shell()


def _choose(wanted: str | None, of_server: bool) -> Lab | None:
    """The lab this process is in, the one asked for, the only one open, or the one a person picks."""
    if wanted is None and is_in_lab():
        return current_lab()
    labs = find_own_labs() if of_server else [*find_labs(), *find_machines_labs()]
    if wanted is not None:
        found = [lab for lab in labs if lab.id.startswith(wanted)]
        if len(found) != 1:
            raise LabError(f"there is no lab {wanted!r}: `netkit ps` lists those that are open")
        return found[0]
    if len(labs) < 2:
        return labs[0] if labs else None
    return _ask(labs)


def _ask(labs: list[Lab]) -> Lab:
    print("Several labs are open. Which one?")
    for number, lab in enumerate(labs, 1):
        print(f"  {number}  {lab.facts['label'] or 'lab'}  ({lab.id}, open for {seconds_open(lab):.0f} s)")
    while True:
        try:
            answer = input(f"number [1-{len(labs)}]: ").strip()
        except EOFError:
            raise LabError("no lab was chosen") from None
        if answer.isdecimal() and 1 <= int(answer) <= len(labs):
            return labs[int(answer) - 1]
