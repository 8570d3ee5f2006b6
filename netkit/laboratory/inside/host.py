"""A host's first process: its file system, its engine, its agent; then it reaps what others leave.

A *node* is a host with a Docker engine; ``outside`` is one without, which answers HTTP instead.
"""

from __future__ import annotations

import json
import os

from netkit.laboratory.inside import lan, mounts, settings, wire
from netkit.laboratory.inside import syscalls as sc
from netkit.laboratory.inside.agent import Agent, Loop

PLUGGED = b"plugged"


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
        self._reachable = False
        self._state = {"state": "reachable"}

    def run(self) -> None:
        sc.set_process_name(f"netkit-{self._name}"[:15])
        mounts.build_root(self._name, self._spec["files"], self._spec["keep"], self._spec["size"])
        settings.reset()
        self._redirect_output()
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
        if os.path.exists(socket_path):
            os.unlink(socket_path)  # an earlier life of this host
        Agent(self._loop, socket_path, self._spec["environment"])
        self._reachable = True
        self._tell_state()
        if not self._spec["engine"]:
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
        from netkit.laboratory.inside.engine import Engine  # nodes alone have one, and a store
        from netkit.laboratory.inside.store import lay_seed

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
            _tell(self._status, self._state)

    def _serve_http(self) -> None:
        from netkit.laboratory.inside.outside import WebServer

        WebServer(self._loop)
        self._state = {"state": "ready"}
        self._tell_state()
