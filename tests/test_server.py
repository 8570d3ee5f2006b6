"""JupyterLab as `netkit start` opens it: loopback only, with its token, its terminals in the lab."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pexpect
import psutil
import pytest
import websocket
from jupyter_core.paths import jupyter_runtime_dir

from netkit.laboratory.lab import open_lab
from tests.conftest import NETKIT
from tests.kernels import wait_for
from tests.machine import is_alive
from tests.patience import patiently
from tests.servers import Server, open_server


@pytest.fixture
def server() -> Iterator[Server]:
    """`netkit start` on a free port."""
    with open_server() as opened:
        yield opened


class Terminal:
    """A terminal of JupyterLab, as its page speaks to it."""

    def __init__(self, server: Server) -> None:
        name = server.ask("POST", "terminals", {})["name"]
        address = f"ws://127.0.0.1:{server.port}/terminals/websocket/{name}"
        self._socket = websocket.create_connection(address, header=[f"Authorization: token {server.token}"], timeout=patiently())
        self.seen = ""

    def type(self, text: str) -> None:
        """Press keys."""
        self._socket.send(json.dumps(["stdin", text]))

    def expect(self, pattern: str) -> str:
        """Read until a pattern shows; returns all that has been seen since the last one."""
        deadline = time.monotonic() + patiently()
        while not re.search(pattern, self.seen):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.seen!r}"
            message = self._socket.recv()
            assert message, f"the terminal ended before {pattern!r}: {self.seen!r}"
            kind, *rest = json.loads(message)
            self.seen += rest[0] if kind == "stdout" else ""
        seen, self.seen = self.seen, ""
        return seen


@pytest.fixture
def beside() -> Iterator[None]:
    """A lab that is open already in the shell from which the server is started."""
    with subprocess.Popen(
        [NETKIT, "run", "--nodes", "1", "--", "sh", "-c", "echo open; cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"open\n"
        yield


def test_a_terminal_is_a_shell_in_the_notebooks_lab(machine, beside, server):
    """With one notebook open, a new terminal is a shell on node1 of its lab, whatever else is open, and ends with it."""
    session = server.open_notebook("first.ipynb")
    terminal = Terminal(server)
    terminal.expect(r"root@node1")
    terminal.type("docker network create from-terminal >/dev/null; echo made-$((1+1))\r")
    terminal.expect(r"made-2")
    terminal.type("netkit ps | tail -1; tty\r")
    assert "first.ipynb" in terminal.expect(r"/dev/pts/\d")
    server.ask("DELETE", f"sessions/{session['id']}")
    terminal.expect(r"has gone|not answer")


def test_with_several_notebooks_a_terminal_asks(machine, server):
    """With two notebooks open, a new terminal asks which lab is meant, by their names."""
    server.open_notebook("first.ipynb")
    server.open_notebook("second.ipynb")
    terminal = Terminal(server)
    asked = terminal.expect(r"number \[1-2\]: ")
    number = re.search(r"(\d)  second\.ipynb", asked)[1]
    terminal.type("7\r")
    terminal.expect(r"number \[1-2\]: ")
    terminal.type(f"{number}\r")
    terminal.expect(r"root@node1")
    terminal.type("netkit ps | tail -1\r")
    assert "second.ipynb" in terminal.expect(r"ipynb")


def test_a_learners_files_harm_no_server(machine, tmp_path):
    """Files beside the notebooks that are called as modules are stand for nothing in JupyterLab, nor in its terminals."""
    for name in ("json", "socket", "tornado", "netkit"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('this is no module of JupyterLab')\n")
    with open_server("--notebooks", str(tmp_path), environment={"PYTHONPATH": ":"}) as server:
        Terminal(server).expect(r"root@node1")


def test_the_server_keeps_its_token_and_to_loopback(server):
    """Without the token nothing is answered, and nothing listens beyond 127.0.0.1."""
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/api/contents", timeout=patiently())
    server.open_notebook("first.ipynb")
    family = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    listening = set()
    for process in family:
        with contextlib.suppress(psutil.Error, OSError):  # it has ended
            if os.readlink(f"/proc/{process.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
                listening |= {c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_the_server_killed_leaves_nothing(machine, server):
    """kill -9 of the server ends its notebooks' labs."""
    server.open_notebook("first.ipynb")
    family = psutil.Process(server.process.pid).children(recursive=True)
    runtime = Path(jupyter_runtime_dir())
    own = list(runtime.glob(f"jpserver-{server.process.pid}*"))  # which it has no chance to remove; others' are there, too
    for process in family:
        with contextlib.suppress(psutil.Error):  # it has ended
            own += [Path(word) for word in process.cmdline() if Path(word).parent == runtime]
    server.process.kill()
    assert wait_for(lambda: not any(is_alive(process) for process in family))
    for path in own:
        path.unlink(missing_ok=True)


def test_a_shell_is_a_login_shell_with_job_control(machine):
    """netkit shell: a login shell on its own terminal, with jobs, sizes, signals and the status of its end."""
    with open_lab(2, label="shells") as lab:
        shell = pexpect.spawn(NETKIT, ["shell", "node2", "--lab", lab.id], encoding="utf-8", timeout=patiently(), dimensions=(33, 99))
        shell.expect("root@node2")
        shell.sendline("shopt -q login_shell && set -o | grep -q 'monitor.*on' && echo login-and-$((40+2))")
        shell.expect("login-and-42")
        shell.sendline("stty size")
        shell.expect("33 99")
        shell.setwinsize(44, 111)
        shell.sendline("until [ \"$(stty size)\" = '44 111' ]; do sleep 0.01; done; echo size-$((40+4))")
        shell.expect("size-44")
        shell.sendline("sleep 1000")
        assert wait_for(lambda: lab["node2"].run("pgrep -f -x 'sleep 1000'", check=False).status == 0)
        shell.sendcontrol("z")
        shell.expect("Stopped")
        shell.sendline("bg; jobs; kill %1; docker info --format '{{.Name}}-engine'; which netkit")
        shell.expect("node2-engine")
        shell.expect("netkit-bin/netkit")
        shell.sendline("sleep 2000")
        assert wait_for(lambda: lab["node2"].run("pgrep -f -x 'sleep 2000'", check=False).status == 0)
        shell.sendcontrol("c")
        shell.sendline("exit 5")
        shell.expect(pexpect.EOF)
        shell.close()
        assert shell.exitstatus == 5


def test_a_shell_without_a_lab_opens_one(machine):
    """Where no lab is open, netkit shell opens a throw-away one that ends with it."""
    shell = pexpect.spawn(NETKIT, ["shell", "--of-server"], encoding="utf-8", timeout=patiently())  # whatever others have open
    shell.expect("no lab is open")
    shell.expect("root@node1")
    shell.sendline("exit")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 0


def test_a_closed_terminal_hangs_up(machine):
    """When the terminal goes away, what ran in it goes, too."""
    with open_lab(1, label="hang-up") as lab:
        shell = pexpect.spawn(NETKIT, ["shell", "node1", "--lab", lab.id], encoding="utf-8", timeout=patiently())
        shell.expect("root@node1")
        shell.sendline("sleep 4321")
        assert wait_for(lambda: lab["node1"].run("pgrep -f 'sleep 4321'", check=False).status == 0)
        shell.close(force=True)
        assert wait_for(lambda: lab["node1"].run("pgrep -x sleep", check=False).status != 0)
