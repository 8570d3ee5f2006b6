"""How long the notebooks take under nbval, beside the same commands run bare, in the same run.

    .venv/bin/python benchmarks/workshop.py [--rounds N] [NOTEBOOK...]

Bare means: a lab is opened, and each shell cell runs in one bash on its host, one after the other;
no kernel, no figures, no checks, no comparison. Both open a lab of their own for every notebook.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from pathlib import Path

import nbformat

from netkit.laboratory.lab import Lab, open_lab

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.validating import validate_notebook  # noqa: E402

TARGET, LONGEST = 1.3, 90.0  # times as long as bare, all together; seconds for one notebook


def read_commands(path: Path) -> list[tuple[str, str]]:
    """What a notebook does to its lab: pairs of host and script, traced commands included; ("kill", host) for a machine whose plug is pulled."""
    found = []
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type != "code":
            continue
        first, _, rest = cell.source.partition("\n")
        if first.startswith("%%bash"):
            found.append(("node1", rest))
        elif first.startswith("%%on"):
            found.append((first.split()[1], rest))
        else:
            lines = cell.source.splitlines()
            found += [("node1", line[1:]) for line in lines if line.startswith("!")]
            traced = re.findall(r'netkit\.trace\("([^"]*)"(?:, node="(\w+)")?\)', cell.source)
            found += [(host or "node1", command) for command, host in traced]
            found += [("kill", name) for line in lines for name in re.findall(r'lab\.kill\("(\w+)"\)', line)]
    return found


def run_bare(path: Path) -> float:
    """Seconds for the commands alone."""
    commands = read_commands(path)
    begun = time.perf_counter()
    with open_lab(2) as lab:
        for host, script in commands:
            _run(lab, host, script)
    return time.perf_counter() - begun


def _run(lab: Lab, host: str, script: str) -> None:
    if host == "kill":
        lab.kill(script)
    else:
        lab[host].run(script, check=False)


def run_nbval(path: Path) -> float:
    """Seconds under nbval, pytest's own start included; a notebook that fails ends the benchmark."""
    begun = time.perf_counter()
    done = validate_notebook(path, timeout=600)
    if done.returncode:
        sys.exit(f"{path.name} does not validate:\n{done.stdout[-3000:]}")
    return time.perf_counter() - begun


def main() -> int:
    """Print one table; returns 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="all of notebooks/ unless given")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run; medians are compared")
    options = parser.parse_args()
    paths = options.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb"))
    print(f"{'notebook':<45} {'bare':>8} {'nbval':>8} {'ratio':>6}")
    totals, worst = [0.0, 0.0], 0.0
    for path in paths:
        pairs = [(run_bare(path), run_nbval(path)) for _ in range(options.rounds)]
        bare, validated = (statistics.median(values) for values in zip(*pairs, strict=True))
        totals = [totals[0] + bare, totals[1] + validated]
        worst = max(worst, validated)
        print(f"{path.stem:<45} {bare:>6.1f} s {validated:>6.1f} s {validated / bare:>6.2f}", flush=True)
    ratio = totals[1] / totals[0]
    print(f"{'all':<45} {totals[0]:>6.1f} s {totals[1]:>6.1f} s {ratio:>6.2f}   targets: {TARGET}, each at most {LONGEST:.0f} s")
    return int(ratio > TARGET or worst > LONGEST)


if __name__ == "__main__":
    sys.exit(main())
