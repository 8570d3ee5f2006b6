"""How soon a change is in the picture, and what following costs: one table.

    .venv/bin/python benchmarks/live.py [--rounds N] [--rest SECONDS] [--turns N]

A notebook with ``netkit.live()`` is open in JupyterLab, served by ``netkit start``, in a headless Chromium. From
a process beside it, containers are connected to a network and disconnected. Latency is the time from the
beginning of ``docker network connect`` on node1, and from its end, until the interface is in the page's SVG: a
MutationObserver in the page writes the time down. The parts of it are told, too: what the bare command takes,
and what the same command takes to be in a capture.

Processor time is that of the watchers, of the kernel and of the page's renderer, over some seconds in which
nothing changes, in turns with a view and without one. Bursts are addresses that come and go on a bridge of
node1 by ``ip -batch``: two kernel events each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from netkit.laboratory.lab import Lab
from netkit.labs import find_labs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.browsing import NotebookPage, open_workbench

CELL = {
    "cell_type": "code",
    "id": "live",
    "metadata": {},
    "execution_count": None,
    "outputs": [],
    "source": "import netkit\nview = netkit.live()\nview",
}
SPEC = {"name": "netkit", "display_name": "node1", "language": "python"}
NAME = "live-benchmark.ipynb"
WATCH = """() => {
    window.seen = [];
    const root = document.querySelector('.netkit-live .nk-shapes');
    new MutationObserver(records => {
        const now = Date.now();
        for (const { addedNodes } of records) for (const node of addedNodes) if (node.dataset?.about) window.seen.push([node.dataset.about, now]);
    }).observe(root, { childList: true });
}"""
# the engine gives an interface a new number each time
JOINED = "[data-about^='node1/container web/eth']:not([data-about='node1/container web/eth0'])"
SEEN = "() => window.seen.filter(([name]) => /^node1.container web.eth[1-9][0-9]*$/.test(name)).map(([, time]) => time)"
PATIENCE = 20.0  # seconds for a change to arrive
SETTLED = 6.0  # seconds after which nothing is on its way


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20, help="containers connected and disconnected")
    parser.add_argument("--rest", type=float, default=10.0, help="seconds of rest in a turn")
    parser.add_argument("--turns", type=int, default=5, help="at rest, with a view and without one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        path.write_text(json.dumps({"cells": [CELL], "metadata": {"kernelspec": SPEC}, "nbformat": 4, "nbformat_minor": 5}))
        known = {lab.id for lab in find_labs()}
        with open_workbench(path) as bench:
            page = bench.open_notebook(NAME)
            page.run_cell(0)
            page.page.locator(".netkit-live .nk-svg").wait_for()
            (lab,) = (lab for lab in find_labs() if lab.id not in known and lab.facts["label"].endswith(NAME))
            _print(("latency", *_measure_latency(lab, page, options.rounds)))
            _print(("at rest", *_measure_rest(lab, page, options.rest, options.turns)))
            _print(("1,000 events", *_measure_burst(lab, page, 1000)))
            _print(("10,000 events", *_measure_burst(lab, page, 10_000)))
            complaints = page.complaints
    print(f"complaints of the browser: {complaints or 'none'}")


def _print(lines: tuple[str, ...]) -> None:
    print("\n".join(lines[:1] + tuple(f"  {line}" for line in lines[1:])), flush=True)


def _measure_latency(lab: Lab, page: NotebookPage, rounds: int) -> list[str]:
    node = lab["node1"]
    node.run("docker network create shop; docker run -d --name web busybox sleep 100000")
    page.page.locator("[data-about='node1/container web']").first.wait_for(state="attached")
    time.sleep(2)
    page.page.evaluate(WATCH)
    whole, after, bare = [], [], []
    for number in range(rounds):
        before = page.page.evaluate(SEEN)
        begun = time.time()
        node.run("docker network connect shop web")
        ended = time.time()
        at = _wait_for(page, len(before))
        whole.append(at - begun)
        after.append(at - ended)
        bare.append(ended - begun)
        node.run("docker network disconnect shop web")
        page.page.locator(JOINED).first.wait_for(state="detached")
        time.sleep(0.5 + 0.1 * (number % 3))
    return [
        f"from the beginning of `docker network connect`: {_tell(whole)}",
        f"of that, the command itself:                    {_tell(bare)}",
        f"from its end:                                   {_tell(after)}",
    ]


def _wait_for(page: NotebookPage, count: int) -> float:
    """When the interface was drawn once more, in seconds since 1970."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        seen = page.page.evaluate(SEEN)
        if len(seen) > count:
            return seen[count] / 1000
        time.sleep(0.005)
    raise SystemExit(f"nothing was drawn within {PATIENCE:.0f} s")


def _tell(seconds: list[float]) -> str:
    ordered = sorted(1000 * each for each in seconds)
    high = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"median {statistics.median(ordered):4.0f} ms, 95 % {high:4.0f} ms, of {len(ordered)}"


def _find_processes(lab: Lab) -> dict[str, list[psutil.Process]]:
    """Watchers and collectors of the lab, its kernel, and the browser's renderers."""
    inside = psutil.Process(lab.pid).children(recursive=True)
    kernels = [each for each in psutil.Process(lab.facts["opener"]).children(recursive=True) if "netkit.kernel" in " ".join(each.cmdline())]
    browser = [each for each in psutil.Process().children(recursive=True) if "--type=renderer" in each.cmdline()]
    return {
        "watchers": [each for each in inside if each.name() in ("netkit-watch", "docker")],  # docker events
        "collectors": [each for each in inside if each.name() == "netkit-collect"],
        "kernel": kernels,
        "renderers": browser,
    }


def _spend(processes: list[psutil.Process]) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in processes)


def _measure_rest(lab: Lab, page: NotebookPage, seconds: float, turns: int) -> list[str]:
    """In turns with and without a view: a page without one has something to do as well, and not always as much."""
    with_view, without = [], []
    for _ in range(turns):
        with_view.append(_spend_at_rest(_find_processes(lab), page, seconds))
        page.type_cell("view.close()")
        # the watchers are gone with the view: what is left is the kernel, the collectors and the page
        without.append(_spend_at_rest(_find_processes(lab), page, seconds))
        page.run_cell(0)
        page.page.locator(".netkit-live .nk-svg").wait_for()
    return [
        f"{name + ':':12} {_tell_spent(with_view, name)} with a view, {_tell_spent(without, name)} without one; a turn has {seconds:.0f} s"
        for name in with_view[0]
    ]


def _spend_at_rest(found: dict[str, list[psutil.Process]], page: NotebookPage, seconds: float) -> dict[str, float]:
    """The processor's milliseconds in which nothing happens, of each kind of process."""
    page.page.mouse.move(1, 1)
    time.sleep(SETTLED)
    before = {name: _spend(processes) for name, processes in found.items()}
    time.sleep(seconds)
    return {name: 1000 * (_spend(processes) - before[name]) for name, processes in found.items()}


def _tell_spent(turns: list[dict[str, float]], name: str) -> str:
    spent = [turn[name] for turn in turns]
    return f"median {statistics.median(spent):.0f} ms ({', '.join(f'{each:.0f}' for each in spent)})"


def _measure_burst(lab: Lab, page: NotebookPage, events: int) -> list[str]:
    node = lab["node1"]
    if "many" not in node.run("ip -br link").stdout:
        node.run("ip link add many type bridge")
    time.sleep(SETTLED)
    found = _find_processes(lab)
    looks = _ask(page, "view.follower.looks")
    sizes = {name: sum(each.memory_info().rss for each in processes) for name, processes in found.items()}
    begun = time.monotonic()
    node.run(
        f"(for i in $(seq {events // 4}); do echo addr add 10.5.0.1/32 dev many; echo addr del 10.5.0.1/32 dev many; done) | ip -batch -"
    )
    took = time.monotonic() - begun
    node.run("ip addr add 10.4.4.4/32 dev many")
    time.sleep(SETTLED)
    right = _ask(page, "'10.4.4.4/32' in view.topology.text() and '10.5.0.1' not in view.topology.text()")
    node.run("ip addr del 10.4.4.4/32 dev many")
    grown = {name: sum(each.memory_info().rss for each in processes) - sizes[name] for name, processes in found.items()}
    lines = [f"{name + ':':12} {size / 2**20:+.1f} MiB" for name, size in grown.items()]
    return [f"took {took:.1f} s, {int(_ask(page, 'view.follower.looks')) - int(looks)} captures, last state right: {right}", *lines]


def _ask(page: NotebookPage, expression: str) -> str:
    return page.type_cell(expression).text.strip()


if __name__ == "__main__":
    main()
