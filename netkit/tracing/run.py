"""Run a command and follow its packets: the effects of a trace.

One process on each host that is up captures there until it is told to stop.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from netkit.errors import LabError, NetkitError
from netkit.figure.draw import choose_format, to_png, to_svg, write_output
from netkit.hosts.ask import PATIENCE, Helper
from netkit.hosts.recording import CLOCK, read_boot
from netkit.laboratory import remote
from netkit.laboratory.lab import Lab
from netkit.laboratory.lab import Node as Host
from netkit.labs import current_lab
from netkit.network.capture import UP, WHY, capture, capture_again, tell_start
from netkit.network.model import Node, Topology
from netkit.tracing.assemble import build_trace
from netkit.tracing.view import Trace

COLLECT = "netkit.hosts.recording"
CLOCK_QUESTIONS = 3  # the quickest answer says most
COMING = ("starting", "reachable")  # begun by somebody, and soon ready or failed
COMING_EVERY = 0.02  # seconds between two looks at such a state
MARGIN = 0.01  # seconds of capture before the command: what talks then is not the command's


class Recorder(Helper):
    """A capture on one host; it ends with this process, however that ends."""

    def __init__(self, host: Host, buffer: int | None, most: int | None) -> None:
        self.name, self._boot = host.name, ""
        super().__init__(host.transport, COLLECT, [str(number or 0) for number in (buffer, most)])

    def wait_ready(self) -> None:
        """Wait until it captures; raises LabError."""
        word, _, self._boot = self._read_line().partition(" ")
        if word != "ready":
            raise LabError(f"no trace on {self.name}: its collector did not begin")

    def ask_clock(self) -> tuple[int, int]:
        """By how much the host's clock is ahead of ours, at least and at most, in ns: not at all on one machine; raises LabError."""
        if self._boot and self._boot == read_boot():
            return 0, 0
        bounds = []
        for _ in range(CLOCK_QUESTIONS):
            asked = time.time_ns()
            self.say(CLOCK)
            there = int(self._read_line())
            bounds.append(tuple(sorted((there - time.time_ns(), there - asked))))  # our own clock may be set meanwhile
        return min(bounds, key=lambda each: each[1] - each[0])

    def finish(self) -> dict:
        """What was captured, and how the host's clock goes; raises LabError."""
        clock = self.ask_clock()
        self.say(b"stop\n")
        answer = json.loads(self._read_line()) | {"clock": clock}
        for place in answer["places"]:
            place["frames"] = [(name, kind, stamp, base64.b64decode(data)) for name, kind, stamp, data in place["frames"]]
        return answer

    def _read_line(self) -> str:
        try:
            return self.read_line().decode()
        except TimeoutError:
            raise LabError(f"no trace on {self.name}: its collector was silent for {PATIENCE:.0f} s") from None
        except EOFError:
            raise LabError(f"no trace on {self.name}: {self.explain() or 'its collector was killed'}") from None

    def end(self) -> None:
        """Let it end, and wait for it: then nothing of it is left, as the kernel removes its tables before it reports it dead."""
        with contextlib.suppress(OSError, LabError):
            self.say(b"stop\n")
            if select.select([self.running], [], [], 2.0)[0]:
                self.running.wait()
        self.close()


class Recording(contextlib.ExitStack):
    """The recorders of a trace by their hosts' names, within a block; ``missing`` says why what a host saw will not be known.

    A host may go away at any moment: that costs what it saw, and nothing of what the others did. Without the host ``needed``,
    though, there is not much to be told: where that fails, LabError is raised.
    """

    def __init__(self, needed: str) -> None:
        super().__init__()
        self.needed = needed
        self.recorders: dict[str, Recorder] = {}
        self.missing: dict[str, str] = {}

    def begin(self, hosts: Iterable[Host], buffer: int | None = None, most: int | None = None) -> None:
        """Capture on these hosts, until the block ends; all of them that can are ready when this returns."""
        for host in hosts:
            with self.spare(host.name):
                recorder = self.recorders[host.name] = Recorder(host, buffer, most)
                self.callback(recorder.end)
        for name, recorder in self.recorders.items():
            with self.spare(name):
                recorder.wait_ready()

    def finish(self) -> dict[str, dict]:
        """What was captured, by the names of the hosts that can still tell."""
        answers = {}
        with ThreadPoolExecutor(len(self.recorders)) as pool:
            asked = {name: pool.submit(recorder.finish) for name, recorder in self.recorders.items() if name not in self.missing}
            for name, answer in asked.items():
                with self.spare(name):
                    answers[name] = answer.result()
        return answers

    @contextlib.contextmanager
    def spare(self, name: str) -> Iterator[None]:
        """Where this host fails, it is missing from now on, and the others go on."""
        try:
            yield
        except LabError as error:
            if name == self.needed:
                raise
            self.missing[name] = str(error)


def trace(
    command: remote.Command,
    *,
    node: str | None = None,
    lab: Lab | None = None,
    timeout: float | None = None,
    buffer: int | None = None,
    most: int | None = None,
    on_stdout: Callable[[bytes], object] | None = None,
    on_stderr: Callable[[bytes], object] | None = None,
) -> Trace:
    """Run a command, and follow what it sends through every network namespace of the lab.

    ``command`` is a line for bash, or a sequence of words; it runs on the host ``node`` (that of the caller unless told).
    ``timeout`` is in seconds without output, ``buffer`` the size of each capture's buffer in bytes, ``most`` how many frames are
    kept of each host (20,000 unless told). ``on_stdout`` and ``on_stderr`` get what the command writes as it comes; the trace
    keeps it, too. Flows that began while the command ran are taken for the command's own; gossip of a swarm, neighbour
    discovery and the like are not.

    Starts no host. One that goes away meanwhile, or comes up, costs what it saw, and the trace says so.

    Raises LabError outside of a lab, for a host it does not have, and where the command's own host is not up, goes away or cannot be
    traced on; TimeoutError.
    """
    lab = lab or current_lab()
    host = lab[node or os.environ.get("NETKIT_NODE") or next(iter(lab.nodes))]
    hosts = _find_up(lab, host)
    before = capture(lab=lab)
    written: tuple[list[bytes], list[bytes]] = ([], [])
    sinks = [partial(_keep, parts, further) for parts, further in zip(written, (on_stdout, on_stderr), strict=True)]
    with Recording(host.name) as recording, open(os.devnull, "rb") as nothing:
        recording.begin(hosts, buffer, most)
        time.sleep(MARGIN)
        begin = time.time_ns()
        status = remote.stream(host.transport, command, nothing.fileno(), *sinks, os.getcwd(), {}, timeout)
        end = time.time_ns()
        answers = recording.finish()
    said = (b"".join(parts).decode(errors="replace") for parts in written)
    after = capture_again(before, lab)
    pairs = zip(before.nodes, after.nodes, strict=True)
    unseen = [new for old, new in pairs if new.name not in answers and "up" in (old.state, new.state)]
    missing = {node.name: _tell_missing(node, recording.missing) for node in unseen}
    rows = ((node.name, each.name, row) for node, each in before.namespaces() for row in each.neighbours)
    waiting = {(name, namespace, row.address) for name, namespace, row in rows if row.state == "incomplete"}
    output = remote.Result(host.name, remote.to_text(command), status, *said)
    return build_trace(output, answers, _join(before, after), begin, end, waiting, missing)


def _find_up(lab: Lab, host: Host) -> list[Host]:
    """The hosts that are up; raises LabError if ``host``, on which a command is to run, is none of them."""
    if lab.facts["mode"] == "real":
        lab.ensure(host.name)  # starts none of these: it says why one is not connected
    while (states := lab.states())[host.name] in COMING:  # Lab.ensure would start one that ends just now
        time.sleep(COMING_EVERY)
    if states[host.name] not in UP:
        why = WHY.get(states[host.name], states[host.name])
        raise LabError(f"no trace on {host.name}, which is {why}: a trace starts no host; {tell_start(host.name)}")
    return [lab[name] for name in lab.facts["addresses"] if states[name] in UP]


def _tell_missing(node: Node, missing: dict[str, str]) -> str:
    """Why what a host saw is not known; ``node`` is what was found of it after the command."""
    if node.name in missing and node.state == "up":
        return f"{missing[node.name]}; what it saw is missing"
    return f"{node.name} {'went away' if node.name in missing else 'came up'} during the trace: what it saw is missing"


def _keep(parts: list[bytes], further: Callable[[bytes], object] | None, data: bytes) -> None:
    """Keep what a command writes, and hand it on."""
    parts.append(data)
    if further:
        further(data)


def _join(before: Topology, after: Topology) -> Topology:
    """The network as it was at the end; where the command removed something, or a host went away, as it was at the beginning."""
    nodes = (new if new.state == "up" else old for old, new in zip(before.nodes, after.nodes, strict=True))
    after = replace(after, nodes=tuple(nodes))
    gone = {(node.name, each.inode) for node, each in before.namespaces()} - {(node.name, each.inode) for node, each in after.namespaces()}
    return before if gone else after


def run_trace(command: Sequence[str], options: argparse.Namespace) -> int:
    """``netkit trace -- COMMAND…``: print what the command writes, then the way its packets took; returns the command's status.

    Raises LabError, NetkitError for a file that cannot be written.
    """
    form = choose_format(None, options.output) if options.output else "png"
    if form not in ("png", "svg"):
        raise NetkitError(f"a trace is drawn as PNG or SVG: {options.output} should end with .png or .svg")
    found = trace(command, node=options.node, on_stdout=partial(_write, 1), on_stderr=partial(_write, 2))
    print(found.text(times=options.times, rules=options.rules), flush=True)
    if options.pcapng:
        found.pcapng(options.pcapng)
    if options.output:
        figure = found.draw()
        write_output(to_png(figure) if form == "png" else to_svg(figure).encode(), form, options.output)
    return found.output.status


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
