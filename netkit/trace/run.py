"""Run a command and follow its packets: the effects of a trace."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from netkit.lab import remote
from netkit.lab.current import current_lab
from netkit.lab.lab import Lab
from netkit.topology.capture import UP, capture
from netkit.topology.model import Topology
from netkit.trace.build import build_trace
from netkit.trace.model import Output, Trace
from netkit.trace.recorder import Recorder, record

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

    Raises LabError outside of a lab, for a host it does not have, and when a host cannot be traced on; TimeoutError.
    """
    lab = lab or current_lab()
    host = lab[node or os.environ.get("NETKIT_NODE") or next(iter(lab.nodes))]
    lab.ensure(host.name)
    states = lab.states()
    hosts = [lab[name] for name in lab.facts["addresses"] if states[name] in UP]
    before = capture(lab=lab)
    out, err = _Kept(on_stdout), _Kept(on_stderr)
    with record(hosts, buffer, most) as recorders:
        time.sleep(MARGIN)
        begin = time.time_ns()
        with open(os.devnull, "rb") as nothing:
            status = remote.stream(host.transport, command, nothing.fileno(), *(each.add for each in (out, err)), os.getcwd(), {}, timeout)
        end = time.time_ns()
        with ThreadPoolExecutor(len(recorders)) as pool:
            answers = dict(zip((each.name for each in recorders), pool.map(_finish, recorders), strict=True))
    output = Output(status=status, stdout=out.text(), stderr=err.text())
    after = capture(lab=lab)
    return build_trace(remote.to_text(command), host.name, output, answers, _join(before, after), begin, end, _find_waiting(before))


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


def _finish(recorder: Recorder) -> dict:
    clock = recorder.ask_clock()
    answer = recorder.finish() | {"clock": clock}
    for place in answer["places"]:
        place["frames"] = [(name, kind, stamp, base64.b64decode(data)) for name, kind, stamp, data in place["frames"]]
    return answer


def _join(before: Topology, after: Topology) -> Topology:
    """The network as it was at the end; where the command removed something, as it was at the beginning."""
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
