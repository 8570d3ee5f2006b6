"""A host's first process: its file system, its engine, its agent; then it reaps what others leave.

A *node* is a host with a Docker engine; ``outside`` is one without, which answers HTTP instead.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket

from netkit.laboratory.inside import lan, mounts, wire
from netkit.laboratory.inside import syscalls as sc
from netkit.laboratory.inside.agent import Agent, Loop

PLUGGED = b"plugged"
HTTP = 80
LONGEST = 1 << 16  # bytes of a request, before it is dropped


class Host:
    """One host of the lab, seen from its own first process."""

    def __init__(self, name: str, spec: dict, status: int, cable: int) -> None:
        self._name = name
        self._spec = spec
        self._status = status
        self._cable = cable
        self._reachable = False
        self._state = {"state": "reachable"}

    def serve(self) -> None:
        """Be the host until killed; never returns."""
        try:
            self._run()
        except BaseException as error:
            self._reachable, self._state = True, {"state": "failed", "why": wire.describe(error)}
            self._tell_state()
        finally:
            os._exit(1)

    def _run(self) -> None:
        sc.set_process_name(f"netkit-{self._name}"[:15])
        mounts.build_root(self._name, self._spec["files"], self._spec["keep"])
        lan.reset_settings()
        # leave the opener's terminal and files alone from here on
        for path, flags, targets in (("/dev/null", os.O_RDWR, (0,)), ("/run/host.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, (1, 2))):
            file = os.open(path, flags, 0o600)
            for target in targets:
                os.dup2(file, target)
            os.close(file)
        self._loop = Loop()
        os.makedirs(mounts.BIN, exist_ok=True)
        for command, path in self._spec["commands"].items():
            os.symlink(path, f"{mounts.BIN}/{command}")
        os.makedirs(f"{mounts.SHARED}/{self._name}", mode=0o700, exist_ok=True)
        if self._spec["engine"]:
            self._start_engine(self._spec["engine"])
        said = os.read(self._cable, 4096)
        if said != PLUGGED:
            raise wire.Trouble(said.decode() or "the lab ended")
        lan.configure(self._spec["address"], self._spec["netmask"])
        socket_path = f"{mounts.SHARED}/{self._name}/agent.sock"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(socket_path)  # of an earlier life of this host
        Agent(self._loop, socket_path, self._spec["environment"])
        self._reachable = True
        if not self._spec["engine"]:
            WebServer(self._loop)
            self._state = {"state": "ready"}
        self._tell_state()
        self._loop.run()

    def _start_engine(self, engine: dict) -> None:
        from netkit.laboratory.inside.dockerd import Engine, lay_seed  # nodes alone have one

        mounts.write_file("/etc/docker/daemon.json", json.dumps(engine["config"], indent=1) + "\n")
        lay_seed(mounts.SHARED + "/seed", "/var/lib/docker")
        sockets = ["unix:///run/docker.sock", f"unix://{mounts.SHARED}/{self._name}/docker.sock"]
        Engine(self._loop, engine | {"sockets": sockets}, self._hear_engine).start()

    def _hear_engine(self, state: str, why: str) -> None:
        """Pass on how the engine fares: while it starts, its host can be reached."""
        self._state = {"state": "reachable" if state == "starting" else state, "why": why}
        self._tell_state()

    def _tell_state(self) -> None:
        if self._reachable:
            with contextlib.suppress(BrokenPipeError):  # the lab is ending
                os.write(self._status, json.dumps(self._state).encode() + b"\n")


class WebServer:
    """The web server of ``outside``: answers every request, on IPv4 and IPv6, with the address it came from.

    That address is the whole point: behind NAT it is the node's, and the learner sees it. It speaks just
    enough HTTP/1.0 (RFC 1945) for that, on the host's own event loop: importing :mod:`http.server` takes
    longer than everything else on this host, and the engines are starting at that moment.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        try:
            self._listener = socket.create_server(("::", HTTP), family=socket.AF_INET6, backlog=256, dualstack_ipv6=True)
        except (OSError, ValueError):  # a kernel without IPv6, or one that has it switched off
            self._listener = socket.create_server(("", HTTP), backlog=256)
        loop.watch(self._listener, self._accept)

    def _accept(self) -> None:
        connection, address = self._listener.accept()
        connection.setblocking(False)
        heard = bytearray()
        self._loop.watch(connection, lambda: self._hear(connection, address[0].removeprefix("::ffff:"), heard))

    def _hear(self, connection: socket.socket, client: str, heard: bytearray) -> None:
        """Collect a request up to its empty line, then answer it."""
        with contextlib.suppress(OSError):  # a client that goes away in the middle is no concern of ours
            data = connection.recv(4096)
            heard += data
            if data and b"\r\n\r\n" not in heard and b"\n\n" not in heard and len(heard) < LONGEST:
                return
            if data:
                connection.sendall(_answer(client, heard))
        self._loop.unwatch(connection)
        connection.close()


def _answer(client: str, request: bytearray) -> bytes:
    """The response to a request, which is kept in the access log."""
    body = f"hello from outside, you are {client}\n".encode()
    line = request.split(b"\r\n", 1)[0].decode(errors="replace")
    with open("/run/access.log", "a", encoding="utf-8") as log:
        log.write(f'{client} "{line}"\n')
    head = f"HTTP/1.0 200 OK\r\nServer: outside\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + (b"" if line.startswith("HEAD ") else body)
