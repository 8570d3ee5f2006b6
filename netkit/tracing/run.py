"""Run a command and follow its packets: the effects of a trace."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

from netkit.errors import LabError
from netkit.laboratory import remote
from netkit.laboratory.lab import Lab
from netkit.laboratory.lab import Node as Host
from netkit.labs import current_lab
from netkit.network.capture import UP, WHY, capture, capture_again, tell_start
from netkit.network.model import Node, Topology
from netkit.tracing.build import build_trace
from netkit.tracing.model import Output, Trace
from netkit.tracing.recorder import record

COMING = ("starting", "reachable")  # begun by somebody, and soon ready or failed
COMING_EVERY = 0.02  # seconds between two looks at such a state
MARGIN = 0.01  # seconds of capture before the command: what talks then is not the command's


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
    """Run a command, and follow what it sends through every network stack of the lab.

    ``command`` is a line for bash, or a sequence of words; it runs on the host ``node`` (that of the caller unless told). ``timeout`` is in
    seconds without output, ``buffer`` the size of each capture's buffer in bytes, ``most`` how many frames are kept of each host (20,000 unless told). ``on_stdout`` and ``on_stderr`` get what the
    command writes as it comes; the trace keeps it, too. Flows that began while the command ran are taken
    for the command's own; gossip of a swarm, neighbour discovery and the like are not.

    Starts no host. One that goes away meanwhile, or comes up, costs what it saw, and the trace says so.

    Raises LabError outside of a lab, for a host it does not have, and where the command's own host is not up, goes away or cannot be
    traced on; TimeoutError.
    """
    lab = lab or current_lab()
    host = lab[node or os.environ.get("NETKIT_NODE") or next(iter(lab.nodes))]
    hosts = _find_up(lab, host)
    before = capture(lab=lab)
    out, err = _Kept(on_stdout), _Kept(on_stderr)
    with record(hosts, buffer, most) as recording:
        _require(host, recording.missing)
        time.sleep(MARGIN)
        begin = time.time_ns()
        with open(os.devnull, "rb") as nothing:
            status = remote.stream(host.transport, command, nothing.fileno(), *(each.add for each in (out, err)), os.getcwd(), {}, timeout)
        end = time.time_ns()
        answers = recording.finish()
        _require(host, recording.missing)
    output = Output(status=status, stdout=out.text(), stderr=err.text())
    after = capture_again(before, lab)
    missing = {
        new.name: _tell_missing(new, recording.missing)
        for old, new in zip(before.nodes, after.nodes, strict=True)
        if new.name not in answers and "up" in (old.state, new.state)
    }
    topology, waiting = _join(before, after), _find_waiting(before)
    return build_trace(remote.to_text(command), host.name, output, answers, topology, begin, end, waiting, missing)


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


def _require(host: Host, missing: dict[str, str]) -> None:
    """Raises LabError if what the command's own host sees is missing: there is not much to be told then."""
    if host.name in missing:
        raise LabError(missing[host.name])


def _tell_missing(node: Node, missing: dict[str, str]) -> str:
    """Why what a host saw is not known; ``node`` is what was found of it after the command."""
    if node.name not in missing:
        return f"{node.name} came up during the trace: what it saw is missing"
    if node.state != "up":
        return f"{node.name} went away during the trace: what it saw is missing"
    return f"{missing[node.name]}; what it saw is missing"


class _Kept:
    """What a command writes, kept and handed on."""

    def __init__(self, further: Callable[[bytes], object] | None) -> None:
        self._parts: list[bytes] = []
        self._further = further

    def add(self, data: bytes) -> None:
        self._parts.append(data)
        if self._further:
            self._further(data)

    def text(self) -> str:
        return b"".join(self._parts).decode(errors="replace")


def _join(before: Topology, after: Topology) -> Topology:
    """The network as it was at the end; where the command removed something, or a host went away, as it was at the beginning."""
    nodes = (new if new.state == "up" else old for old, new in zip(before.nodes, after.nodes, strict=True))
    after = replace(after, nodes=tuple(nodes))
    gone = {(node.name, each.inode) for node, each in before.stacks()} - {(node.name, each.inode) for node, each in after.stacks()}
    return before if gone else after


def _find_waiting(topology: Topology) -> set[tuple]:
    """Who is being asked for already: those questions are not the command's."""
    return {
        (node.name, stack.name, each.address)
        for node, stack in topology.stacks()
        for each in stack.neighbours
        if each.state == "incomplete"
    }
