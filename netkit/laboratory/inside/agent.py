"""The agent of a host: runs commands there for whoever reaches its socket.

One connection is one command. The request carries the command's three standard file descriptors,
so its output goes straight to whoever asked; or none, and then the command gets a terminal of its
own, whose master side is sent back. A connection that closes hangs up on the command, as a closed
ssh session would.

    client → {"argv": […], "cwd": …, "env": {…}, "tty": false}  + fds 0, 1, 2
    agent  → {"pid": 17}                                       (+ the terminal's master side)
    client → {"signal": 2}                                     any number of times
    agent  → {"status": 0}
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import selectors
import signal
import socket
import termios
import time
from collections.abc import Callable

from netkit.laboratory.inside import wire

HANGUP_PATIENCE = 0.5  # seconds from SIGHUP to SIGKILL


class Loop:
    """Sockets to watch, children to wait for: the whole life of a first process.

    Callbacks are single-threaded; a child's callback gets its exit status the way a shell counts
    it (128 + signal number for a killed one).
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._signals: dict[int, Callable[[], None]] = {}
        self.running = True
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.watch(wake_read, lambda: self._wake(os.read(wake_read, 4096)))

    def watch(self, file: int | socket.socket, callback: Callable[[], object]) -> None:
        """Call ``callback`` whenever ``file`` can be read."""
        self._selector.register(file, selectors.EVENT_READ, callback)

    def unwatch(self, file: int | socket.socket) -> None:
        """Stop watching a file, before it is closed."""
        self._selector.unregister(file)

    def on_exit(self, pid: int, callback: Callable[[int], None]) -> None:
        """Call ``callback`` with the exit status of child ``pid``."""
        self._children[pid] = callback

    def on_signal(self, number: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` when this process gets signal ``number``; as with all callbacks, between two others."""
        self._signals[number] = callback
        signal.signal(number, lambda *_: None)

    def waits_for(self, pid: int) -> bool:
        """Whether child ``pid`` has yet to end."""
        return pid in self._children

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` once, after some seconds."""
        self._timers.append((time.monotonic() + seconds, callback))

    def fork(self) -> int:
        """fork(2); the child has default signals and none of the loop's descriptors beyond exec."""
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, *self._signals):
                signal.signal(number, signal.SIG_DFL)
        return pid

    def run(self) -> None:
        """Serve until :attr:`running` is cleared."""
        while self.running:
            soonest = min((when for when, _ in self._timers), default=None)
            for key, _ in self._selector.select(None if soonest is None else max(0.0, soonest - time.monotonic())):
                if key.fileobj in self._selector.get_map():
                    key.data()
            self._reap()
            due = [timer for timer in self._timers if timer[0] <= time.monotonic()]
            self._timers = [timer for timer in self._timers if timer not in due]
            for _, callback in due:
                callback()

    def _wake(self, numbers: bytes) -> None:
        for number in set(numbers) & self._signals.keys():
            self._signals[number]()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):  # there is none any more
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                pid, code = ended[0], os.waitstatus_to_exitcode(ended[1])
                if callback := self._children.pop(pid, None):
                    callback(code if code >= 0 else 128 - code)


class Agent:
    """Serves a host's socket on a :class:`Loop`.

    ``environment`` is what commands start with; a request may add to it.
    """

    def __init__(self, loop: Loop, path: str, environment: dict[str, str]) -> None:
        self._loop = loop
        self._environment = environment
        self._listener = wire.listen(path)
        loop.watch(self._listener, self._accept)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._loop.watch(connection, lambda: self._begin(connection))

    def _drop(self, connection: socket.socket) -> None:
        self._loop.unwatch(connection)
        connection.close()

    def _begin(self, connection: socket.socket) -> None:
        """The connection's first message: start the command."""
        received = wire.hear(connection)
        if received is None:
            return self._drop(connection)
        request, fds = received
        files, answered = fds.copy(), ()
        try:
            if request.get("tty"):
                master, slave = pty.openpty()
                fds += (master, slave)
                files, answered = [slave] * 3, (master,)
            elif len(files) != 3:
                raise wire.Trouble("a command without a terminal needs three file descriptors")
            pid = self._start(request, files)
            wire.tell(connection, {"pid": pid}, answered)
        except (OSError, KeyError, TypeError) as error:
            wire.tell(connection, {"error": wire.describe(error)})
            return self._drop(connection)
        finally:
            for fd in fds:
                os.close(fd)
        self._loop.unwatch(connection)
        self._loop.watch(connection, lambda: self._continue(connection, pid))
        self._loop.on_exit(pid, lambda status: self._end(connection, pid, status))

    def _continue(self, connection: socket.socket, pid: int) -> None:
        """A later message is a signal for the command's process group; the end is a hang-up."""
        received = wire.hear(connection)
        if received is not None:
            return _signal_group(pid, int(received[0].get("signal", signal.SIGTERM)))
        self._drop(connection)
        _signal_group(pid, signal.SIGHUP)
        _signal_group(pid, signal.SIGCONT)
        # once it has ended the number may be another's
        self._loop.later(HANGUP_PATIENCE, lambda: self._loop.waits_for(pid) and _signal_group(pid, signal.SIGKILL))

    def _end(self, connection: socket.socket, pid: int, status: int) -> None:
        if connection.fileno() >= 0:
            wire.tell(connection, {"status": status})
            self._drop(connection)

    def _start(self, request: dict, files: list[int]) -> int:
        """Start the requested command with its three standard ``files``; returns its pid."""
        argv = [str(word) for word in request["argv"]]
        environment = {**self._environment, **request.get("env", {})}
        read_error, write_error = os.pipe2(os.O_CLOEXEC)
        pid = self._loop.fork()
        if pid == 0:
            _become(argv, request.get("cwd"), environment, files, bool(request.get("tty")), write_error)
        os.close(write_error)
        failure = os.read(read_error, 4096)  # ends at exec
        os.close(read_error)
        if failure:
            raise wire.Trouble(failure.decode())
        return pid


def _become(argv: list[str], cwd: str | None, environment: dict[str, str], files: list[int], terminal: bool, error: int) -> None:
    """In the forked child: turn into the command, or report why not and end."""
    try:
        os.setsid()
        for target, fd in enumerate([os.dup(fd) for fd in files]):
            os.dup2(fd, target)
        if terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        try:
            os.chdir(cwd or "/")
        except OSError:
            os.chdir("/")  # a directory of the caller's that this host does not have
        # only the three standard descriptors: whatever another request brought must not leak
        os.closerange(3, error)
        os.closerange(error + 1, 4096)
        os.execvpe(argv[0], argv, environment)
    except FileNotFoundError:
        os.write(error, f"{argv[0]}: command not found".encode())
    except Exception as failure:  # report anything at all: this process has nobody above it
        os.write(error, f"{argv[0] if argv else 'no command'}: {failure}".encode())
    os._exit(127)


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
