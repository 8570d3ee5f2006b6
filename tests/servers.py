"""`netkit start` for tests: a JupyterLab of their own, and the few requests of its interface that they need."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence

from netkit.laboratory.inside.syscalls import die_with_parent
from tests.conftest import NETKIT
from tests.kernels import wait_for
from tests.patience import patiently
from tests.ports import find_ports


class Server:
    """A running JupyterLab, spoken to with its token."""

    def __init__(self, process: subprocess.Popen, port: int, token: str) -> None:
        self.process, self.port, self.token = process, port, token

    @property
    def origin(self) -> str:
        """Scheme, host and port: where everything its pages load has to come from."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        """One request with the token; returns its answer."""
        request = urllib.request.Request(
            f"{self.origin}/api/{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=patiently()) as answer:
            return json.loads(answer.read() or b"{}")

    def open_notebook(self, path: str) -> dict:
        """What a front end asks for when a notebook is opened: a session with a kernel."""
        return self.ask("POST", "sessions", {"path": path, "name": path, "type": "notebook", "kernel": {"name": "netkit"}})

    def close_notebook(self, path: str) -> None:
        """Shut down the kernel, and with it the lab, of a notebook; one that has none is left alone."""
        for session in self.ask("GET", "sessions"):
            if session["path"] == path:
                self.ask("DELETE", f"sessions/{session['id']}")


@contextlib.contextmanager
def open_server(*options: str, command: Sequence[str] = (NETKIT, "start"), environment: dict[str, str] | None = None) -> Iterator[Server]:
    """`netkit start`, or another ``command`` that does it, with more options, on a free port; it is ended afterwards, politely."""
    (port,) = find_ports(1)
    process = subprocess.Popen(
        [*command, "--port", str(port), "--no-browser", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | (environment or {}),
        preexec_fn=lambda: die_with_parent(signal.SIGTERM),  # a run of tests that is interrupted leaves no server, and so no labs
    )
    try:
        server = Server(process, port, _read_token(process, port))
        assert wait_for(lambda: _answers(server)), "the server does not answer"
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=patiently())
        process.kill()
        process.stdout.close()


def _read_token(process: subprocess.Popen, port: int) -> str:
    said = []
    for line in process.stdout:
        said.append(line)
        if found := re.search(rf"http://127\.0\.0\.1:{port}/\S*token=(\w+)", line):
            return found[1]
    raise AssertionError("the server did not print its address:\n" + "".join(said))


def _answers(server: Server) -> bool:
    with contextlib.suppress(OSError):
        return bool(server.ask("GET", "status"))
    return False
