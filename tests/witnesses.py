"""tcpdump in every network namespace of some hosts, as a witness that shares no code with the trace."""

from __future__ import annotations

import contextlib
import shlex
from collections import Counter

from netkit.laboratory.lab import Lab
from netkit.network.capture import capture
from netkit.packets.headers import Cooked
from netkit.packets.packet import Packet, read_packets
from tests.patience import patiently

Places = Counter[tuple[str, str, str, str]]


class Witnesses:
    """What was seen: ``places()`` counts the packets of each node, namespace, interface and direction."""

    def __init__(self, lab: Lab, expression: str) -> None:
        self._lab, self._expression = lab, expression
        self._files: list[tuple[str, str, str, dict[int, str]]] = []
        self._pids: list[tuple[str, str]] = []

    def start(self) -> None:
        for node, stack in capture(lab=self._lab).namespaces():
            host, number = self._lab[node.name], len(self._files)
            enter = "" if stack.name == "host" else f"nsenter --net={stack.paths[0]} "
            base = f"/run/witness-{number}"
            # a ring of whole packets (262,144 bytes each) has room for eight: the witness would miss what the trace sees
            command = f"{enter}tcpdump -i any -s 300 -B 8192 --immediate-mode -U -Z root -w {base}.pcap {shlex.quote(self._expression)}"
            line = f"{command} >/dev/null 2>{base}.log </dev/null & echo $!; until grep -q 'listening on' {base}.log; do sleep 0.01; done"
            self._pids.append((node.name, host.run(line, timeout=patiently()).stdout.strip()))
            self._files.append((node.name, stack.name, f"{base}.pcap", {each.index: each.name for each in stack.interfaces}))

    def stop(self) -> None:
        for node, pid in self._pids:
            self._lab[node].run(f"kill {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.01; done", check=False)

    def read(self) -> list[tuple[str, str, str, str, Packet]]:
        """Node, namespace, interface, direction and bytes of every packet."""
        found = []
        for node, namespace, path, names in self._files:
            outside = f"/proc/{self._lab[node].pid}/root{path}"
            for packet in read_packets(outside):
                cooked = packet.headers[0]
                assert isinstance(cooked, Cooked)
                found.append((node, namespace, names[cooked.interface], "out" if cooked.direction == "from us" else "in", packet))
        return found


@contextlib.contextmanager
def witnesses(lab: Lab, expression: str):
    """Watch for packets that match, in all namespaces, within the block."""
    watching = Witnesses(lab, expression)
    watching.start()
    try:
        yield watching
    finally:
        watching.stop()
