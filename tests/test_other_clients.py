"""Clients that start the kernelspec's argv themselves, as VS Code does, and clients without a screen."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest
from jupyter_client.blocking import BlockingKernelClient

from tests.kernels import execute, wait_for
from tests.machine import is_alive
from tests.patience import patiently
from tests.ports import find_ports

pytestmark = pytest.mark.once

SPEC = Path(sys.prefix) / "share/jupyter/kernels/netkit/kernel.json"
PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")


class RawKernel:
    """What VS Code's raw kernel launcher does: ports, connection file, argv with its own interpreter for "python"."""

    def __init__(self, directory: Path) -> None:
        spec = json.loads(SPEC.read_text())
        connection = dict(zip(PORTS, find_ports(len(PORTS)), strict=True))
        connection |= {"ip": "127.0.0.1", "transport": "tcp", "key": secrets.token_hex(16), "kernel_name": "netkit"}
        connection |= {"signature_scheme": "hmac-sha256"}
        self.file = directory / "kernel-raw.json"
        self.file.touch(mode=0o600)
        self.file.write_text(json.dumps(connection))
        argv = [word.replace("{connection_file}", str(self.file)) for word in spec["argv"]]
        argv[0] = sys.executable if argv[0] == "python" else argv[0]
        # of the server's variables there is none, and the working directory is the notebook's
        env = {name: value for name, value in os.environ.items() if not name.startswith(("JPY_", "JUPYTER"))} | spec.get("env", {})
        self.process = subprocess.Popen(
            argv, cwd=directory, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.client = BlockingKernelClient(connection_file=str(self.file))
        self.client.load_connection_file()
        # with no process to look at, this client takes a kernel for dead that has not answered a second after it was started
        self.client.hb_channel.time_to_dead = patiently()

    def wait_until_ready(self) -> None:
        """Wait for its first answer."""
        self.client.start_channels()
        self.client.wait_for_ready(timeout=patiently())
        self.family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]

    def close(self) -> None:
        self.client.stop_channels()
        self.process.kill()
        self.process.wait()
        self.file.unlink(missing_ok=True)


@pytest.fixture
def raw(machine, tmp_path):
    """A kernel started as VS Code does; nothing of it may be left afterwards."""
    opened = RawKernel(tmp_path)
    try:
        opened.wait_until_ready()
        yield opened
    finally:
        opened.close()
    assert wait_for(lambda: not any(is_alive(member) for member in opened.family))


def test_argv_started_by_the_client_itself_is_node1(raw, tmp_path):
    """Over TCP, with the client's own ports: node1, in the notebook's directory; interrupted and shut down by messages."""
    assert execute(raw.client, "!hostname").split() == ["node1"]
    assert execute(raw.client, "import os; print(os.getcwd())").strip() == str(tmp_path)
    running = raw.client.execute("print('begun', flush=True); import time; time.sleep(60)")
    assert wait_for(lambda: raw.client.get_iopub_msg(timeout=patiently())["content"].get("text") == "begun\n")
    raw.client.control_channel.send(raw.client.session.msg("interrupt_request"))
    reply = raw.client.get_shell_msg(timeout=patiently())
    assert (reply["parent_header"]["msg_id"], reply["content"]["ename"]) == (running, "KeyboardInterrupt")
    raw.client.shutdown()
    assert raw.process.wait(timeout=patiently()) == 0
    assert wait_for(lambda: not any(is_alive(member) for member in raw.family))


def test_a_client_that_just_kills_leaves_nothing(raw):
    """The started process killed, as a closing window does: kernel and lab go with it."""
    assert len(raw.family) > 5
    raw.process.kill()
    assert wait_for(lambda: not any(is_alive(member) for member in raw.family))


def test_jupyter_execute_runs_a_notebook_in_node1(machine, tmp_path):
    """`jupyter execute` (nbclient) runs a notebook of this kernelspec in a lab and writes its outputs."""
    cells = [nbformat.v4.new_code_cell("!hostname")]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "netkit", "display_name": "node1"}})
    path = tmp_path / "one.ipynb"
    nbformat.write(notebook, path)
    subprocess.run([sys.executable, "-m", "jupyter", "execute", "--inplace", path], check=True, capture_output=True)
    assert nbformat.read(path, 4).cells[0].outputs[0]["text"].split() == ["node1"]
