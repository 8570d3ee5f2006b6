"""A node's engine: given its images, started with its host, and started again when it ends, as the service of a machine is.

Three ends in ten seconds, and it has failed for good: the host says so with the engine's last words, and stays the host
it is. What is asked for on the host itself comes through the service's script (:mod:`netkit.laboratory.node`): a file says that
the engine is to stay down, a signal to the first process that it is to be looked after again, and a file tells the state.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable

from netkit.laboratory.inside import mounts, wire
from netkit.laboratory.inside import syscalls as sc
from netkit.laboratory.inside.agent import Loop

SOCKET = "/run/docker.sock"
LOG = "/run/engine.log"
STATE = "/run/netkit-engine.state"  # starting, ready, stopped, or failed and why
PID = "/run/netkit-engine.pid"
STOPPED = "/run/netkit-engine.stopped"  # there while the engine is to stay down
RUNC = "/run/netkit-runc/runc"
PING = b"GET /_ping HTTP/1.0\r\n\r\n"
PING_EVERY = 0.004  # seconds between two looks for the engine's socket
PATIENCE = 60.0  # seconds until an engine that does not answer is ended
RESTART_AFTER = 0.3  # seconds from an engine's end to its next beginning
ENDS, WITHIN = 3, 10.0  # so many ends in so many seconds are a failure


class Engine:
    """The engine of the calling host, on its :class:`~netkit.laboratory.inside.agent.Loop`.

    ``spec`` says how it is started: ``dockerd`` (path), ``sockets`` (URLs), ``environment``. ``tell`` is called with each new
    state, "starting", "ready", "stopped" or "failed", and with why.
    """

    def __init__(self, loop: Loop, spec: dict, tell: Callable[[str, str], object]) -> None:
        self._loop, self._spec, self._tell = loop, spec, tell
        self._pid: int | None = None
        self._answered = False
        self._logged = 0  # bytes of the log before the engine's present life
        self._ends: list[float] = []
        loop.on_signal(signal.SIGUSR1, self._asked)

    def start(self) -> None:
        """Start it now, unless it runs already or is to stay down; its first answer is told."""
        if self._pid is not None:
            return self._look()
        if os.path.exists(STOPPED):
            return self._change("stopped")
        self._change("starting")
        self._answered = False
        try:
            self._pid = pid = self._fork()
        except OSError as error:  # of descriptors, processes or space are too few: the host goes on without
            return self._try_again(f"dockerd could not be started: {wire.describe(error)}")
        self._loop.on_exit(pid, self._ended)
        self._loop.later(PATIENCE, lambda: self._give_up(pid))
        return self._look()

    def _change(self, state: str, why: str = "") -> None:
        with contextlib.suppress(OSError):  # a disk that is full, a /run that is gone: the lab knows all the same
            mounts.replace_file(STATE, f"{state}: {why}" if why else state)
        self._tell(state, why)

    def _fork(self) -> int:
        log = os.open(LOG, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self._logged = os.fstat(log).st_size
        pid = self._loop.fork()
        if pid == 0:
            try:
                os.setsid()
                os.dup2(log, 1)
                os.dup2(log, 2)
                os.closerange(3, 4096)
                hosts = [word for url in self._spec["sockets"] for word in ("--host", url)]
                os.execve(self._spec["dockerd"], [self._spec["dockerd"], *hosts], self._spec["environment"])
            finally:
                os._exit(127)
        os.close(log)
        with contextlib.suppress(OSError):
            mounts.replace_file(PID, str(pid))
        return pid

    def _look(self) -> None:
        """Look for the engine's answer again and again, without keeping the host from its work."""
        if self._pid is None:
            return
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(SOCKET)
            sock.sendall(PING)
        except OSError:
            sock.close()
            self._loop.later(PING_EVERY, self._look)
        else:
            self._loop.watch(sock, lambda: self._hear(sock))

    def _give_up(self, pid: int) -> None:
        if self._pid == pid and not self._answered:
            self._ends = [time.monotonic()] * ENDS
            os.kill(pid, signal.SIGKILL)

    def _hear(self, sock: socket.socket) -> None:
        self._loop.unwatch(sock)
        answer = b""
        with sock, contextlib.suppress(OSError):
            answer = sock.recv(64)
        if b" 200 " not in answer:
            return self._loop.later(PING_EVERY, self._look)
        if not self._answered:
            # a second dockerd, started by hand, would take the socket, find its data locked, and end: what something is mounted
            # on cannot be deleted (unlink(2), EBUSY)
            with contextlib.suppress(OSError):
                sc.mount(SOCKET, SOCKET, None, sc.MS_BIND)
        self._answered = True
        return self._change("ready")

    def _ended(self, status: int) -> None:
        self._pid = None
        with contextlib.suppress(OSError):
            sc.detach(SOCKET)
        self._try_again(f"dockerd ended with status {status}: {_last_words(self._logged)}")

    def _try_again(self, why: str) -> None:
        """After an end, or a start that came to nothing: start it in a moment, unless it is to stay down or has failed."""
        now = time.monotonic()
        self._ends = [when for when in (*self._ends, now) if when > now - WITHIN]
        if os.path.exists(STOPPED):
            self._change("stopped")
        elif len(self._ends) >= ENDS:
            self._change("failed", why)
        else:
            self._change("starting")
            self._loop.later(RESTART_AFTER, self.start)

    def _asked(self) -> None:
        """Somebody wants the engine to run: start it if it does not, and forget how often it has ended."""
        self._ends.clear()
        self.start()


def _last_words(since: int) -> str:
    """The engine's own last words, for a learner to read: those it ended with, of what it has logged from byte ``since`` on."""
    try:
        with open(LOG, "rb") as file:
            file.seek(since)
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        return "it left no log"
    # what it cannot start without is logged as fatal, or written plain before there is a log
    telling = [line for line in lines if "level=fatal" in line or "failed to start" in line or not line.startswith("time=")]
    return (telling or lines or ["it said nothing"])[-1][-600:]


def lay_seed(seed: str, data_root: str) -> None:
    """Put a seed's images into an engine's empty data directory; without a seed, do nothing.

    A *seed* is what an engine's data directory held after it had loaded the workshop's images once (see
    :mod:`netkit.laboratory.images`). Its small files are copied; the image layers stay where they are, read only and shared by
    all nodes of all labs: ``overlay2/ID/diff`` is a symbolic link, which dockerd follows as the lower directory of its overlay
    mounts and simply unlinks when an image is removed.
    """
    if os.path.isdir(seed + "/image"):
        copy_tree(seed + "/image", data_root + "/image")
        copy_tree(seed + "/overlay2", data_root + "/overlay2", linked="diff")


def copy_tree(source: str, target: str, linked: str | None = None) -> None:
    """Copy directories, files and symbolic links; modes are kept, owners are the caller's.

    Directories called ``linked`` are not copied: a symbolic link leads to them.
    """
    os.makedirs(target, exist_ok=True)
    os.chmod(target, os.stat(source).st_mode & 0o7777)  # mkdir(2) takes the umask's bits away, and the sticky one
    for entry in os.scandir(source):
        there = f"{target}/{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), there)
        elif entry.is_dir() and entry.name == linked:
            os.symlink(entry.path, there)
        elif entry.is_dir():
            copy_tree(entry.path, there, linked)
        else:
            with open(entry.path, "rb") as from_file, open(there, "wb") as to_file:
                to_file.write(from_file.read())
                os.fchmod(to_file.fileno(), entry.stat().st_mode & 0o7777)
