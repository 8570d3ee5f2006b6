"""A host of a lab as its users see it, and a terminal there, relayed to the caller's own as ssh does it."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import select
import signal
import termios
import tty
from collections.abc import Callable
from typing import TYPE_CHECKING

from netkit.errors import LabError
from netkit.laboratory import remote, spec
from netkit.laboratory.inside import wire

if TYPE_CHECKING:
    from netkit.laboratory.lab import Lab


class Node:
    """A host of a lab: a node with its own Docker engine, or ``outside``, which has none.

    Attributes: ``name``; ``address`` on the LAN.
    """

    _shell_settings = ("TERM", "COLORTERM")  # of the caller's terminal; the locale is the host's own

    def __init__(self, lab: Lab, name: str, address: str) -> None:
        self.lab, self.name = lab, name
        self.address = ipaddress.ip_address(address)
        self._client: object | None = None

    def __repr__(self) -> str:
        return f"<{self.name} {self.address}>"

    @property
    def agent(self) -> str:
        """The path of the socket through which commands are run here (see :mod:`netkit.laboratory.remote`)."""
        return f"{self.lab.shared}/{self.name}/agent.sock"

    @property
    def transport(self) -> remote.Transport:
        """The way commands get here."""
        return remote.Agent(self.name, self.agent)

    @property
    def docker_host(self) -> str:
        """The URL of this node's engine: a socket that leads to no other engine."""
        return f"unix://{self.lab.shared}/{self.name}/docker.sock"

    def run(
        self,
        command: remote.Command,
        *,
        check: bool = True,
        input: str | None = None,
        env: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> remote.Result:
        """Run a command here and return what it wrote.

        ``command`` is a line for bash, or a sequence of words; ``env`` adds variables, ``timeout``
        is in seconds without output. Raises CommandError for a status other than 0 unless ``check``
        is false, LabError if the node is down, TimeoutError.
        """
        self.lab.ensure(self.name)
        return remote.run(self.transport, command, input=input, cwd=os.getcwd(), env=env or {}, check=check, timeout=timeout)

    def stream(self, command: remote.Command, on_stdout: Callable[[bytes], object], on_stderr: Callable[[bytes], object]) -> int:
        """Run a command here, handing on its output as it comes; returns its exit status."""
        self.lab.ensure(self.name)
        with open(os.devnull, "rb") as nothing:
            return remote.stream(self.transport, command, nothing.fileno(), on_stdout, on_stderr, os.getcwd(), {})

    def call(self, command: remote.Command) -> int:
        """Run a command here on the caller's own standard streams; returns its exit status."""
        self.lab.ensure(self.name)
        return remote.call(self.transport, command, os.getcwd(), {})

    def shell(self, command: remote.Command = ("bash", "--login"), cwd: str | None = None) -> int:
        """A terminal here, relayed to the caller's own; returns the exit status."""
        self.lab.ensure(self.name)
        env = {name: os.environ[name] for name in self._shell_settings if name in os.environ}
        return open_shell(self.transport, command, cwd or os.getcwd(), env)

    @property
    def docker(self):
        """A ``docker.DockerClient`` of this node's engine, and of no other.

        The address is always given: ``docker.from_env()`` would follow the caller's contexts.
        """
        if self.name == spec.OUTSIDE:
            raise LabError("outside is no Docker node: it has no engine")
        self.lab.ensure(self.name)
        if self._client is None:
            import docker  # 0.2 s, and only for those who use it

            self._client = docker.DockerClient(base_url=self.docker_host, version="auto", use_ssh_client=False)
        return self._client

    @property
    def pid(self) -> int:
        """The host's first process, as numbered where the caller is; raises LabError if it is down."""
        try:
            with wire.connect(self.agent) as sock:
                return wire.peer_pid(sock)
        except OSError:
            raise LabError(f"{self.name} is down") from None


def open_shell(at: remote.Transport, command: remote.Command, cwd: str, env: dict[str, str]) -> int:
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
    size = fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8))
    fcntl.ioctl(master, termios.TIOCSWINSZ, size)


def _relay(master: int, ended: int) -> None:
    """Copy both ways until the command has ended and its last output has been read."""
    near, over = 0, False
    while True:
        watched = [master] if over else [near, master, ended]
        ready, _, _ = select.select(watched, [], [], 0 if over else None)
        if near in ready:
            data = os.read(near, remote.CHUNK)
            if not data:
                return
            _write_all(master, data)
        if master in ready:
            try:
                data = os.read(master, remote.CHUNK)
            except OSError:  # EIO: nobody has the terminal open any more
                return
            if not data:
                return
            _write_all(1, data)
        elif over:
            return
        over = over or ended in ready


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
