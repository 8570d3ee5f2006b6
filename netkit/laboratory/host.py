"""A lab and its hosts as their users see them.

A :class:`Lab` is reached through its shared directory. Inside the lab that is /run/netkit; from the
machine, it is the same directory seen through /proc/PID/root of the lab's first process, so no file
of a lab ever exists on the machine itself.
"""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Callable, Iterator

from netkit.errors import LabError
from netkit.laboratory import remote, spec
from netkit.laboratory.inside import wire
from netkit.laboratory.inside.mounts import SHARED


class Node:
    """A host of a lab: a node with its own Docker engine, or ``outside``, which has none.

    Attributes: ``name``; ``address`` on the LAN; ``agent``, the path of the socket through which commands are run here
    (see :mod:`netkit.laboratory.remote`).
    """

    _shell_settings = ("TERM", "COLORTERM")  # of the caller's terminal; the locale is the host's own

    def __init__(self, lab: Lab, name: str, address: str) -> None:
        self.lab, self.name = lab, name
        self.address = ipaddress.ip_address(address)
        self.agent = f"{lab.shared}/{name}/agent.sock"
        self._client: object | None = None

    def __repr__(self) -> str:
        return f"<{self.name} {self.address}>"

    @property
    def transport(self) -> remote.Transport:
        """The way commands get here."""
        return remote.Agent(self.name, self.agent)

    def _reach(self) -> remote.Transport:
        """The way commands get here, once this host is up; raises LabError."""
        self.lab.ensure(self.name)
        return self.transport

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
        return remote.run(self._reach(), command, input=input, cwd=os.getcwd(), env=env or {}, check=check, timeout=timeout)

    def stream(self, command: remote.Command, on_stdout: Callable[[bytes], object], on_stderr: Callable[[bytes], object]) -> int:
        """Run a command here, handing on its output as it comes; returns its exit status."""
        with open(os.devnull, "rb") as nothing:
            return remote.stream(self._reach(), command, nothing.fileno(), on_stdout, on_stderr, os.getcwd(), {})

    def call(self, command: remote.Command) -> int:
        """Run a command here on the caller's own standard streams; returns its exit status."""
        return remote.call(self._reach(), command, os.getcwd(), {})

    def shell(self, command: remote.Command = ("bash", "--login"), cwd: str | None = None) -> int:
        """A terminal here, relayed to the caller's own; returns the exit status."""
        env = {name: os.environ[name] for name in self._shell_settings if name in os.environ}
        return remote.open_shell(self._reach(), command, cwd or os.getcwd(), env)

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


class Lab:
    """A lab that is open, seen from the machine or from inside.

    ``lab["node2"]`` is a host; iterating yields the nodes, without ``outside``.
    """

    _make_host = Node

    def __init__(self, root: str = "") -> None:
        self._read(root + SHARED)

    def _read(self, shared: str) -> None:
        """Learn what the lab consists of from its shared directory; raises LabError."""
        self.shared = shared
        try:
            with open(self.shared + "/lab.json", encoding="utf-8") as file:
                self.facts: dict = json.load(file)
        except (OSError, ValueError) as error:
            raise LabError(f"there is no lab to be reached here ({error}): open one with `netkit run` or `netkit start`") from None
        self._hosts = {name: self._make_host(self, name, address) for name, address in self.facts["addresses"].items()}
        self._up: set[str] = set()

    def __repr__(self) -> str:
        return f"<lab {self.id}: {', '.join(self.nodes)} and outside, mode {self.facts['mode']}, engine {self.facts['engine']}>"

    @property
    def id(self) -> str:
        """Eight hexadecimal digits, made afresh for each lab."""
        return self.facts["id"]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the lab's nodes, started or not."""
        return tuple(self.facts["nodes"])

    def __getitem__(self, name: str) -> Node:
        if name not in self._hosts:
            raise LabError(f"this lab has no host {name!r}: it has {', '.join(self._hosts)}")
        return self._hosts[name]

    def __iter__(self) -> Iterator[Node]:
        return (self._hosts[name] for name in self.nodes)

    def ensure(self, *names: str) -> None:
        """Start those of these hosts that are not up yet, together, and wait until they answer.

        Raises LabError with the host's own words if one does not come up.
        """
        missing = [name for name in names if name not in self._up]
        if not missing:
            return
        states = self._ask({"need": missing})
        for name in missing:
            if states[name]["state"] == "failed":
                try:
                    _ = self[name].pid  # a host answers, although its engine does not
                except LabError:
                    raise LabError(f"{name} could not start: {states[name]['why']}") from None
        self._up |= set(missing)

    def states(self) -> dict[str, str]:
        """The state of each host.

        idle (not started yet), starting, reachable (its engine starts), ready, stopped (its engine is, on somebody's word),
        failed (its engine ends whenever it starts), or down (switched off).
        """
        told = self._ask({"states": True})
        return {name: told.get(name, {"state": "idle"})["state"] for name in self._hosts}

    def kill(self, name: str) -> None:
        """Pull a host's plug: everything on it ends at once. Its next use starts it afresh, empty."""
        self._ask({"kill": self[name].name})
        self._up.discard(name)

    def _ask(self, request: dict) -> dict:
        try:
            with wire.connect(self.shared + "/lab.sock") as sock:
                wire.send(sock, request)
                received = wire.receive(sock)
        except OSError as error:
            raise LabError(f"lab {self.id} does not answer ({error.strerror}): it has been closed") from None
        if received is None:
            raise LabError(f"lab {self.id} has been closed")
        if "error" in received[0]:
            raise LabError(f"lab {self.id}: {received[0]['error']}")
        return received[0]["hosts"]
