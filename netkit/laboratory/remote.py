"""Run commands on a host, whichever way they get there.

A :class:`Transport` starts a command; all else here is the same for each of them. The lab's own is an
:class:`Agent`'s socket (see :mod:`netkit.laboratory.inside.agent` for the protocol); real machines are
reached by ssh (:mod:`netkit.operator.ssh`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import selectors
import shlex
import signal
import socket
import sys
import termios
import tty
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from netkit.errors import CommandError, LabError
from netkit.laboratory.inside import wire
from netkit.laboratory.spec import ROOT

Command = str | Sequence[str]
Descriptors = tuple[int, int, int]
CHUNK = 1 << 16
# pyroute2's own __init__ imports all it has: 0.2 s, where what a helper needs of it takes 0.05
HELPER = """
import importlib.util, sys
sys.path[:] = [{root!r}, *sys.path, {libraries!r}]
sys.modules["pyroute2"] = importlib.util.module_from_spec(importlib.util.find_spec("pyroute2"))
from {module} import main
main()
""".strip()


@dataclass(frozen=True, slots=True)
class Result:
    """What a command on a host came to: its name, its exit status (0 to 255), and what it wrote."""

    node: str
    command: str
    status: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return self.stdout


def to_argv(command: Command) -> list[str]:
    """A text is a line for bash; a sequence of words is run as it is."""
    return ["bash", "-c", command] if isinstance(command, str) else [str(word) for word in command]


def to_text(command: Command) -> str:
    """The command as one would type it."""
    return command if isinstance(command, str) else shlex.join([str(word) for word in command])


class Running(Protocol):
    """A command that runs on a host, on the host called ``node``. Closing it hangs up on the command."""

    node: str

    def signal(self, number: int) -> None:
        """Send a signal to the command's process group."""

    def wait(self) -> int:
        """Wait for the command's end; returns its exit status, raises LabError if the host has gone."""

    def fileno(self) -> int:
        """Readable when the command has ended."""

    def close(self) -> None:
        """Hang up: the command, if it still runs, gets SIGHUP and then SIGKILL."""


class Transport(Protocol):
    """A way to start commands on one host, whose name is ``name``."""

    name: str

    def start(self, command: Command, fds: Descriptors | None, cwd: str, env: dict[str, str]) -> tuple[Running, int | None]:
        """Start a command there.

        With ``fds`` (its stdin, stdout, stderr) it has no terminal; without, it gets one of its own.
        Returns the running command and its terminal's master side. Raises LabError.
        """

    def python(self, module: str, *arguments: str) -> tuple[list[str], bytes]:
        """How to call ``main()`` of a module of netkit there, which uses the standard library and pyroute2 alone.

        Returns the command, and what has to be written to its standard input before anything else.
        """


class AgentRunning:
    """A command that an agent has started."""

    def __init__(self, node: str, sock: socket.socket, pid: int) -> None:
        self.node, self.pid, self._socket = node, pid, sock
        self._status: int | None = None

    def signal(self, number: int) -> None:
        """Send a signal to the command's process group."""
        wire.tell(self._socket, {"signal": number})

    def wait(self) -> int:
        """Wait for the command's end; returns its exit status, raises LabError if the host has gone."""
        if self._status is None:
            received = wire.hear(self._socket)
            if received is None:
                raise LabError(f"{self.node} has gone while a command ran on it")
            self._status = int(received[0]["status"])
            self.close()
        return self._status

    def fileno(self) -> int:
        """Readable when the command has ended."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hang up: the command, if it still runs, gets SIGHUP and then SIGKILL."""
        self._socket.close()


@dataclass(frozen=True, slots=True)
class Agent:
    """The transport of a lab's own hosts: the agent of host ``name``, which listens on the socket ``path``."""

    name: str
    path: str

    def start(self, command: Command, fds: Descriptors | None, cwd: str, env: dict[str, str]) -> tuple[AgentRunning, int | None]:
        """See :meth:`Transport.start`."""
        try:
            sock = wire.connect(self.path)
        except OSError as error:
            raise LabError(f"{self.name} does not answer ({error.strerror}): the node is down, or its lab is closed") from None
        try:
            wire.send(sock, {"argv": to_argv(command), "cwd": cwd, "env": env, "tty": fds is None}, fds or ())
            received = wire.receive(sock)
        except OSError as error:
            sock.close()
            raise LabError(f"{self.name} did not take the command: {error}") from None
        if received is None or "error" in received[0]:
            sock.close()
            raise LabError(f"on {self.name}: {received[0]['error']}" if received else f"{self.name} has gone")
        answer, terminals = received
        return AgentRunning(self.name, sock, answer["pid"]), (terminals[0] if terminals else None)

    def python(self, module: str, *arguments: str) -> tuple[list[str], bytes]:
        """See :meth:`Transport.python`: every host of a lab sees the machine's own files."""
        libraries = os.path.dirname(importlib.util.find_spec("pyroute2").submodule_search_locations[0])
        code = HELPER.format(root=ROOT, libraries=libraries, module=module)
        return [sys.executable, "-I", "-S", "-c", code, *arguments], b""


def run(at: Transport, command: Command, *, input: str | None, cwd: str, env: dict[str, str], check: bool, timeout: float | None) -> Result:
    """Run a command to its end and keep what it writes; raises CommandError, LabError, TimeoutError."""
    out, err = [], []
    with open(os.devnull, "rb") if input is None else open(os.memfd_create("stdin"), "w+b") as stdin:
        if input:
            stdin.write(input.encode())
            stdin.seek(0)
        status = stream(at, command, stdin.fileno(), out.append, err.append, cwd, env, timeout)
    stdout, stderr = (b"".join(parts).decode(errors="replace") for parts in (out, err))
    if check and status:
        raise CommandError(at.name, to_text(command), status, stderr or stdout[-2000:])
    return Result(at.name, to_text(command), status, stdout, stderr)


def stream(
    at: Transport,
    command: Command,
    stdin: int,
    on_stdout: Callable[[bytes], object],
    on_stderr: Callable[[bytes], object],
    cwd: str,
    env: dict[str, str],
    timeout: float | None = None,
) -> int:
    """Run a command and hand on what it writes as it comes; returns its exit status.

    An interruption (KeyboardInterrupt), or ``timeout`` seconds without a byte, hang up on it.
    """
    with contextlib.ExitStack() as ending, contextlib.ExitStack() as reading, contextlib.ExitStack() as writing:
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(2)]
        for read, write in pipes:
            reading.callback(os.close, read)
            writing.callback(os.close, write)
        (out_read, out_write), (err_read, err_write) = pipes
        running, _ = at.start(command, (stdin, out_write, err_write), cwd, env)
        ending.callback(running.close)  # after what it writes to is closed
        writing.close()
        _pump({out_read: on_stdout, err_read: on_stderr}, running, timeout)
        return running.wait()


def _pump(sinks: dict[int, Callable[[bytes], object]], running: Running, timeout: float | None) -> None:
    """Copy from pipes to their sinks until the command has ended and what it wrote is read.

    A process left in the background may keep a pipe open; its command's end is the end all the same.
    """
    with selectors.DefaultSelector() as selector:
        for fd in sinks:
            selector.register(fd, selectors.EVENT_READ)
        selector.register(running, selectors.EVENT_READ)
        ended = False
        while len(selector.get_map()) > (0 if ended else 1):
            ready = selector.select(0 if ended else timeout)
            if not ready:
                if ended:
                    return
                raise TimeoutError(f"{running.node} wrote nothing for {timeout} s")
            for key, _ in ready:
                if key.fileobj is running:
                    ended = True
                    selector.unregister(running)
                elif data := os.read(key.fd, CHUNK):
                    sinks[key.fd](data)
                else:
                    selector.unregister(key.fd)


def call(at: Transport, command: Command, cwd: str, env: dict[str, str]) -> int:
    """Run a command on the caller's own standard streams, passing SIGINT and SIGTERM on; its status."""
    running, _ = at.start(command, (0, 1, 2), cwd, env)
    previous = {number: signal.signal(number, lambda n, _: running.signal(n)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)}
    try:
        return running.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def open_shell(at: Transport, command: Command, cwd: str, env: dict[str, str]) -> int:
    """Run an interactive command on a terminal of its own until it ends; returns its exit status.

    Needs a terminal as standard input; raises LabError if the host does not answer.
    """
    running, master = at.start(command, None, cwd, env)
    assert master is not None  # asked for by passing no descriptors
    _copy_size(master)
    resized = signal.signal(signal.SIGWINCH, lambda *_: _copy_size(master))
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        _relay(master, running.fileno())
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, resized)
        os.close(master)
    return running.wait()


def _copy_size(master: int) -> None:
    """Give the far terminal the near one's rows and columns."""
    termios.tcsetwinsize(master, termios.tcgetwinsize(0))


def _relay(master: int, ended: int) -> None:
    """Copy both ways until the command has ended and its last output has been read."""
    near, over = 0, False
    while True:
        watched = [master] if over else [near, master, ended]
        ready, _, _ = select.select(watched, [], [], 0 if over else None)
        if (near in ready and not _copy(near, master)) or (master in ready and not _copy(master, 1)):
            return
        if over and not ready:
            return
        over = over or ended in ready


def _copy(source: int, target: int) -> bool:
    """Copy what can be read now; whether there may be more to come."""
    try:
        rest = data = os.read(source, CHUNK)
    except OSError:  # EIO: nobody has the terminal open any more
        return False
    while rest:
        rest = rest[os.write(target, rest) :]
    return bool(data)
