"""From the process that opens a lab to the lab's own first process.

Three processes, each for one reason:

- the *holder* stays in the machine's PID namespace, watches whoever opened the lab and ends it with
  them: a process that changes its PID namespace cannot be in it itself, only its children can;
- a short-lived *mapper* writes the identity maps of the inner user namespace, which takes a
  process of the outer one;
- the lab's *PID 1*: when it ends, the kernel ends every process of the lab.

There are two user namespaces, one inside the other. What the outer one mounts read-only (the
prepared images, shared by all labs of a user) is locked: not even root of the inner one, where all
hosts live, can make it writable (user_namespaces(7), mount_namespaces(7)).
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import sys

from netkit.lab.inside import mounts, wire
from netkit.lab.inside import syscalls as sc

NAMESPACES = sc.NEWNS | sc.NEWPID | sc.NEWUTS | sc.NEWIPC | sc.NEWNET
GRACE = 5.0  # seconds a killed lab's processes may take to be gone


def main() -> None:
    """Entry point: ``argv`` holds the control socket's number and the opener's pidfd."""
    control = socket.socket(fileno=int(sys.argv[1]))
    opener = int(sys.argv[2])
    sc.set_process_name("netkit-holder")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at the learner's terminal is not for the lab
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    received = wire.receive(control)
    if received is None:
        return
    spec = received[0]
    try:
        pid = _enter(control, spec)
    except OSError as error:
        _report(control, error)
        return
    if pid:
        _hold(pid, opener, spec["cgroup"])


def _report(control: socket.socket, error: BaseException) -> None:
    try:
        wire.send(control, {"event": "failed", "why": wire.describe(error)})
    except OSError:
        pass  # nobody is left to hear it


def _enter(control: socket.socket, spec: dict) -> int:
    """Make the lab's namespaces and fork its PID 1; returns its pid, in the holder alone."""
    if spec["cgroup"]:
        _join_cgroup(spec["cgroup"])
    elif spec["public"]["mode"] == "user":
        limit_processes(spec["max_processes"])
    sc.unshare(sc.NEWUSER)
    wire.send(control, {"event": "map", "pid": os.getpid()})
    if wire.receive(control) is None:
        raise wire.Trouble("the process that opened the lab has gone")
    os.setgroups([])
    sc.unshare(sc.NEWNS)
    mounts.make_private()
    sc.mount("tmpfs", "/run", "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "size=64m,mode=755")
    os.makedirs(mounts.SHARED + "/seed")
    if spec["seed"]:
        # opened by the caller before /run was covered, in case the cache lives below it
        sc.mount(spec["seed"], mounts.SHARED + "/seed", None, sc.MS_BIND)
        sc.set_readonly(mounts.SHARED + "/seed")
    _unshare_nested(sc.NEWUSER | NAMESPACES)
    pid = os.fork()
    if pid == 0:
        _first_process(control, spec)
    wire.send(control, {"event": "born", "pid": pid})
    control.close()  # from here on, only PID 1 speaks for the lab
    return pid


def _unshare_nested(flags: int) -> None:
    """Enter a user namespace inside the present one, with the same identities in both."""
    maps = {name: _identity(f"/proc/self/{name}") for name in ("uid_map", "gid_map")}
    me = os.getpid()
    go_read, go_write = os.pipe2(os.O_CLOEXEC)
    mapper = os.fork()
    if mapper == 0:
        os.close(go_write)
        try:
            if os.read(go_read, 1):
                for name, text in maps.items():
                    with open(f"/proc/{me}/{name}", "w", encoding="ascii") as file:
                        file.write(text)
            os._exit(0)
        except BaseException:
            os._exit(1)
    sc.unshare(flags)
    os.write(go_write, b"1")
    os.close(go_read)
    os.close(go_write)
    if os.waitpid(mapper, 0)[1]:
        raise wire.Trouble("the inner user namespace could not be given its identities")


def _identity(path: str) -> str:
    """An identity map with the ranges that a map file names: inside = inside."""
    with open(path, encoding="ascii") as file:
        ranges = [line.split() for line in file]
    return "".join(f"{inside} {inside} {count}\n" for inside, _, count in ranges)


def _first_process(control: socket.socket, spec: dict) -> None:
    """In the lab's PID 1: serve until the end, and never return into the holder's code."""
    try:
        sc.die_with_parent()
        from netkit.lab.inside.first import serve  # only PID 1 needs it

        serve(control, spec)
    except BaseException as error:
        _report(control, error)
    finally:
        os._exit(0)


def _hold(pid: int, opener: int, cgroup: str | None) -> None:
    """Wait for the lab's end or the opener's, and end the lab with the latter."""
    sc.set_process_name("netkit-holder")
    lab = os.pidfd_open(pid)
    select.select([lab, opener], [], [])
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    select.select([lab], [], [], GRACE)
    if cgroup:
        remove_cgroup(cgroup)
    os.waitpid(pid, 0)


def limit_processes(most: int) -> None:
    """Bound the processes of the calling process's user in its lab (setrlimit(2), RLIMIT_NPROC)."""
    bounds = [value for value in (*resource.getrlimit(resource.RLIMIT_NPROC), most) if value != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_NPROC, (min(bounds), min(bounds)))


def _join_cgroup(path: str) -> None:
    """Put this process, and so the whole lab, under the pids limit made for it."""
    with open(path + "/cgroup.procs", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))


def remove_cgroup(path: str) -> None:
    """Leave and remove the lab's control group, if it is there (idempotent)."""
    try:
        with open(os.path.dirname(path) + "/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
        os.rmdir(path)
    except OSError:
        pass  # gone already, or still busy: whoever opened the lab tries again
