"""The Jupyter kernel that lives inside node1 of a lab of its own (of real machines: :mod:`netkit.operator.machines_kernel`).

``python -P -m netkit.kernel -f CONNECTION_FILE`` is what the kernelspec starts, with whatever else ipykernel takes. The process that the
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

import os
import sys

from netkit import put_workplace_last

if __name__ == "__main__":
    put_workplace_last()  # what is imported from here on is no file of a learner's

import argparse
import contextlib
import json
import resource
import select
import signal
import socket
from collections.abc import Sequence
from typing import NoReturn

from netkit.errors import LabError, NetkitError, said_at_the_end
from netkit.laboratory.inside import syscalls as sc
from netkit.laboratory.lab import Lab, Opening, begin_lab
from netkit.laboratory.spec import INVENTORY, Wishes, check_count, lab_environment
from netkit.places import spare_settings

NODE = "node1"
CONNECTION_FILE = "/run/netkit-kernel.json"
FILES, FILES_NEEDED = 1024, 128  # open at once: Linux's usual limit, and 80 for a kernel at rest with what a few cells open
FILES_TO_REFUSE = 64  # it can say why from 54 on


def main() -> None:
    """Open a lab, run a kernel in its node1, and end both together."""
    path, more = read_arguments(sys.argv[1:])
    connection = _read_connection(path)
    client = _watch_client()
    try:
        ensure_files()
        with ports_held(connection):
            sys.exit(_open_and_run(path, connection, more, client))
    except (NetkitError, OSError, ValueError) as error:
        print(f"netkit: {error}", file=sys.stderr)
        if not 0 <= resource.getrlimit(resource.RLIMIT_NOFILE)[0] < FILES_TO_REFUSE:  # below, libzmq would abort the process
            # every cell is to be answered with the reason, where at least that is possible
            with contextlib.suppress(Exception), said_at_the_end("the kernel that was to say so in the notebook"):
                from netkit import kernel_app

                kernel_app.run_refusal(["-f", path, *more], str(error))
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # ipykernel's own need what could not be had, perhaps
        sys.exit(1)


def read_arguments(words: Sequence[str]) -> tuple[str, list[str]]:
    """The connection file's absolute path, and the other arguments, which are ipykernel's.

    Exits with ipykernel's own words and status where it refuses those, or only answers (``--help``); with status 2 and a
    sentence where no connection file is named.
    """
    parser = argparse.ArgumentParser(prog="netkit.kernel", add_help=False, allow_abbrev=False)
    # as ipykernel spells it: an alias, with one dash or two, or the full name of the setting
    parser.add_argument("-f", "--f", "--IPKernelApp.connection_file", "--ConnectionFileMixin.connection_file", dest="file", default="")
    found, more = parser.parse_known_args(words)
    if more:  # before a lab is opened; without, ipykernel is imported while it opens
        from netkit import kernel_app

        kernel_app.check_arguments(more)
    if not found.file:
        _refuse("no connection file was named")
    return os.path.abspath(found.file), more


def _read_connection(path: str) -> dict:
    """What a connection file says; exits with status 2 and a sentence if it is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return {**json.load(file)}
    except (OSError, ValueError, TypeError) as error:  # TypeError: some JSON, but no object
        _refuse(f"{path} is no connection file that can be read ({error})")


def _refuse(why: str) -> NoReturn:
    print(f"netkit: {why}: a Jupyter client writes one and starts this with `-f FILE`; `netkit start` is such a client", file=sys.stderr)
    sys.exit(2)


def ensure_files() -> None:
    """Let a kernel open files as it needs them, as far as this process may say so (idempotent); raises LabError for too few."""
    now, most = (sys.maxsize if limit == resource.RLIM_INFINITY else limit for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    if most < FILES_NEEDED:
        raise LabError(
            f"a kernel needs {FILES_NEEDED} open files, and may have {most} here: raise the limit where Jupyter is started "
            "(`ulimit -n 1024`, and for good in /etc/security/limits.conf)"
        )
    if now < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, most), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def ports_held(connection: dict) -> contextlib.ExitStack:
    """Keep others from the ports of ``connection`` until ipykernel has bound them: they are held until what this returns is closed.

    The client found them free and closed them again (``jupyter_client.connect.write_connection_file``), and while a lab
    opens, any connection of this machine may be given one (seen twice in 1,400 starts, four at once). A socket that is
    bound and does not listen prevents that, and allows zmq's, as both set SO_REUSEADDR (socket(7)).

    ``connection`` is the content of a connection file.
    """
    held = contextlib.ExitStack()
    if connection.get("transport", "tcp") == "tcp":
        for port in (value for name, value in connection.items() if name.endswith("_port") and value):
            sock = held.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):  # taken already: ipykernel says so, with the address
                sock.bind((connection.get("ip", "127.0.0.1"), port))
    return held


def _open_and_run(path: str, connection: dict, more: Sequence[str], client: list[int]) -> int:
    """Open what the environment asks for, and run a kernel in it, with ``more`` arguments; returns the kernel's exit status."""
    if os.environ.get(INVENTORY):
        from netkit.operator.machines_kernel import serve

        return serve(["-f", path, *more], client)
    text = os.environ.get("NETKIT_NODES", "2")
    nodes = check_count(int(text) if text.isdecimal() else 0)
    # over ipc the client looks for the sockets' files, so their directory has to stay the same
    keep = (os.path.dirname(path),) if connection.get("transport") == "ipc" else ()
    opening = begin_lab(Wishes(nodes, 1, keep, os.path.basename(os.environ.get("JPY_SESSION_NAME", ""))))
    from netkit import kernel_app  # ipykernel takes as long to import as the engines to start

    return _run(opening, kernel_app, connection, more, client)


def _watch_client() -> list[int]:
    """pidfds that become readable when the client ends: the parent, and the server it names.

    Ends this process at once if the server that started it has ended already.
    """
    try:
        return [os.pidfd_open(pid) for pid in {os.getppid(), int(os.environ.get("JPY_PARENT_PID") or os.getppid())}]
    except ProcessLookupError:
        sys.exit("netkit: the server that started this kernel has gone")


def _run(opening: Opening, kernel_app, connection: dict, more: Sequence[str], client: list[int]) -> int:
    """Fork the kernel into the lab and wait for the end of either, or of the client; returns the kernel's exit status."""
    lab = opening.wait_reachable(NODE)
    go_read, go_write = os.pipe2(os.O_CLOEXEC)
    me = os.pidfd_open(os.getpid())
    child = os.fork()
    if child == 0:
        os.close(go_write)
        opening.disown()
        _enter_and_serve(lab, kernel_app, connection, more, go_read, me)
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
        while True:
            ready, _, _ = select.select([ended, opening, *client], [], [])
            if ended in ready:
                return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF
            if any(fd in ready for fd in client) or opening.is_over():
                return 1
    finally:
        opening.close()  # and with node1, the kernel


def _enter_and_serve(lab: Lab, kernel_app, connection: dict, more: Sequence[str], go: int, launcher: int) -> None:
    """In the forked child: enter node1, fork the kernel there, and see that it is reaped.

    A PID namespace cannot end before every process in it has been waited for. The kernel's parent is
    outside of node1, so it must outlive a launcher that is killed, or init would have to do it.
    """
    status = 1
    try:
        os.setsid()  # a client that kills the launcher kills its process group
        cwd = os.getcwd()
        namespaces = f"/proc/{lab[NODE].pid}/ns"
        files = {name: os.open(f"{namespaces}/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in ("user", "pid", "mnt", "uts", "ipc", "net")}
        sc.setns(files["user"], sc.NEWUSER)
        sc.setns(files["pid"], sc.NEWPID)
        kernel = os.fork()
        if kernel == 0:
            sc.die_with_parent()
            _serve(files, cwd, kernel_app, connection, more, go)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        ended = os.pidfd_open(kernel)
        if launcher in select.select([ended, launcher], [], [])[0]:
            os.kill(kernel, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(kernel, 0)[1])
    finally:
        os._exit(status & 0xFF)


def _serve(files: dict[str, int], cwd: str, kernel_app, connection: dict, more: Sequence[str], go: int) -> None:
    """In node1's PID namespace: join its others, and be the kernel until the client says so."""

    def join_network() -> None:
        sc.setns(files["net"], sc.NEWNET)
        for fd in files.values():
            os.close(fd)

    status = 1
    try:
        with said_at_the_end(f"the kernel in {NODE}"):
            os.setsid()  # an interrupt reaches the kernel's whole process group, and nothing else
            os.setgroups([])
            for name, kind in (("uts", sc.NEWUTS), ("ipc", sc.NEWIPC), ("mnt", sc.NEWNS)):
                sc.setns(files[name], kind)
            sc.die_with_parent()
            os.chdir(cwd)  # joining a mount namespace led to its root
            _set_environment()
            with open(os.open(CONNECTION_FILE, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump(connection, file)
            kernel_app.run_kernel(["-f", CONNECTION_FILE, *more], join_network, lambda: bool(os.read(go, 1)), _set_environment)
        status = 0
    finally:
        sys.stdout.flush()
        os._exit(status)


def _set_environment() -> None:
    """Leave nothing in this process's environment that leads out of the lab (idempotent)."""
    environment = lab_environment(dict(os.environ)) | spare_settings() | {"NETKIT_NODE": NODE}
    os.environ.clear()
    os.environ.update(environment)


if __name__ == "__main__":
    main()
