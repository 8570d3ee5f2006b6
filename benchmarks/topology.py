"""How fast a topology is captured and drawn: one table, beside plain commands and beside the kernel's own speed.

    .venv/bin/python benchmarks/topology.py [--rounds N] [--output FOLDER]

Labs of two nodes with 10 to 200 containers. "plain commands" is a loop of `ip -n NS -j` link, addr, route
and neigh over the namespaces, and one `docker inspect`, on both nodes at once: it reads less than a
capture does. "raw dumps" is a Python process on each node that enters every namespace and receives the
same netlink tables without looking at them; it asks no engine and makes no topology, so it is the floor of
a capture's "kernel side": the same tables read, decoded, fitted together and sent as JSON. Where the package plotnetcfg is installed, its picture
of the same node is put beside ours into the output folder.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from netkit.figure.draw import draw, to_png
from netkit.hosts.ask import Collector
from netkit.laboratory.lab import Lab, open_lab
from netkit.network.capture import capture
from netkit.network.model import Topology

FILL = """
mkdir -p /run/netns; docker network create web > /dev/null; docker network create app > /dev/null
for i in $(seq {count}); do docker run -d --name c$i --network $([ $((i % 2)) = 0 ] && echo web || echo app) busybox sleep 100000 > /dev/null; done
for f in /run/docker/netns/*; do ln -s $f /run/netns/$(basename $f); done
"""
PLAIN = """
for t in link addr route neigh; do ip -j $t; done
for ns in /run/netns/*; do for t in link addr route neigh; do ip -n ${ns##*/} -j $t; done; done
docker inspect $(docker ps -aq)
"""
RAW = """
import ctypes, os, socket, struct
libc = ctypes.CDLL(None)
buffer = bytearray(1 << 17)
def dump(s, kind, body):
    s.send(struct.pack("=IHHII", 16 + len(body), kind, 0x301, 1, 0) + body)
    while True:
        end, place = s.recv_into(buffer), 0
        while place < end:
            length, kind = struct.unpack_from("=IH", buffer, place)
            if kind == 3:
                return
            place += (length + 3) & ~3
for path in ["/proc/self/ns/net"] + [f"/run/docker/netns/{name}" for name in os.listdir("/run/docker/netns")]:
    fd = os.open(path, os.O_RDONLY)
    libc.setns(fd, 0x40000000)
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    for kind, size in ((18, 16), (22, 8), (26, 12), (30, 12)):
        dump(s, kind, bytes(size))
"""
LIBRARY = """
import os
from pyroute2 import IPRoute, netns
for path in ["/proc/self/ns/net"] + [f"/run/docker/netns/{name}" for name in os.listdir("/run/docker/netns")]:
    netns.pushns(path)
    with IPRoute() as route:
        for table in (route.get_links, route.get_addr, route.get_routes, route.get_neighbours):
            list(table())
    netns.popns()
"""
SIZES = (10, 40, 100, 200)


def measure(work: Callable[[], object], rounds: int) -> float:
    """The median of some rounds, in milliseconds."""
    work()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(times)


def on_all(lab: Lab, command) -> None:
    """Run a command on all nodes at once."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda node: node.run(command), lab))


def measure_captures(count: int, rounds: int) -> dict[str, float]:
    """Capture and its limits with ``count`` containers on two nodes, in ms."""
    with open_lab(2, label="benchmark") as lab:
        on_all(lab, FILL.format(count=count // 2))
        python = [sys.executable, "-I", "-S", "-c"]
        return {
            "capture": measure(lambda: capture(lab=lab), rounds),
            "kernel side": measure_kernel_side(lab, rounds),
            "plain commands": measure(lambda: on_all(lab, PLAIN), max(3, rounds // 3)),
            "raw dumps": measure(lambda: on_all(lab, [*python, RAW]), rounds),
            "pyroute2": measure(lambda: on_all(lab, [sys.executable, "-c", LIBRARY]), max(3, rounds // 3)),
        }


def measure_kernel_side(lab: Lab, rounds: int) -> float:
    """What a capture reads of the kernel, on both nodes at once, without engine and model; in ms."""
    collectors = [Collector(node) for node in lab]
    with ThreadPoolExecutor() as pool:
        return measure(lambda: list(pool.map(Collector.ask, collectors)), rounds)


def fill_notebook_lab(lab: Lab) -> None:
    """Two nodes, six containers, as in the notebooks."""
    one, two = lab
    one.run("docker network create web; docker network create app; docker run -d --name web --network web -p 8080:80 busybox sleep 1000")
    one.run("docker run -d --name app --network app busybox sleep 1000; docker run -d --name db --network app busybox sleep 1000")
    one.run("docker network connect app web")
    for name in ("one", "two", "three"):
        two.run(f"docker run -d --name {name} busybox sleep 1000")


def measure_small(rounds: int, output: Path) -> tuple[dict[str, float], Topology]:
    """A notebook-sized lab: its capture, its figure, in ms; the figure goes to the output folder."""
    with open_lab(2, label="benchmark") as lab:
        fill_notebook_lab(lab)
        topology = capture(lab=lab)
        draw_peer(lab, output)
        times = {"capture": measure(lambda: capture(lab=lab), rounds), "figure": measure(lambda: to_png(draw(topology)), rounds)}
        (output / "netkit.png").write_bytes(to_png(draw(topology)))
        return times, topology


def draw_peer(lab: Lab, output: Path) -> None:
    """plotnetcfg's picture of node1, if it and Graphviz are installed."""
    if not (shutil.which("plotnetcfg") and shutil.which("dot")):
        print("plotnetcfg or dot is missing (`apt-get install plotnetcfg graphviz`): no picture of theirs")
        return
    made = lab["node1"].run("plotnetcfg", check=False)
    if made.status:
        print(f"plotnetcfg does not run here: {made.stderr.strip()}")
        return
    subprocess.run(["dot", "-Tpng", "-o", str(output / "plotnetcfg-node1.png")], input=made.stdout.encode(), check=True)


def measure_crowd(rounds: int) -> float:
    """The figure of 40 containers on two nodes, in ms."""
    with open_lab(2, label="benchmark") as lab:
        on_all(lab, FILL.format(count=20))
        topology = capture(lab=lab)
    return measure(lambda: to_png(draw(topology)), max(3, rounds // 3))


def to_row(count: int, row: dict[str, float]) -> str:
    """One line of the table."""
    own, raw = row["capture"], row["raw dumps"]
    slower = "".join(f"{row[name]:>11.0f} ({row[name] / own:4.1f} x)" for name in ("plain commands", "pyroute2"))
    return f"{count:>10}{own:>10.0f}{slower}{row['kernel side']:>14.0f}{raw:>8.0f} ({row['kernel side'] / raw:.1f} x, {own / raw:.1f} x)"


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path, default=Path(tempfile.gettempdir()) / "netkit-benchmark")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    print(f"{os.cpu_count()} processors, {'root' if os.geteuid() == 0 else 'ordinary user'}, medians of {options.rounds} rounds, ms\n")
    small, _ = measure_small(options.rounds, options.output)
    print(f"2 nodes, 6 containers: capture {small['capture']:.0f} (target 80), figure {small['figure']:.0f} (target 500)")
    print(f"2 nodes, 40 containers: figure {measure_crowd(options.rounds):.0f} (target 1500)\n")
    print(f"{'containers':>10}{'capture':>10}{'plain commands':>20}{'pyroute2':>20}{'kernel side':>14}{'raw dumps':>20}")
    rows = {count: measure_captures(count, options.rounds) for count in SIZES}
    for count, row in rows.items():
        print(to_row(count, row))
    steps = [f"{(rows[more]['capture'] - rows[less]['capture']) / (more - less):.2f}" for less, more in itertools.pairwise(SIZES)]
    print(f"growth of a capture from step to step: {', '.join(steps)} ms a container")
    print("\nplain commands, pyroute2: how many times as long as a capture (target: plain commands ≥ 3 x at 40 and 200)")
    print("raw dumps: how many times as long the kernel side takes, and the whole capture (target: ≤ 2 x)")
    print(f"Pictures: {options.output}")


if __name__ == "__main__":
    main()
