"""A host's first process: its file system, its engine, its agent; then it reaps what others leave.

A *node* is a host with a Docker engine; ``outside`` is one without, which answers HTTP instead.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time

from netkit.lab.inside import lan, mounts, settings, wire
from netkit.lab.inside import syscalls as sc
from netkit.lab.inside.agent import Agent, Loop

PING = b"GET /_ping HTTP/1.0\r\n\r\n"
PLUGGED = b"plugged"
PING_EVERY = 0.004  # seconds between two looks for the engine's socket
ENGINE_PATIENCE = 60.0  # seconds until a silent engine counts as failed
ENGINE_LOG = "/run/engine.log"


def serve(name: str, spec: dict, status: int, cable: int) -> None:
    """Be the host ``name`` until killed; never returns."""
    try:
        Host(name, spec, status, cable).run()
    except BaseException as error:
        _tell(status, {"state": "failed", "why": wire.describe(error)})
    finally:
        os._exit(1)


def _tell(status: int, state: dict) -> None:
    try:
        os.write(status, json.dumps(state).encode() + b"\n")
    except BrokenPipeError:
        pass  # the lab is ending


class Host:
    """One host of the lab, seen from its own first process."""

    def __init__(self, name: str, spec: dict, status: int, cable: int) -> None:
        self._name = name
        self._spec = spec
        self._status = status
        self._cable = cable
        self._begun = time.monotonic()
        self._engine: int | None = None

    def run(self) -> None:
        sc.set_process_name(f"netkit-{self._name}"[:15])
        mounts.build_root(self._name, self._spec["files"], self._spec["keep"], self._spec["size"])
        settings.reset()
        self._redirect_output()
        self._loop = Loop()
        os.mkdir(mounts.BIN)
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
        if os.path.exists(socket_path):
            os.unlink(socket_path)  # an earlier life of this host
        Agent(self._loop, socket_path, self._spec["environment"])
        _tell(self._status, {"state": "reachable"})
        if self._spec["engine"]:
            self._wait_for_engine()
        else:
            self._serve_http()
        self._loop.run()

    def _redirect_output(self) -> None:
        """Leave the opener's terminal and files alone from here on."""
        null = os.open("/dev/null", os.O_RDWR)
        log = os.open("/run/host.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(null)
        os.close(log)

    def _start_engine(self, engine: dict) -> None:
        from netkit.lab.inside.store import lay_seed  # nodes alone have a store

        mounts.write_file("/run/netkit-runc", engine["runc_shim"], 0o755)
        mounts.write_file("/etc/docker/daemon.json", json.dumps(engine["config"], indent=1) + "\n")
        lay_seed(mounts.SHARED + "/seed", "/var/lib/docker")
        log = os.open(ENGINE_LOG, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        mine = f"unix://{mounts.SHARED}/{self._name}/docker.sock"
        argv = [engine["dockerd"], "--host", "unix:///run/docker.sock", "--host", mine]
        pid = self._loop.fork()
        if pid == 0:
            try:
                os.setsid()
                os.dup2(log, 1)
                os.dup2(log, 2)
                os.closerange(3, 4096)
                os.execve(engine["dockerd"], argv, engine["environment"])
            finally:
                os._exit(127)
        os.close(log)
        self._engine = pid
        self._loop.on_exit(pid, self._engine_ended)

    def _engine_ended(self, status: int) -> None:
        self._engine = None
        _tell(self._status, {"state": "failed", "why": f"dockerd ended with status {status}: {_last_error()}"})

    def _wait_for_engine(self) -> None:
        """Look for the engine's answer again and again, without keeping the agent from its work."""
        if self._engine is None:
            return
        if answers("/run/docker.sock"):
            return _tell(self._status, {"state": "ready"})
        if time.monotonic() - self._begun > ENGINE_PATIENCE:
            os.kill(self._engine, signal.SIGKILL)
            return None
        return self._loop.later(PING_EVERY, self._wait_for_engine)

    def _serve_http(self) -> None:
        from netkit.lab.inside.outside import WebServer

        WebServer(self._loop)
        _tell(self._status, {"state": "ready"})


def answers(path: str) -> bool:
    """Whether an engine answers its ping on this socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(path)
            sock.settimeout(5)
            sock.sendall(PING)
            return b" 200 " in sock.recv(64)
        except OSError:
            return False


def _last_error() -> str:
    """The engine's own last words, for a learner to read."""
    try:
        with open(ENGINE_LOG, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
    except OSError:
        return "it left no log"
    telling = [line for line in lines if "level=fatal" in line or "level=error" in line or "failed to start" in line]
    return (telling or lines or ["it said nothing"])[-1][-600:]
