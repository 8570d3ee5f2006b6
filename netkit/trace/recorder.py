"""The collectors of a trace: one process on each host that is up, which captures there until it is told to stop."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from collections.abc import Iterable

from netkit.errors import LabError
from netkit.lab import remote
from netkit.lab.lab import Node as Host
from netkit.lab.spec import ROOT

PATIENCE = 30.0  # seconds for a host to begin, and to tell what it has captured
COLLECT = f"import sys; sys.path.insert(0, {ROOT!r}); from netkit.trace.collect.main import main; main()"


class Recorder:
    """A capture on one host; it ends with this process, however that ends."""

    def __init__(self, host: Host, buffer: int | None) -> None:
        self.name = host.name
        self._heard = b""
        self._running = None
        stdin, self._questions = os.pipe2(os.O_CLOEXEC)
        self._answers, stdout = os.pipe2(os.O_CLOEXEC)
        self._stderr = os.memfd_create("stderr")
        command = [sys.executable, "-I", "-S", "-c", COLLECT, *([str(buffer)] if buffer else [])]
        try:
            self._running, _ = remote.start(host.name, host.agent, command, (stdin, stdout, self._stderr), "/", {})
        except BaseException:
            self.close()
            raise
        finally:
            os.close(stdin)
            os.close(stdout)

    def wait_ready(self) -> None:
        """Wait until it captures; raises LabError."""
        if self._read_line() != "ready":
            raise LabError(f"no trace on {self.name}: its collector did not begin")

    def finish(self) -> dict:
        """What was captured; raises LabError."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._questions, b"stop\n")
        return json.loads(self._read_line())

    def _read_line(self) -> str:
        parts, deadline = [self._heard], time.monotonic() + PATIENCE
        while b"\n" not in parts[-1]:
            if not select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise LabError(f"no trace on {self.name}: its collector was silent for {PATIENCE:.0f} s")
            parts.append(os.read(self._answers, 1 << 20))
            if not parts[-1]:
                raise LabError(f"no trace on {self.name}: {self._explain()}")
        line, _, self._heard = b"".join(parts).partition(b"\n")
        return line.decode()

    def _explain(self) -> str:
        said = os.pread(self._stderr, 1 << 16, 0).decode(errors="replace").strip().splitlines()
        return said[-1] if said else "its collector was killed"

    def close(self) -> None:
        """End it, and with it all it made."""
        for fd in (self._questions, self._answers, self._stderr):
            if fd >= 0:
                os.close(fd)
        self._questions = self._answers = self._stderr = -1
        if self._running:
            # when it has ended, nothing of it is left: the kernel removes its tables before it reports it dead
            with contextlib.suppress(OSError, LabError):
                if select.select([self._running], [], [], 2.0)[0]:
                    self._running.wait()
            self._running.close()


@contextlib.contextmanager
def record(hosts: Iterable[Host], buffer: int | None = None):
    """Capture on these hosts within the block; all ready when it begins. Raises LabError."""
    with contextlib.ExitStack() as stack:
        recorders = []
        for host in hosts:
            recorder = Recorder(host, buffer)
            stack.callback(recorder.close)
            recorders.append(recorder)
        for recorder in recorders:
            recorder.wait_ready()
        yield recorders
