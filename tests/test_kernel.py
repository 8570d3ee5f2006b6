"""The notebook's kernel is inside node1, and its lab lives exactly as long as it does."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
import zmq
from jupyter_client.connect import write_connection_file

from netkit.kernel import ports_held
from netkit.labs import find_labs
from tests.kernels import execute, kernel, launcher, wait_for
from tests.machine import is_alive
from tests.patience import patiently


@pytest.fixture(scope="module")
def client():
    """A kernel for tests that only look."""
    with kernel() as (_, opened):
        yield opened


def test_the_kernel_is_node1(client):
    """hostname, docker, ip and the process list are node1's, for Python and for shell commands alike."""
    assert execute(client, "import os, socket; print(os.uname().nodename, socket.gethostname())") == "node1 node1\n"
    assert execute(client, "!hostname").split() == ["node1"]
    assert execute(client, "%%bash\ndocker info --format '{{.Name}}'").split() == ["node1"]
    assert "192.168.59.1/24" in execute(client, "!ip -br addr")
    assert execute(client, "import subprocess; print(subprocess.check_output(['hostname'], text=True))").split() == ["node1"]


def test_a_figure_as_a_last_line_is_shown(client):
    """What ``draw`` returns appears as a picture, with a text that does not depend on fonts."""
    look = "import netkit; data, _ = get_ipython().display_formatter.format(netkit.capture('node1').draw())\n"
    assert execute(client, look + "print(sorted(data), data['text/plain'])") == "['image/png', 'text/plain'] <Figure>\n"


def test_a_client_that_is_not_waited_for_is_no_error(client):
    """The line that Docker's older clients write now and then after a good `docker run -d` is left out; all else stays."""
    line = 'time="2026-01-01T00:00:00Z" level=error msg="error waiting for container: %s"'
    say = f"%%bash\nprintf '%s\\n' before '{line % 'context canceled'}' '{line % 'no such container'}' after >&2"
    assert execute(client, say).split("\n") == ["before", line % "no such container", "after", ""]
    assert execute(client, f"%%bash\nprintf '%s\\n' '{line % 'context canceled'}' >&2") == ""


def test_every_thread_that_runs_code_is_in_the_lab(client):
    """The main thread, new threads and ipykernel's subshells see node1's network."""
    look = "import os; print(os.readlink('/proc/thread-self/ns/net') == os.readlink('/proc/1/ns/net'))"
    assert execute(client, look) == "True\n"
    assert execute(client, f"import threading; t = threading.Thread(target=lambda: exec({look!r})); t.start(); t.join()") == "True\n"
    client.control_channel.send(client.session.msg("create_subshell_request"))
    subshell = client.get_control_msg(timeout=patiently())["content"]["subshell_id"]
    message = client.session.msg(
        "execute_request", {"code": look + "; import threading; print(threading.current_thread().name)", "silent": False}
    )
    message["header"]["subshell_id"] = subshell
    client.shell_channel.send(message)
    written = ""
    while "\n" not in written or "subshell" not in written:
        heard = client.get_iopub_msg(timeout=patiently())
        written += heard["content"].get("text", "") if heard["msg_type"] == "stream" else ""
    assert written.startswith("True\n")


def test_widget_callbacks_run_in_the_lab(client):
    """A message of a widget, as the front end sends it, is handled inside node1."""
    made = execute(
        client,
        "import ipywidgets, os, socket; seen = []\n"
        "button = ipywidgets.Button(); button.on_click(lambda _: seen.append((socket.gethostname(), os.path.exists('/sys/class/net/docker0'))))\n"
        "print(button.comm.comm_id)",
    ).strip()
    custom = {"comm_id": made, "data": {"method": "custom", "content": {"event": "click"}}}
    client.shell_channel.send(client.session.msg("comm_msg", custom))
    assert wait_for(lambda: "node1" in execute(client, "print(seen)"))
    assert execute(client, "print(seen)") == "[('node1', True)]\n"


def test_the_heartbeat_beats(client):
    """The client's heartbeat is answered, from sockets in the machine's network."""
    client.hb_channel.unpause()
    assert wait_for(client.hb_channel.is_beating)


def test_another_node_is_one_cell_away(client):
    """%%on runs a cell elsewhere, streams what it writes, and raises on failure unless told not to."""
    assert execute(client, "%%on node2\nhostname; docker info --format '{{.Name}}'") == "node2\nnode2\n"
    assert execute(client, "%%on outside\nhostname") == "outside\n"
    assert "CommandError: on node2, `exit 3` ended with status 3" in execute(client, "%%on node2\nexit 3")
    assert execute(client, "%%on --no-raise node2\nexit 3").strip() == "3"
    assert "this lab has no host 'node7': it has node1, node2, outside" in execute(client, "%%on node7\ntrue")
    assert execute(client, "import netkit; print(netkit.lab()['node2'].docker.info()['Name'])") == "node2\n"


def test_output_of_another_node_comes_as_it_is_written(client):
    """A cell on another node does not keep its first line until its last."""
    times = []
    client.execute_interactive(
        "%%on node2\necho one; sleep 0.6; echo two",
        timeout=patiently(),
        output_hook=lambda message: times.append(time.monotonic()) if message["msg_type"] == "stream" else None,
    )
    assert len(times) >= 2 and times[-1] - times[0] > 0.3


def test_an_interrupt_ends_the_cell_and_not_the_lab(client):
    """Interrupting a cell that runs here or on another node ends that command; the next cell runs."""

    def runs(command: str) -> bool:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has ended
                if process.cmdline() == command.split():
                    return True
        return False

    python = "import subprocess, time; subprocess.Popen(['sleep', '60'])\ntime.sleep(60)"
    for code, begun, trace in (
        (python, "sleep 60", None),
        ("!sleep 61", "sleep 61", "sleep 61"),
        ("%%on node2\nsleep 62", "sleep 62", None),
    ):
        message = client.execute(code)
        assert wait_for(lambda begun=begun: runs(begun))
        client.control_channel.send(client.session.msg("interrupt_request"))
        assert client.get_shell_msg(timeout=patiently())["parent_header"]["msg_id"] == message
        if trace:
            assert execute(client, f"!pgrep -f -x '{trace}' | wc -l").split() == ["0"]
    assert wait_for(lambda: execute(client, "netkit.lab()['node2'].run('pgrep -x sleep', check=False).status").strip() == "1")
    assert execute(client, "print(1 + 1)") == "2\n"


def test_a_restart_is_a_factory_reset(machine):
    """After a restart, what was made in the lab is gone, and the old lab is, too."""
    with kernel() as (manager, client):
        execute(client, "!docker network create mine; touch /tmp/mark")
        (first,) = (lab.id for lab in find_labs() if lab.facts["opener"] == launcher(manager).pid)
        manager.restart_kernel(now=False)
        client.wait_for_ready(timeout=patiently())
        left = execute(client, "%%bash\ndocker network ls --format '{{.Name}}' | sort; ls /tmp/mark 2>/dev/null; true")
        assert left.split() == ["bridge", "host", "none"]
        assert wait_for(lambda: first not in {lab.id for lab in find_labs()})


def test_a_shutdown_ends_the_lab(machine):
    """Shutting a kernel down politely leaves nothing."""
    with kernel() as (manager, client):
        execute(client, "!docker run -d busybox sleep 1000")
        process = launcher(manager)
        client.shutdown()
        assert wait_for(lambda: not is_alive(process))


LATE = """
import sys, threading, time
app = get_ipython().kernel.parent
iopub = app.iopub_thread.io_loop
flush, reset, close = sys.stdout.flush, app.reset_io, iopub.close

def flush_late():
    time.sleep(0.6 if threading.current_thread().name == "Control" else 0)
    flush()

sys.stdout.flush = flush_late
app.reset_io = lambda: (time.sleep(0.3), reset())
iopub.close = lambda **options: (time.sleep(1), close(**options))
"""


def test_a_shutdown_ends_the_lab_when_the_control_thread_is_late(machine):
    """A kernel that has still to say "idle" when its main thread stops ends before clients lose patience and kill it."""
    with kernel() as (manager, client):
        execute(client, LATE)
        process = launcher(manager)
        client.shutdown()
        assert wait_for(lambda: not is_alive(process))


def test_the_clients_ports_are_kept_for_the_kernel(tmp_path):
    """From its first moment on, a kernel's ports are given to no other program of this machine, and to zmq all the same."""
    _, connection = write_connection_file(str(tmp_path / "connection.json"), key=b"key")
    ports = [value for name, value in connection.items() if name.endswith("_port")]
    with ports_held(connection), zmq.Context() as context, context.socket(zmq.ROUTER) as sock:
        assert len(ports) == 5 and not any(can_bind(port) for port in ports)
        sock.bind(f"tcp://127.0.0.1:{ports[0]}")
    assert wait_for(lambda: all(can_bind(port) for port in ports))


def can_bind(port: int) -> bool:
    """Whether another program would get ``port``."""
    with socket.socket() as sock, contextlib.suppress(OSError):
        sock.bind(("127.0.0.1", port))
        return True
    return False


def test_a_kernel_that_cannot_start_says_why(machine, tmp_path):
    """A port that somebody else has taken since the client chose it is named, as is the kernel that wanted it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path, _ = write_connection_file(str(tmp_path / "connection.json"), shell_port=taken.getsockname()[1], key=b"key")
        done = subprocess.run([sys.executable, "-m", "netkit.kernel", "-f", path], capture_output=True, text=True, timeout=patiently())
    assert done.returncode == 1
    assert re.fullmatch(r"netkit: the kernel in node1 ended: ZMQError: Address already in use .*\n", done.stderr), done.stderr


def test_the_labs_end_is_the_kernels_end(machine):
    """A kernel whose lab has been killed ends, so that its client can say so."""
    with kernel() as (manager, _):
        lab = next(found for found in find_labs() if found.facts["opener"] == manager.provisioner.pid)
        os.kill(lab.pid, signal.SIGKILL)
        assert wait_for(lambda: not manager.is_alive())


SERVER = f"""
import time
from jupyter_client.manager import KernelManager
manager = KernelManager(kernel_name="netkit")
manager.start_kernel()
client = manager.client(); client.start_channels(); client.wait_for_ready(timeout={patiently()})
print(manager.provisioner.pid, manager.connection_file, flush=True)
time.sleep(600)
"""


def test_the_servers_death_ends_the_lab(machine):
    """When the process that started the kernel is killed, the lab and the kernel go with it."""
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    pid, connection = server.stdout.readline().split()
    process = psutil.Process(int(pid))
    family = [process, *process.children(recursive=True)]
    assert len(family) > 8
    server.kill()
    server.wait()
    server.stdout.close()
    gone = wait_for(lambda: not any(is_alive(member) for member in family))
    os.unlink(connection)
    assert gone


def test_without_a_lab_the_kernel_says_why(machine):
    """Where no lab can be opened, every cell answers with the reason, and nothing runs on the machine."""
    with kernel(env={**os.environ, "NETKIT_ENGINE": "/nowhere"}) as (_, client):
        said = execute(client, "open('/tmp/should-not-be', 'w')")
        assert said.startswith("LabError: /nowhere is no directory: install one")
        assert not os.path.exists("/tmp/should-not-be")


LATE = """
import threading
flag, looked = get_ipython().history_manager.save_thread.save_flag, threading.Event()
clear = flag.clear
def clear_late():
    looked.set()
    threading.Event().wait(0.3)
    clear()
flag.clear = clear_late
flag.set()
looked.wait()
!echo done
"""


def test_a_command_does_not_wait_for_the_history_for_ever(client):
    """IPython's thread that saves the history is told to stop in the moment before it waits again: the command runs all the same."""
    assert execute(client, LATE, timeout=10).strip() == "done"
