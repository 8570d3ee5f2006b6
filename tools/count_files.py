"""Through how many files of netkit a reader has to go who follows one call: what runs, told by the profiler.

Prints a line for each of: a captured and drawn topology, a trace as text, and a trace as a notebook's cell shows it.

    .venv/bin/python tools/count_files.py [--list]
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import netkit
from netkit.laboratory.lab import Lab

ROOT = Path(netkit.__file__).parent


def find_files(call: Callable[[], object]) -> set[str]:
    """The files of the package whose functions run in this process while ``call`` does, its threads included.

    What only is imported (definitions, class bodies) is not counted.
    """
    found: set[str] = set()

    def look(frame, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(f"{ROOT}/") and code.co_name != "<module>" and code.co_flags & 1:
            found.add(str(Path(code.co_filename).relative_to(ROOT)))

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return found


def count_ways(lab: Lab) -> dict[str, set[str]]:
    """The files of each call, in an open lab of two nodes, which gets a container on each."""
    for node in ("node1", "node2"):
        lab[node].run("docker run -d --name app busybox sleep 1000")
    ping = "docker exec app ping -c 1 192.168.59.2"
    return {
        "capture().draw()": find_files(lambda: netkit.capture(lab=lab).draw()),
        "trace(…).text()": find_files(lambda: netkit.trace(ping, lab=lab).text()),
        "trace(…) in a cell": find_files(lambda: netkit.trace(ping, lab=lab)._repr_mimebundle_()),
    }


def main() -> None:
    """Print the counts."""
    with netkit.open_lab(2) as lab:
        for name, files in count_ways(lab).items():
            print(f"{name:20} {len(files):3} files")
            if "--list" in sys.argv[1:]:
                print(*sorted(files), sep="\n", end="\n\n")


if __name__ == "__main__":
    main()
