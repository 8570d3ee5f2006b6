"""The Jupyter kernel that lives inside node1 of a lab of its own (of real machines: :mod:`netkit.machines.kernel`).

``python -m netkit.kernel -f CONNECTION_FILE`` is what the kernelspec starts. The process that the
client starts stays outside: it opens the lab, and ends it when the kernel or the client ends. Its
child joins node1's namespaces in an order each step of which has its reason:

1. user and PID namespaces, then a fork: only children enter a PID namespace (setns(2));
2. mount, UTS and IPC namespaces, while there is one thread: threads share their root directory;
3. ipykernel binds its sockets in the machine's network namespace, where the client will look;
4. then the network namespace, before ipykernel starts any thread that may run a learner's code. A
   socket stays in the namespace it was made in, a thread in the one its creator was in.

The heartbeat's thread is started before step 4, so that it binds where the client looks.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator

from netkit.errors import NetkitError, said_at_the_end
from netkit.lab.current import INVENTORY
from netkit.lab.inside import syscalls as sc
from netkit.lab.lab import Lab, Opening, begin_lab
from netkit.lab.spec import Wishes, check_count, lab_environment

NODE = "node1"
CONNECTION_FILE = "/run/netkit-kernel.json"
DEFAULT_NODES = 2


def main() -> None:
    """Open a lab, run a kernel in its node1, and end both together."""
    parser = argparse.ArgumentParser(prog="netkit.kernel")
    parser.add_argument("-f", required=True, dest="connection_file", help="the connection file the client wrote")
    path = os.path.abspath(parser.parse_args().connection_file)
    client = _watch_client()
    try:
        with open(path, encoding="utf-8") as file:
            connection = file.read()
        with ports_held(json.loads(connection)):
            status = _open_and_run(path, connection, client)
    except (NetkitError, OSError, ValueError) as error:
        from netkit import kernel_app

        print(f"netkit: {error}", file=sys.stderr)
        kernel_app.run_refusal(path, str(error))
        status = 1
    sys.exit(status)


@contextlib.contextmanager
def ports_held(connection: dict) -> Iterator[None]:
    """Keep others from the ports of ``connection`` until ipykernel has bound them.

    The client found them free and closed them again (``jupyter_client.connect.write_connection_file``), and while a lab
    opens, any connection of this machine may be given one (seen twice in 1,400 starts, four at once). A socket that is
    bound and does not listen prevents that, and allows zmq's, as both set SO_REUSEADDR (socket(7)).

    ``connection`` is the content of a connection file.
    """
    with contextlib.ExitStack() as held:
        if connection.get("transport", "tcp") == "tcp":
            for port in (value for name, value in connection.items() if name.endswith("_port") and value):
                sock = held.enter_context(socket.socket())
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with contextlib.suppress(OSError):  # taken already: ipykernel says so, with the address
                    sock.bind((connection.get("ip", "127.0.0.1"), port))
        yield


def _open_and_run(path: str, connection: str, client: list[int]) -> int:
    """Open what the environment asks for, and run a kernel in it; returns the kernel's exit status."""
    if os.environ.get(INVENTORY):
        from netkit.machines.kernel import serve

        return serve(path, client)
    opening = begin_lab(_read_wishes(path, connection))
    from netkit import kernel_app  # ipykernel takes as long to import as the engines to start

    return _run(opening, kernel_app, connection, client)


def _read_wishes(path: str, connection: str) -> Wishes:
    """What this kernel's lab is to have; raises NetkitError for a bad number of nodes."""
    text = os.environ.get("NETKIT_NODES", str(DEFAULT_NODES))
    nodes = check_count(int(text) if text.isdecimal() else 0)
    # over ipc the client looks for the sockets' files, so their directory has to stay the same
    keep = (os.path.dirname(path),) if json.loads(connection).get("transport") == "ipc" else ()
    return Wishes(nodes, 1, keep, os.path.basename(os.environ.get("JPY_SESSION_NAME", "")))


def _watch_client() -> list[int]:
    """pidfds that become readable when the client ends: the parent, and the server it names.

    Ends this process at once if the server that started it has ended already.
    """
    try:
        return [os.pidfd_open(pid) for pid in {os.getppid(), int(os.environ.get("JPY_PARENT_PID") or os.getppid())}]
    except ProcessLookupError:
        sys.exit("netkit: the server that started this kernel has gone")


def _run(opening: Opening, kernel_app, connection: str, client: list[int]) -> int:
    """Fork the kernel into the lab and wait for the end of either, or of the client."""
    lab = opening.wait_reachable(NODE)
    go_read, go_write = os.pipe2(os.O_CLOEXEC)
    me = os.pidfd_open(os.getpid())
    child = os.fork()
    if child == 0:
        os.close(go_write)
        opening.disown()
        _enter_and_serve(lab, kernel_app, connection, go_read, me)
    os.close(go_read)
    os.close(me)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # interrupts come as messages, and to the kernel
    try:
        ended = os.pidfd_open(child)
        opening.wait(opening.is_ready, unless=[ended, *client])
        with contextlib.suppress(BrokenPipeError):  # a kernel that has ended already: said below
            os.write(go_write, b"1")
        return _wait(opening, child, ended, client)
    finally:
        opening.close()  # and with node1, the kernel


def _wait(opening: Opening, child: int, ended: int, client: list[int]) -> int:
    """Until the kernel, the lab or the client ends; returns the kernel's exit status."""
    while True:
        ready, _, _ = select.select([ended, opening, *client], [], [])
        if ended in ready:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF
        if any(fd in ready for fd in client) or opening.is_over():
            return 1


def _enter_and_serve(lab: Lab, kernel_app, connection: str, go: int, launcher: int) -> None:
    """In the forked child: enter node1, fork the kernel there, and see that it is reaped.

    A PID namespace cannot end before every process in it has been waited for. The kernel's parent is
    outside of node1, so it must outlive a launcher that is killed, or init would have to do it.
    """
    status = 1
    try:
        os.setsid()  # a client that kills the launcher kills its process group
        cwd = os.getcwd()
        files = _open_namespaces(lab[NODE].pid)
        sc.setns(files["user"], sc.NEWUSER)
        sc.setns(files["pid"], sc.NEWPID)
        kernel = os.fork()
        if kernel == 0:
            sc.die_with_parent()
            _serve(files, cwd, kernel_app, connection, go)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        ended = os.pidfd_open(kernel)
        if launcher in select.select([ended, launcher], [], [])[0]:
            os.kill(kernel, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(kernel, 0)[1])
    finally:
        os._exit(status & 0xFF)


def _open_namespaces(pid: int) -> dict[str, int]:
    return {name: os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in ("user", "pid", "mnt", "uts", "ipc", "net")}


def _serve(files: dict[str, int], cwd: str, kernel_app, connection: str, go: int) -> None:
    """In node1's PID namespace: be the kernel, until the client says so."""
    status = 1
    try:
        with said_at_the_end(f"the kernel in {NODE}"):
            _join(files, cwd, connection)
            kernel_app.run_kernel(CONNECTION_FILE, lambda: _join_network(files), lambda: bool(os.read(go, 1)))
        status = 0
    finally:
        sys.stdout.flush()
        os._exit(status)


def _join(files: dict[str, int], cwd: str, connection: str) -> None:
    """Join node1's namespaces but the network's, with the environment of a lab and the client's ``connection`` in a file."""
    os.setsid()  # an interrupt reaches the kernel's whole process group, and nothing else
    os.setgroups([])
    for name, kind in (("uts", sc.NEWUTS), ("ipc", sc.NEWIPC), ("mnt", sc.NEWNS)):
        sc.setns(files[name], kind)
    sc.die_with_parent()
    os.chdir(cwd)  # joining a mount namespace led to its root
    environment = lab_environment(dict(os.environ)) | {"NETKIT_NODE": NODE}
    os.environ.clear()
    os.environ.update(environment)
    with open(os.open(CONNECTION_FILE, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(connection)


def _join_network(files: dict[str, int]) -> None:
    sc.setns(files["net"], sc.NEWNET)
    for fd in files.values():
        os.close(fd)


if __name__ == "__main__":
    main()
