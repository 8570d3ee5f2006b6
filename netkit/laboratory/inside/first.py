"""The lab's first process: lays the LAN, starts the hosts, answers who asks for more.

It holds no secrets and makes no decisions: what the lab is made of comes in its specification
(see :mod:`netkit.laboratory.spec`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable

from netkit.laboratory.inside import host_init, lan, mounts, wire
from netkit.laboratory.inside import syscalls as sc
from netkit.laboratory.inside.agent import Loop

SETTLED = ("ready", "stopped", "failed", "down")  # states of hosts in which nothing is to be waited for


class First:
    """The lab's hosts and their states, and the sockets through which they are asked for."""

    def __init__(self, control: socket.socket, spec: dict) -> None:
        self._spec = spec
        self._control = control
        self._loop = Loop()
        self._states: dict[str, dict] = {}
        self._pids: dict[str, int] = {}
        self._known: set[str] = set()  # hosts that were ready once in their present life
        self._told = True
        # who is to be answered, and when: a question put to the present state
        self._waiting: list[tuple[socket.socket, Callable[[], bool]]] = []

    def run(self) -> None:
        """Run the lab until the control socket closes."""
        sc.set_process_name("netkit-lab")
        mounts.make_private()
        os.chdir("/")
        sc.sethostname("lab")
        sc.mount("proc", "/proc", "proc", sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC)
        mounts.write_file(mounts.SHARED + "/lab.json", json.dumps(self._spec["public"]))
        os.chmod(mounts.SHARED, 0o700)
        self._listener = wire.listen(mounts.SHARED + "/lab.sock")
        self._loop.watch(self._listener, self._accept)
        self._loop.watch(self._control, self._hear_opener)
        begun = [self._begin(name) for name in self._spec["start"]]
        self._plug(begun, lan.create())
        self._loop.run()

    def _begin(self, name: str) -> tuple[str, int, int]:
        """Fork a host's first process; returns its name, pid, and the pipe that waits for its cable."""
        self._states[name] = {"state": "starting"}
        host_spec = self._spec["hosts"][name]
        (status_read, status_write), (cable_read, cable_write), (pid_read, pid_write) = (os.pipe2(os.O_CLOEXEC) for _ in range(3))
        outer = self._loop.fork()
        if outer == 0:
            self._leave_to(name, host_spec, status_write, cable_read, pid_write)
        for fd in (status_write, cable_read, pid_write):
            os.close(fd)
        answer = os.read(pid_read, 64)
        os.close(pid_read)
        os.waitpid(outer, 0)
        if not answer:
            os.close(cable_write)
            raise wire.Trouble(f"{name} could not be given namespaces: {os.read(status_read, 4096).decode()}")
        self._pids[name] = int(answer)
        self._loop.watch(status_read, lambda: self._hear_host(name, int(answer), status_read))
        return name, int(answer), cable_write

    def _leave_to(self, name: str, host_spec: dict, status: int, cable: int, pid_write: int) -> None:
        """In a forked child: make the host's namespaces, fork its first process, and end."""
        try:
            sc.unshare(sc.NEWNET | sc.NEWNS | sc.NEWUTS | sc.NEWIPC | sc.NEWPID)
            pid = os.fork()
            if pid == 0:
                for sock in (self._control, self._listener, *(connection for connection, _ in self._waiting)):
                    sock.close()  # a host must not be able to speak for the lab
                host_init.Host(name, host_spec, status, cable).serve()
            os.write(pid_write, str(pid).encode())
        except BaseException as error:
            os.write(status, json.dumps({"state": "failed", "why": wire.describe(error)}).encode() + b"\n")
        finally:
            os._exit(0)

    def _plug(self, begun: list[tuple[str, int, int]], before: list[str]) -> None:
        """Connect hosts to the LAN; what goes wrong is theirs to report, who may know better why."""
        commands = [command for name, pid, _ in begun for command in lan.plug(name, pid, self._spec["hosts"][name]["mac"])]
        try:
            lan.run_ip([*before, *commands])
            said = host_init.PLUGGED
        except OSError as error:
            said = wire.describe(error).encode()
        for _, _, cable in begun:
            with contextlib.suppress(BrokenPipeError):
                os.write(cable, said)
            os.close(cable)

    def _hear_host(self, name: str, pid: int, status: int) -> None:
        """A host says one line a state; the end of its pipe is its end."""
        said = os.read(status, 1 << 16)
        if not said:
            self._loop.unwatch(status)
            os.close(status)
            lan.unplug(name)
            if self._pids.get(name) == pid:
                del self._pids[name]  # the kernel may give the number to somebody else now
            if self._states[name]["state"] != "failed" or name in self._known:
                self._states[name] = {"state": "down"}
            self._known.discard(name)
        for line in said.decode().splitlines():
            self._states[name] = json.loads(line)
            if self._states[name]["state"] == "ready":
                self._known.add(name)
        if self._told and not wire.tell(self._control, {"event": "state", "hosts": self._states}):
            self._loop.running = False
        self._answer_waiting()

    def _hear_opener(self) -> None:
        """The opener says that it has heard enough of states, and goodbye by closing its end."""
        self._told = False
        if wire.hear(self._control) is None:
            self._loop.running = False

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._loop.watch(connection, lambda: self._hear(connection))

    def _hear(self, connection: socket.socket) -> None:
        """Requests: {"states": true}, {"need": [names]} answered when all are up or failed, {"kill": name} when it is dead."""
        received = wire.hear(connection)
        if received is None:
            self._waiting = [(other, ready) for other, ready in self._waiting if other is not connection]
            self._loop.unwatch(connection)
            return connection.close()
        request, fds = received
        for fd in fds:
            os.close(fd)
        try:
            self._handle(connection, request)
        except (OSError, KeyError) as error:
            wire.tell(connection, {"error": wire.describe(error)})

    def _handle(self, connection: socket.socket, request: dict) -> None:
        if "need" in request:
            names = [name for name in request["need"] if name in self._spec["hosts"]]
            missing = [name for name in names if name not in self._pids]  # a host whose engine has ended is still that host
            if missing:
                self._plug([self._begin(name) for name in missing], [])
            self._waiting.append((connection, lambda: all(map(self._is_settled, names))))
        elif request.get("kill") in self._pids:
            name, pid = request["kill"], self._pids[request["kill"]]
            os.kill(pid, signal.SIGKILL)
            # whoever uses the host next must not meet the one that is ending
            self._waiting.append((connection, lambda: self._pids.get(name) != pid))
        else:
            self._waiting.append((connection, lambda: True))
        self._answer_waiting()

    def _is_settled(self, name: str) -> bool:
        return name in self._known or self._states.get(name, {}).get("state") in SETTLED

    def _answer_waiting(self) -> None:
        for connection, ready in [each for each in self._waiting if each[1]()]:
            self._waiting.remove((connection, ready))
            wire.tell(connection, {"hosts": self._states})
