"""From the process that opens a lab to the lab's own first process.

Four processes, each for one reason:

- the *holder* stays outside of everything, with the rights of whoever opened the lab. It ends the
  lab with its opener, however that one ends, and takes away the lab's control group;
- the *entrance* makes the namespaces. It cannot enter the new PID namespace itself, only its
  children can (unshare(2));
- a short-lived *mapper* writes the identity maps of the inner user namespace, which takes a
  process of the outer one;
- the lab's *PID 1*: when it ends, the kernel ends every process of the lab.

There are two user namespaces, one inside the other. What the outer one mounts read-only (the
prepared images, shared by all labs of a user) is locked: not even root of the inner one, where all
hosts live, can make it writable (user_namespaces(7), mount_namespaces(7)).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator

from netkit.laboratory.inside import covers, limits, mounts, wire
from netkit.laboratory.inside import syscalls as sc

NAMESPACES = sc.NEWNS | sc.NEWPID | sc.NEWUTS | sc.NEWIPC | sc.NEWNET


def main() -> None:
    """Entry point: ``argv`` holds the control socket's number and the opener's pidfd."""
    control = socket.socket(fileno=int(sys.argv[1]))
    opener = int(sys.argv[2])
    sc.set_process_name("netkit-holder")
    os.umask(0o022)  # a host's files have the modes of a machine's, whatever its opener's umask is
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C at the learner's terminal is not for the lab
    received = wire.receive(control)
    if received is None:
        return
    spec = received[0]
    sc.adopt_orphans()
    # the holder makes the group itself, so that there is no moment at which nobody would remove it
    cgroup = limits.bound_processes(spec["public"]["id"], spec["max_processes"])
    try:
        entrance = os.fork()
        if entrance == 0:
            with _ending(control):
                sc.set_process_name("netkit-entry")
                sc.die_with_parent()
                if cgroup:
                    limits.join_cgroup(cgroup)
                os.waitpid(_enter(control, spec), 0)
        control.close()  # from here on, only the lab speaks for itself
        _hold(entrance, opener)
    finally:
        if cgroup:
            limits.remove_cgroup(spec["public"]["id"])


def _hold(entrance: int, opener: int) -> None:
    """Wait for the lab's end or the opener's; with the latter, end the lab, and see that it is gone."""
    select.select([os.pidfd_open(entrance), opener], [], [])
    with contextlib.suppress(ProcessLookupError):
        os.kill(entrance, signal.SIGKILL)  # PID 1, its child, is then killed by the kernel
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)  # the entrance, and PID 1, which this process has inherited


@contextlib.contextmanager
def _ending(control: socket.socket) -> Iterator[None]:
    """In a forked child: end with this block, never to return into the parent's code, and tell what went wrong."""
    try:
        yield
    except BaseException as error:
        wire.tell(control, {"event": "failed", "why": wire.describe(error)})
    finally:
        os._exit(0)


def _enter(control: socket.socket, spec: dict) -> int:
    """Make the lab's namespaces and fork its PID 1; returns its pid."""
    listeners = covers.find_listeners()
    sc.unshare(sc.NEWUSER)
    sc.die_with_parent()  # new credentials have forgotten the first request
    wire.send(control, {"event": "map", "pid": os.getpid()})
    if wire.receive(control) is None:
        raise wire.Trouble("the process that opened the lab has gone")
    os.setgroups([])
    sc.unshare(sc.NEWNS)
    mounts.make_private()
    seed = os.open(spec["seed"], os.O_PATH | os.O_CLOEXEC) if spec["seed"] else None  # before /run is covered: the cache may be there
    kept = mounts.open_kept(spec["keep"], ("/run",))
    sc.mount("tmpfs", "/run", "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "size=64m,mode=755")
    os.makedirs(mounts.SHARED + "/seed")
    if seed is not None:
        sc.mount(f"/proc/self/fd/{seed}", mounts.SHARED + "/seed", None, sc.MS_BIND)
        sc.set_readonly(mounts.SHARED + "/seed")
        os.close(seed)
    mounts.bind_kept(kept)
    covers.cover(spec["homes"], listeners, spec["keep"])
    _unshare_nested(sc.NEWUSER | NAMESPACES)
    sc.die_with_parent()
    pid = os.fork()
    if pid == 0:
        with _ending(control):
            sc.die_with_parent()
            from netkit.laboratory.inside.first import First  # only PID 1 needs it

            First(control, spec).run()
    wire.send(control, {"event": "born", "pid": pid})
    control.close()  # from here on, only PID 1 speaks for the lab
    return pid


def _unshare_nested(flags: int) -> None:
    """Enter a user namespace inside the present one, with the same identities in both."""
    maps = {}
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/self/{name}", encoding="ascii") as file:
            maps[name] = "".join(f"{inside} {inside} {count}\n" for inside, _, count in map(str.split, file))
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
