"""The collectors of a trace: one process on each host that is up, which captures there until it is told to stop."""

from __future__ import annotations

import base64
import contextlib
import json
import select
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from netkit.errors import LabError
from netkit.hosts.ask import Helper
from netkit.hosts.recording import CLOCK, read_boot
from netkit.laboratory.lab import Node as Host

PATIENCE = 30.0  # seconds for a host to begin, and to tell what it has captured
Result = TypeVar("Result")
COLLECT = "netkit.hosts.recording"
CLOCK_QUESTIONS = 3  # the quickest answer says most


class Recorder(Helper):
    """A capture on one host; it ends with this process, however that ends."""

    def __init__(self, host: Host, buffer: int | None, most: int | None) -> None:
        self.name = host.name
        self._boot = ""
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
            return self.read_line(PATIENCE).decode()
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


class Recording:
    """The recorders of a trace by their hosts' names; ``missing`` says why what a host saw will not be known.

    A host may go away at any moment: that costs what it saw, and nothing of what the others did.
    """

    def __init__(self) -> None:
        self.recorders: dict[str, Recorder] = {}
        self.missing: dict[str, str] = {}

    def finish(self) -> dict[str, dict]:
        """What was captured, by the names of the hosts that can still tell."""
        with ThreadPoolExecutor(max(1, len(self.recorders))) as pool:
            answers = pool.map(lambda recorder: self.spare(recorder.name, recorder.finish), self.recorders.values())
            return {name: answer for name, answer in zip(self.recorders, answers, strict=True) if answer}

    def spare(self, name: str, act: Callable[[], Result]) -> Result | None:
        """What comes of it; where this host fails, it is missing from now on, and the others go on."""
        try:
            return act()
        except LabError as error:
            self.missing[name] = str(error)
        return None


@contextlib.contextmanager
def record(hosts: Iterable[Host], buffer: int | None = None, most: int | None = None) -> Iterator[Recording]:
    """Capture on these hosts within the block; all of them that can are ready when it begins."""
    recording = Recording()
    with contextlib.ExitStack() as stack:
        for host in hosts:
            if recorder := recording.spare(host.name, lambda host=host: Recorder(host, buffer, most)):
                recording.recorders[host.name] = recorder
                stack.callback(recorder.end)
        for recorder in recording.recorders.values():
            recording.spare(recorder.name, recorder.wait_ready)
        for name in recording.missing:
            recording.recorders.pop(name, None)
        yield recording
